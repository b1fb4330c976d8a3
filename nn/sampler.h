#pragma once
// Which examples of a dataset an epoch shows, and in which order.

#include <functional>

#include "core/random.h"
#include "core/tensor.h"

namespace gradus::data {

/// The choice of a Loader. Without one, an epoch goes through the dataset from the first example to the last.
struct Sampler {
  int64_t num_samples = -1;  ///< the length of an epoch; negative: as many as the dataset has
  /// Gives the numbers of the examples (int64, [num_samples]), given how many the dataset has.
  std::function<Tensor(int64_t size, Generator& generator)> draw;
};

struct RandomSamplerOptions {
  bool replacement = false;  ///< an example may come up several times
  int64_t num_samples = -1;  ///< negative: as many as the dataset has
};
/// Examples at random, each equally likely. `{.shuffle = true}` stands for this one.
Sampler random_sampler(const RandomSamplerOptions& options = {});

/// The examples with these numbers (int64, [M]) in random order.
Sampler subset_random_sampler(const Tensor& indices, Location where = Location::here());

/// Examples at random, each as likely as its weight says; weights: [N], not negative. Without replacement an example
/// comes up once at most (Efraimidis and Spirakis, "Weighted random sampling with a reservoir", 2006).
Sampler weighted_random_sampler(const Tensor& weights, int64_t num_samples, bool replacement = true,
                                Location where = Location::here());

}  // namespace gradus::data
