#include "nn/norm.h"

#include <algorithm>

#include "ops/arithmetic.h"
#include "ops/assign.h"
#include "ops/create.h"
#include "ops/reduce.h"
#include "ops/view.h"

namespace gradus::nn {
namespace {

void check_at_least_1(const char* setting, int64_t value) {
  if (value < 1) fail(std::string(setting) + " is " + std::to_string(value) + "; it must be at least 1");
}

void check_shape(const Shape& normalized_shape) {
  if (normalized_shape.empty()) fail("normalized_shape is []; it must have at least one dimension");
  for (int64_t size : normalized_shape)
    if (size < 1) fail("normalized_shape is " + to_string(normalized_shape) + "; its sizes must be at least 1");
}

void check_input(const Tensor& x, std::initializer_list<int> dims, int64_t channels) {
  if (std::ranges::count(dims, x.dim()) && x.shape()[1] == channels) return;
  std::string allowed;
  for (int dim : dims)
    allowed += (allowed.empty() ? "[N, " : " or [N, ") + std::to_string(channels) +
               (dim == 2   ? "]"
                : dim == 3 ? ", L]"
                           : ", H, W]");
  fail("x is " + to_string(x.shape()) + "; it must be " + allowed);
}

}  // namespace

RunningNorm::RunningNorm(const char* name, int64_t features, const BatchNormOptions& options, Location where)
    : num_features(features), eps(options.eps), momentum(options.momentum) {
  const Scope scope(name, where);
  check_at_least_1("num_features", num_features);
  if (options.affine) weight = ones({num_features}).requires_grad(), bias = zeros({num_features}).requires_grad();
  if (options.track_running_stats) {
    running_mean = zeros({num_features});
    running_var = ones({num_features});
    num_batches_tracked = zeros({}, int64);
  }
}

Tensor RunningNorm::batch_forward(const Arg& x, const char* name, std::initializer_list<int> dims) const {
  const Scope scope(name, x.where());
  check_input(*x, dims, num_features);
  const bool tracked = running_mean.defined(), counts = tracked && training;
  // Without a momentum, all batches have the same share in the running statistics.
  const double share = momentum || !counts ? momentum.value_or(0) : 1 / (num_batches_tracked.item<double>() + 1);
  const Tensor y = batch_norm(x, running_mean, running_var, weight, bias,
                              {.training = training || !tracked, .momentum = share, .eps = eps});
  const NoGrad off;
  if (counts) assign(num_batches_tracked, num_batches_tracked + 1);
  return y;
}

Tensor RunningNorm::instance_forward(const Arg& given, const char* name, int dims) const {
  const Scope scope(name, given.where());
  if (given->dim() == dims - 1 && given->size(0) == num_features)
    return squeeze(instance_forward(unsqueeze(given, 0), name, dims), 0);
  check_input(*given, {dims}, num_features);
  const bool tracked = running_mean.defined();
  if (tracked && !training) return batch_norm(given, running_mean, running_var, weight, bias, {.eps = eps});
  const Tensor y = instance_norm(given, weight, bias, eps);
  if (tracked) {
    const NoGrad off;
    const Tensor rows = reshape(given, {given->size(0), num_features, -1});
    const auto follow = [&](const Tensor& statistic, const Tensor& value) {
      const double share = *momentum;
      assign(statistic, statistic * (1 - share) + to(value, statistic.dtype()) * share);
    };
    follow(running_mean, mean(rows, {0, 2}));
    follow(running_var, mean(var(rows, 2), 0));  // of each example
  }
  return y;
}

LayerNorm::LayerNorm(const Shape& shape, const LayerNormOptions& options, Location where)
    : normalized_shape(shape), eps(options.eps) {
  const Scope scope("LayerNorm", where);
  check_shape(shape);
  if (options.elementwise_affine) weight = ones(shape).requires_grad();
  if (options.elementwise_affine && options.bias) bias = zeros(shape).requires_grad();
}

LayerNorm::LayerNorm(int64_t size, const LayerNormOptions& options, Location where)
    : LayerNorm(Shape{size}, options, where) {}

RMSNorm::RMSNorm(const Shape& shape, const RMSNormOptions& options, Location where)
    : normalized_shape(shape), eps(options.eps) {
  const Scope scope("RMSNorm", where);
  check_shape(shape);
  if (options.elementwise_affine) weight = ones(shape).requires_grad();
}

RMSNorm::RMSNorm(int64_t size, const RMSNormOptions& options, Location where) : RMSNorm(Shape{size}, options, where) {}

GroupNorm::GroupNorm(int64_t groups, int64_t channels, const GroupNormOptions& options, Location where)
    : num_groups(groups), eps(options.eps) {
  const Scope scope("GroupNorm", where);
  check_at_least_1("num_groups", groups);
  check_at_least_1("num_channels", channels);
  if (channels % groups)
    fail("num_channels is " + std::to_string(channels) + " and num_groups " + std::to_string(groups) +
         "; the first must be a multiple of the second");
  if (options.affine) weight = ones({channels}).requires_grad(), bias = zeros({channels}).requires_grad();
}

namespace {
BatchNormOptions running(const InstanceNormOptions& options) {
  return {options.eps, options.momentum, options.affine, options.track_running_stats};
}
}  // namespace

InstanceNorm1d::InstanceNorm1d(int64_t features, const InstanceNormOptions& options, Location where)
    : RunningNorm("InstanceNorm1d", features, running(options), where) {}

InstanceNorm2d::InstanceNorm2d(int64_t features, const InstanceNormOptions& options, Location where)
    : RunningNorm("InstanceNorm2d", features, running(options), where) {}

}  // namespace gradus::nn
