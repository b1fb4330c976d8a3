#include "nn/data.h"

#include <cmath>
#include <cstdlib>
#include <filesystem>
#include <numeric>

#include "ops/create.h"
#include "ops/index.h"
#include "ops/view.h"

namespace gradus::data {

int64_t TensorDataset::size(Location where) const {
  const Scope scope("dataset", where);
  if (inputs.dim() == 0 || targets.dim() == 0 || inputs.size(0) != targets.size(0))
    fail("inputs have the shape " + to_string(inputs.shape()) + " and targets " + to_string(targets.shape()) +
         "; the first dimension, the number of examples, must be the same");
  return inputs.size(0);
}

TensorDataset TensorDataset::slice(int64_t start, int64_t end, Location where) const {
  const Scope scope("dataset.slice", where);
  if (start < 0 || start > end || end > size())
    fail("there are no examples " + std::to_string(start) + " to " + std::to_string(end) + " among " +
         std::to_string(size()));
  return {narrow(inputs, 0, start, end - start), narrow(targets, 0, start, end - start)};
}

TensorDataset TensorDataset::subset(const Tensor& index, Location where) const {
  const Scope scope("dataset.subset", where);
  size();
  return {index_select(inputs, 0, index), index_select(targets, 0, index)};
}

std::pair<TensorDataset, TensorDataset> TensorDataset::split(int64_t count, Location where) const {
  const Scope scope("dataset.split", where);
  return {slice(0, count), slice(count, size())};
}

std::string dataset_folder(const std::string& name, const std::string& given) {
  if (!given.empty()) return given;
  const char* data = std::getenv("GRADUS_DATA");
  return (std::filesystem::path(data && *data ? data : "/usr/share/datasets") / name).string();
}

std::vector<TensorDataset> random_split(const TensorDataset& dataset, const std::vector<double>& lengths,
                                        Generator& generator, Location where) {
  const Scope scope("random_split", where);
  const int64_t size = dataset.size();
  const double total = std::accumulate(lengths.begin(), lengths.end(), 0.);
  const bool fractions = std::fabs(total - 1) < 1e-9;
  std::vector<int64_t> counts;
  for (const double length : lengths) {
    if (!(length >= 0 && length <= total && (fractions || length == std::floor(length))))
      fail("a part cannot have the length " + std::to_string(length));
    counts.push_back(fractions ? int64_t(double(size) * length) : int64_t(length));
  }
  int64_t left = size - std::accumulate(counts.begin(), counts.end(), int64_t(0));
  for (size_t i = 0; fractions && left > 0; i = (i + 1) % counts.size()) ++counts[i], --left;
  if (left != 0)
    fail("the lengths add up to " + std::to_string(size - left) + ", but there are " + std::to_string(size) +
         " examples");
  const Tensor order = randperm(size, generator);
  std::vector<TensorDataset> parts;
  int64_t start = 0;
  for (const int64_t count : counts) {
    parts.push_back(dataset.subset(narrow(order, 0, start, count)));
    start += count;
  }
  return parts;
}

}  // namespace gradus::data
