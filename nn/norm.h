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

/// What BatchNorm1d and BatchNorm2d have in common. The running statistics are buffers: they change in training and are
/// used in evaluation.
struct BatchNorm {
  Tensor weight, bias;               ///< [C]
  Tensor running_mean, running_var;  ///< [C]
  Tensor num_batches_tracked;        ///< int64, []
  int64_t num_features;
  double eps;
  std::optional<double> momentum;
  Training training = {};

  explicit BatchNorm(int64_t num_features, const BatchNormOptions& options = {}, Location where = Location::here());

  GRADUS_FIELDS(weight, bias, running_mean, running_var, num_batches_tracked, num_features, eps, momentum, training)

 protected:
  /// Counts the batch if in training. `dims`: that x may have.
  Tensor forward(const Arg& x, const char* name, std::initializer_list<int> dims) const;
};

/// x: [N, C] or [N, C, L].
struct BatchNorm1d : BatchNorm {
  using BatchNorm::BatchNorm;
  Tensor operator()(const Arg& x) const { return forward(x, "BatchNorm1d", {2, 3}); }
};

/// x: [N, C, H, W].
struct BatchNorm2d : BatchNorm {
  using BatchNorm::BatchNorm;
  Tensor operator()(const Arg& x) const { return forward(x, "BatchNorm2d", {4}); }
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
  bool affine = false;  ///< with weight and bias
};

/// What InstanceNorm1d and InstanceNorm2d have in common.
struct InstanceNorm {
  Tensor weight, bias;  ///< [C]
  int64_t num_features;
  double eps;

  explicit InstanceNorm(int64_t num_features, const InstanceNormOptions& options = {},
                        Location where = Location::here());

  GRADUS_FIELDS(weight, bias, num_features, eps)

 protected:
  Tensor forward(const Arg& x, const char* name, std::initializer_list<int> dims) const;
};

/// x: [N, C, L].
struct InstanceNorm1d : InstanceNorm {
  using InstanceNorm::InstanceNorm;
  Tensor operator()(const Arg& x) const { return forward(x, "InstanceNorm1d", {3}); }
};

/// x: [N, C, H, W].
struct InstanceNorm2d : InstanceNorm {
  using InstanceNorm::InstanceNorm;
  Tensor operator()(const Arg& x) const { return forward(x, "InstanceNorm2d", {4}); }
};

}  // namespace gradus::nn
