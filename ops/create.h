#pragma once
// New tensors: constants, sequences and random numbers.

#include "core/arg.h"
#include "core/random.h"

namespace gradus {

Tensor full(const Shape& shape, double value, Dtype dtype = float32, Device device = Device::cpu());
Tensor zeros(const Shape& shape, Dtype dtype = float32, Device device = Device::cpu());
Tensor ones(const Shape& shape, Dtype dtype = float32, Device device = Device::cpu());
/// With the shape, dtype and device of another tensor.
Tensor full_like(const Tensor& other, double value);
Tensor zeros_like(const Tensor& other);
Tensor ones_like(const Tensor& other);
/// start, start + step, … before `end`.
Tensor arange(double start, double end, double step = 1, Dtype dtype = int64, Device device = Device::cpu());
Tensor arange(int64_t end, Device device = Device::cpu());
/// `count` numbers at equal distances, both ends included.
Tensor linspace(double start, double end, int64_t count, Dtype dtype = float32);
/// The identity matrix [n, n].
Tensor eye(int64_t n, Dtype dtype = float32);

/// Uniform in [0, 1).
Tensor rand(const Shape& shape, Dtype dtype = float32, Generator& generator = default_generator());
/// Uniform in [low, high).
Tensor uniform(const Shape& shape, double low, double high, Dtype dtype = float32,
               Generator& generator = default_generator());
/// Normally distributed with mean 0 and standard deviation 1 (Box and Muller's method).
Tensor randn(const Shape& shape, Dtype dtype = float32, Generator& generator = default_generator());
Tensor normal(const Shape& shape, double mean, double standard_deviation, Dtype dtype = float32,
              Generator& generator = default_generator());
/// Integers in [low, high), each equally likely.
Tensor randint(int64_t low, int64_t high, const Shape& shape, Generator& generator = default_generator());
/// The numbers 0 … n-1 in random order (Fisher and Yates' shuffle).
Tensor randperm(int64_t n, Generator& generator = default_generator());
/// True with the given probability.
Tensor bernoulli(const Shape& shape, double probability, Generator& generator = default_generator());

}  // namespace gradus
