#include "nn/sampler.h"

#include <algorithm>
#include <cmath>
#include <numeric>

#include "ops/create.h"
#include "ops/index.h"
#include "ops/view.h"

namespace gradus::data {
namespace {
[[noreturn]] void fail_too_many(int64_t num_samples, int64_t examples, const char* kind = "") {
  fail(std::to_string(num_samples) + " examples cannot be drawn from " + std::to_string(examples) + kind +
       " without replacement");
}

}  // namespace

Sampler random_sampler(const RandomSamplerOptions& options) {
  const auto draw = [options](int64_t size, Generator& generator) {
    const int64_t count = options.num_samples < 0 ? size : options.num_samples;
    if (options.replacement && size > 0) return randint(0, size, {count}, generator);
    if (count > size) fail_too_many(count, size);
    return narrow(randperm(size, generator), 0, 0, count);
  };
  return {options.num_samples, draw};
}

Sampler subset_random_sampler(const Tensor& indices, Location where) {
  const Scope scope("subset_random_sampler", where);
  if (indices.dim() != 1 || indices.dtype() != int64)
    fail("the indices are " + to_string(indices.dtype()) + ' ' + to_string(indices.shape()) +
         "; they must be int64 [M]");
  const auto draw = [indices](int64_t, Generator& generator) {
    return index_select(indices, 0, randperm(indices.size(0), generator));
  };
  return {indices.size(0), draw};
}

Sampler weighted_random_sampler(const Tensor& weights, int64_t num_samples, bool replacement, Location where) {
  const Scope scope("weighted_random_sampler", where);
  if (weights.dim() != 1) fail("the weights have the shape " + to_string(weights.shape()) + "; it must be [N]");
  if (num_samples < 0) fail("num_samples is " + std::to_string(num_samples) + "; it must not be negative");
  const std::vector<double> weight = weights.to_vector<double>();
  for (size_t i = 0; i < weight.size(); ++i)
    if (!(weight[i] >= 0 && std::isfinite(weight[i])))
      fail("weight " + std::to_string(i) + " is " + std::to_string(weight[i]) +
           "; weights are finite and not negative");
  const int64_t possible = std::count_if(weight.begin(), weight.end(), [](double w) { return w > 0; });
  if (possible == 0 && num_samples > 0) fail("all weights are 0");
  if (!replacement && num_samples > possible) fail_too_many(num_samples, possible, " of a positive weight");

  const auto draw = [=](int64_t size, Generator& generator) {
    if (size != int64_t(weight.size()))
      fail("the sampler has " + std::to_string(weight.size()) + " weights, but the dataset " + std::to_string(size) +
           " examples");
    std::vector<int64_t> drawn(size_t(replacement ? num_samples : size));
    const std::vector<double> uniform = rand({int64_t(drawn.size())}, float64, generator).to_vector<double>();
    if (replacement) {
      std::vector<double> sums(weight.size());
      std::partial_sum(weight.begin(), weight.end(), sums.begin());
      for (size_t i = 0; i < drawn.size(); ++i)
        drawn[i] = std::upper_bound(sums.begin(), sums.end(), uniform[i] * sums.back()) - sums.begin();
    } else {  // the first events of independent processes, whose rates are the weights
      std::vector<double> time(weight.size());
      for (size_t i = 0; i < time.size(); ++i)
        time[i] = weight[i] > 0 ? -std::log1p(-uniform[i]) / weight[i] : INFINITY;
      std::iota(drawn.begin(), drawn.end(), 0);
      const auto sooner = [&](int64_t a, int64_t b) { return time[size_t(a)] < time[size_t(b)]; };
      std::partial_sort(drawn.begin(), drawn.begin() + num_samples, drawn.end(), sooner);
      drawn.resize(size_t(num_samples));
    }
    return tensor(drawn);
  };
  return {num_samples, draw};
}

}  // namespace gradus::data
