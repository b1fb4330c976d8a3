#include "nn/metrics.h"

#include <fmt/format.h>

#include <algorithm>

#include "core/node.h"
#include "ops/comparison.h"
#include "ops/reduce.h"

namespace gradus {

double Average::mean() const {
  if (weight == 0) fail("Average: there is no mean, for nothing was added");
  return sum / weight;
}

int64_t count_correct(const Tensor& scores, const Tensor& classes, Location where) {
  const Scope scope("count_correct", where);
  const NoGrad no_grad;
  if (scores.dim() != 2 || classes.dim() != 1 || scores.size(0) != classes.size(0))
    fail(fmt::format("the scores are {} and the classes {}; they must be [N, C] and [N]", to_string(scores.shape()),
                     to_string(classes.shape())));
  return sum(argmax(scores, 1) == classes).item<int64_t>();
}

double accuracy(const std::function<Tensor(const Tensor&)>& net, const data::TensorDataset& dataset, int64_t batch,
                Location where) {
  const Scope scope("accuracy", where);
  const NoGrad no_grad;
  const int64_t size = dataset.size();
  if (size == 0) fail("the dataset is empty");
  if (batch < 1) fail(fmt::format("batch is {}; it must be at least 1", batch));
  int64_t correct = 0;
  for (int64_t start = 0; start < size; start += batch) {
    const auto [inputs, targets] = dataset.slice(start, std::min(start + batch, size));
    const Tensor scores = net(inputs);
    correct += count_correct(scores, targets.copied_to(scores.device()));
  }
  return double(correct) / double(size);
}

ConfusionMatrix::ConfusionMatrix(int64_t classes, Location where) : classes_(classes) {
  const Scope scope("ConfusionMatrix", where);
  if (classes < 1) fail(fmt::format("there must be at least 1 class, not {}", classes));
  counts_.resize(size_t(classes * classes));
}

void ConfusionMatrix::add(const Tensor& predicted, const Tensor& actual, Location where) {
  const Scope scope("ConfusionMatrix", where);
  if (predicted.dim() != 1 || predicted.shape() != actual.shape())
    fail(fmt::format("the predicted classes are {} and the actual ones {}; both must be [N]",
                     to_string(predicted.shape()), to_string(actual.shape())));
  const std::vector<int64_t> columns = predicted.to_vector<int64_t>(), rows = actual.to_vector<int64_t>();
  for (const std::vector<int64_t>& list : {columns, rows})
    for (const int64_t c : list)
      if (c < 0 || c >= classes_) fail(fmt::format("there is no class {}; they go from 0 to {}", c, classes_ - 1));
  for (size_t i = 0; i < rows.size(); ++i) ++counts_[size_t(rows[i] * classes_ + columns[i])];
}

int64_t ConfusionMatrix::total(int64_t start, int64_t step) const {
  int64_t sum = 0;
  for (int64_t i = 0; i < classes_; ++i) sum += counts_[size_t(start + i * step)];
  return sum;
}

double ConfusionMatrix::accuracy() const {
  int64_t all = 0;
  for (int64_t c = 0; c < classes_; ++c) all += total(c * classes_, 1);
  return double(total(0, classes_ + 1)) / double(all);
}

double ConfusionMatrix::recall(int64_t actual) const {
  return double(count(actual, actual)) / double(total(actual * classes_, 1));
}

double ConfusionMatrix::precision(int64_t predicted) const {
  return double(count(predicted, predicted)) / double(total(predicted, classes_));
}

void ConfusionMatrix::print(std::ostream& out, const std::vector<std::string>& names) const {
  const auto name = [&](int64_t c) { return size_t(c) < names.size() ? names[size_t(c)] : std::to_string(c); };
  size_t first = 6, column = 5;
  for (int64_t c = 0; c < classes_; ++c) first = std::max(first, name(c).size());
  for (const int64_t n : counts_) column = std::max(column, std::to_string(n).size());
  out << fmt::format("{:<{}}", "actual", first);
  for (int64_t c = 0; c < classes_; ++c) out << fmt::format("  {:>{}}", name(c).substr(0, column), column);
  out << "  recall\n";
  for (int64_t c = 0; c < classes_; ++c) {
    out << fmt::format("{:<{}}", name(c), first);
    for (int64_t p = 0; p < classes_; ++p) out << fmt::format("  {:>{}}", count(c, p), column);
    out << fmt::format("  {:>5.1f}%\n", 100 * recall(c));
  }
}

std::ostream& operator<<(std::ostream& out, const ConfusionMatrix& matrix) {
  matrix.print(out);
  return out;
}

}  // namespace gradus
