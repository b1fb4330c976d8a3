#pragma once
// Layers that normalise (see ops/norm.h), with PyTorch's names and defaults: weight starts as 1, bias as 0.

#include <initializer_list>
#include <optional>

#include "core/arg.h"
#include "nn/module.h"
#include "ops/norm.h"

namespace gradus::nn {

struct BatchNormOptions {
  double eps = 1e-5;
  std::optional<double> momentum = 0.1;  ///< none: the running statistics are the averages of all batches
  bool affine = true;                    ///< with weight and bias
  bool track_running_stats = true;       ///< without, batches are normalised by their own statistics in evaluation, too
};

/// What layers with running statistics have in common. The statistics are buffers: they change in training and are used
/// in evaluation.
struct RunningNorm {
  Tensor weight, bias;               ///< [C]
  Tensor running_mean, running_var;  ///< [C]
  Tensor num_batches_tracked;        ///< int64, []
  int64_t num_features;
  double eps;
  std::optional<double> momentum;
  Training training = {};

  GRADUS_FIELDS(weight, bias, running_mean, running_var, num_batches_tracked, num_features, eps, momentum, training)

 protected:
  RunningNorm(const char* name, int64_t num_features, const BatchNormOptions& options, Location where);
  /// Counts the batch if in training. `dims`: that x may have.
  Tensor batch_forward(const Arg& x, const char* name, std::initializer_list<int> dims) const;
  /// x: [N, C, …], or [C, …] with one dimension less than `dims`.
  Tensor instance_forward(const Arg& x, const char* name, int dims) const;
};

/// x: [N, C] or [N, C, L].
struct BatchNorm1d : RunningNorm {
  explicit BatchNorm1d(int64_t features, const BatchNormOptions& options = {}, Location where = Location::here())
      : RunningNorm("BatchNorm1d", features, options, where) {}
  Tensor operator()(const Arg& x) const { return batch_forward(x, "BatchNorm1d", {2, 3}); }
};

/// x: [N, C, H, W].
struct BatchNorm2d : RunningNorm {
  explicit BatchNorm2d(int64_t features, const BatchNormOptions& options = {}, Location where = Location::here())
      : RunningNorm("BatchNorm2d", features, options, where) {}
  Tensor operator()(const Arg& x) const { return batch_forward(x, "BatchNorm2d", {4}); }
};

struct LayerNormOptions {
  double eps = 1e-5;
  bool elementwise_affine = true;  ///< with weight and bias
  bool bias = true;
};

/// Over the last dimensions of x, those of normalized_shape.
struct LayerNorm {
  Tensor weight, bias;  ///< normalized_shape
  Shape normalized_shape;
  double eps;

  explicit LayerNorm(const Shape& shape, const LayerNormOptions& options = {}, Location where = Location::here());
  explicit LayerNorm(int64_t size, const LayerNormOptions& options = {}, Location where = Location::here());

  Tensor operator()(const Arg& x) const { return layer_norm(x, normalized_shape, weight, bias, eps); }
  GRADUS_FIELDS(weight, bias, normalized_shape, eps)
};

struct RMSNormOptions {
  std::optional<double> eps = {};  ///< none: the distance from 1 to the next number of x's dtype
  bool elementwise_affine = true;  ///< with weight
};

/// Over the last dimensions of x, those of normalized_shape.
struct RMSNorm {
  Tensor weight;  ///< normalized_shape
  Shape normalized_shape;
  std::optional<double> eps;

  explicit RMSNorm(const Shape& shape, const RMSNormOptions& options = {}, Location where = Location::here());
  explicit RMSNorm(int64_t size, const RMSNormOptions& options = {}, Location where = Location::here());

  Tensor operator()(const Arg& x) const { return rms_norm(x, normalized_shape, weight, eps); }
  GRADUS_FIELDS(weight, normalized_shape, eps)
};

struct GroupNormOptions {
  double eps = 1e-5;
  bool affine = true;  ///< with weight and bias
};

/// Over groups of channels of each example. x: [N, C, …].
struct GroupNorm {
  Tensor weight, bias;  ///< [C]
  int64_t num_groups;
  double eps;

  GroupNorm(int64_t num_groups, int64_t num_channels, const GroupNormOptions& options = {},
            Location where = Location::here());

  Tensor operator()(const Arg& x) const { return group_norm(x, num_groups, weight, bias, eps); }
  GRADUS_FIELDS(weight, bias, num_groups, eps)
};

struct InstanceNormOptions {
  double eps = 1e-5;
  double momentum = 0.1;
  bool affine = false;               ///< with weight and bias
  bool track_running_stats = false;  ///< in evaluation normalise by running statistics, as BatchNorm does
};

/// x: [N, C, L] or [C, L].
struct InstanceNorm1d : RunningNorm {
  explicit InstanceNorm1d(int64_t num_features, const InstanceNormOptions& options = {},
                          Location where = Location::here());
  Tensor operator()(const Arg& x) const { return instance_forward(x, "InstanceNorm1d", 3); }
};

/// x: [N, C, H, W] or [C, H, W].
struct InstanceNorm2d : RunningNorm {
  explicit InstanceNorm2d(int64_t num_features, const InstanceNormOptions& options = {},
                          Location where = Location::here());
  Tensor operator()(const Arg& x) const { return instance_forward(x, "InstanceNorm2d", 4); }
};

}  // namespace gradus::nn
