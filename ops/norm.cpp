#include "ops/norm.h"

#include <fmt/format.h>

#include <algorithm>

#include "ops/apply.h"
#include "ops/arithmetic.h"
#include "ops/assign.h"
#include "ops/create.h"
#include "ops/exponential.h"
#include "ops/kernels.h"
#include "ops/reduce.h"
#include "ops/view.h"

namespace gradus {
namespace {

enum Kind { batch, layer, group, instance, rms };
constexpr const char* names[] = {"batch_norm", "layer_norm", "group_norm", "instance_norm", "rms_norm"};
constexpr const char* per_channel = ", one number for each channel";

/// One step behind all five. weight and bias have as many elements as there are channels.
template <Kind kind> struct Normalize {
  static constexpr Info info{names[kind]};
  static constexpr bool backward_is_kernel = true;
  kernel::NormLayout layout;
  kernel::NormStatistics statistics;  // written by forward() unless they are given
  int affine;                         // how many of weight and bias the user gave

  Tensor forward(const Tensor& x, const Tensor& weight, const Tensor& bias) const {
    const Tensor y = Tensor::empty(x.shape(), x.dtype(), x.device());
    kernels(x).norm(layout, statistics, x, computed(weight), computed(bias), y);
    return y;
  }
  auto backward(const Tensor& dy, const Tensor& x, const Tensor& weight, const Tensor& bias) const {
    const Tensor dx = Tensor::empty(x.shape(), x.dtype(), x.device());
    const Tensor dweight = Tensor::empty(weight.shape(), dtype(), x.device());
    const Tensor dbias = Tensor::empty(bias.shape(), dtype(), x.device());
    kernels(x).norm_backward(layout, statistics, dy, x, computed(weight), dx, dweight, dbias);
    return std::tuple(dx, to(dweight, x.dtype()), to(dbias, x.dtype()));
  }
  Tensor plain(const Tensor& x, const Tensor& weight, const Tensor& bias) const {
    const Tensor grouped = reshape(x, {layout.outer, layout.groups, layout.inner});
    const auto per_group = [&](const Tensor& given) { return reshape(to(given, x.dtype()), {layout.groups, 1}); };
    Tensor centered = grouped;
    if (layout.center) centered = grouped - (layout.given ? per_group(statistics.mean) : mean(grouped, {0, 2}, true));
    const Tensor variance = layout.given ? per_group(statistics.variance) : mean(square(centered), {0, 2}, true);
    const auto of_channels = [&](const Tensor& values) { return reshape(values, {layout.channels, 1}); };
    const Tensor normal =
        reshape(centered / sqrt(variance + layout.eps),
                {x.numel() / std::max<int64_t>(layout.channels * layout.run, 1), layout.channels, layout.run});
    return reshape(normal * of_channels(weight) + of_channels(bias), x.shape());
  }
  void release() { statistics = {}; }
  std::string formula(std::span<const std::string> inputs) const {
    std::string text = std::string(info.name) + "(" + inputs[0];
    for (int i = 1; i <= affine; ++i) text += ", " + inputs[size_t(i)];
    return text + ")";
  }

 private:
  Dtype dtype() const { return statistics.mean.dtype(); }
  Tensor computed(const Tensor& x) const { return compact(x, dtype()); }
};

void check_shape(const Tensor& x, const char* name, const Tensor& values, const Shape& expected, const char* reason) {
  if (values.defined() && values.shape() != expected)
    fail("x is " + to_string(x.shape()) + " and " + name + " is " + to_string(values.shape()) + "; it must be " +
         to_string(expected) + reason);
}

/// Checks what all have in common and takes the step. `affine_shape`: of weight and bias; `statistics`: undefined if
/// they are to be computed, into them.
template <Kind kind> Tensor normalize(const Tensor& input, Tensor weight, Tensor bias, const Shape& affine_shape,
                                      kernel::NormLayout layout, kernel::NormStatistics& statistics) {
  if (!is_floating_point(input.dtype()))
    fail("x holds " + to_string(input.dtype()) + "; convert it first: to(x, float32)");
  if (!(layout.eps >= 0)) fail("eps is " + fmt::to_string(layout.eps) + "; it must not be negative");
  const char* reason = kind == layer || kind == rms ? ", the normalized_shape" : per_channel;
  check_shape(input, "weight", weight, affine_shape, reason);
  check_shape(input, "bias", bias, affine_shape, reason);
  const int affine = bias.defined() ? 2 : weight.defined() ? 1 : 0;
  Dtype dtype = input.dtype();
  for (const Tensor& each : {weight, bias})
    if (each.defined()) dtype = promote(dtype, each.dtype());
  weight = weight.defined() ? to(weight, dtype) : ones(affine_shape, dtype, input.device());
  bias = bias.defined() ? to(bias, dtype) : zeros(affine_shape, dtype, input.device());
  layout.center = kind != rms;
  layout.given = statistics.mean.defined();
  const Dtype computed = dtype == bfloat16 ? float32 : dtype;
  for (Tensor* each : {&statistics.mean, &statistics.variance})
    *each = layout.given ? clone(to(*each, computed)) : Tensor::empty({layout.groups}, computed, input.device());
  return apply(Normalize<kind>{layout, statistics, affine}, to(input, dtype), weight, bias);
}

/// What is normalised over the last dimensions.
template <Kind kind> Tensor normalize_rows(const Tensor& x, const Shape& normalized_shape, const Tensor& weight,
                                           const Tensor& bias, double eps) {
  const int leading = x.dim() - normalized_shape.dim();
  if (normalized_shape.empty() || leading < 0 ||
      Shape(std::span(x.shape().begin() + leading, x.shape().end())) != normalized_shape)
    fail("x is " + to_string(x.shape()) + " and normalized_shape is " + to_string(normalized_shape) +
         "; the last dimensions of x must be normalized_shape");
  const int64_t n = normalized_shape.numel(), rows = Shape(std::span(x.shape().begin(), size_t(leading))).numel();
  kernel::NormStatistics statistics;
  return normalize<kind>(x, weight, bias, normalized_shape,
                         {.outer = 1, .groups = rows, .inner = n, .run = 1, .channels = n, .eps = eps}, statistics);
}

// x: [N, C, …] with `from` to `to` dimensions; the number of elements in a channel of an example.
int64_t channel_size(const Tensor& x, int from, int to, const char* form) {
  if (x.dim() < from || x.dim() > to) fail("x is " + to_string(x.shape()) + "; it must be " + form);
  return Shape(std::span(x.shape().begin() + 2, x.shape().end())).numel();
}

/// What is normalised over groups of an example's channels, x: [N, C, …].
template <Kind kind> Tensor normalize_groups(const Tensor& x, int64_t num_groups, int64_t run, const Tensor& weight,
                                             const Tensor& bias, double eps) {
  const int64_t examples = x.shape()[0], channels = x.shape()[1];
  kernel::NormStatistics statistics;
  return normalize<kind>(x, weight, bias, {channels},
                         {.outer = 1,
                          .groups = examples * num_groups,
                          .inner = channels / num_groups * run,
                          .run = run,
                          .channels = channels,
                          .eps = eps},
                         statistics);
}

// In place: running = (1 − momentum)·running + momentum·value.
void follow(const Tensor& running, const Tensor& value, double momentum) {
  assign(running, running * (1 - momentum) + to(value, running.dtype()) * momentum);
}

}  // namespace

Tensor batch_norm(const Arg& x, const Tensor& running_mean, const Tensor& running_var, const Tensor& weight,
                  const Tensor& bias, const BatchNormOptions& options) {
  const Scope scope("batch_norm", x.where());
  const int64_t size = channel_size(*x, 2, 4, "[N, C], [N, C, L] or [N, C, H, W]");
  const int64_t examples = x->shape()[0], channels = x->shape()[1];
  if (running_mean.defined() != running_var.defined() || !(options.training || running_mean.defined()))
    fail("running_mean and running_var are needed both, unless in training");
  check_shape(*x, "running_mean", running_mean, {channels}, per_channel);
  check_shape(*x, "running_var", running_var, {channels}, per_channel);
  const double count = double(examples * size);
  if (options.training && count < 2)
    fail("x is " + to_string(x->shape()) + "; in training there must be more than one value for each channel");
  kernel::NormStatistics statistics;
  if (!options.training) statistics = {running_mean, running_var};
  const Tensor y = normalize<batch>(
      *x, weight, bias, {channels},
      {.outer = examples, .groups = channels, .inner = size, .run = size, .channels = channels, .eps = options.eps},
      statistics);
  if (options.training && running_mean.defined()) {
    const NoGrad off;
    follow(running_mean, statistics.mean, options.momentum);
    follow(running_var, statistics.variance * (count / (count - 1)), options.momentum);
  }
  return y;
}

Tensor layer_norm(const Arg& x, const Shape& normalized_shape, const Tensor& weight, const Tensor& bias, double eps) {
  const Scope scope("layer_norm", x.where());
  return normalize_rows<layer>(*x, normalized_shape, weight, bias, eps);
}

Tensor rms_norm(const Arg& x, const Shape& normalized_shape, const Tensor& weight, std::optional<double> eps) {
  const Scope scope("rms_norm", x.where());
  const double epsilon = x->dtype() == float64 ? 0x1p-52 : x->dtype() == float32 ? 0x1p-23 : 0x1p-7;
  return normalize_rows<rms>(*x, normalized_shape, weight, {}, eps.value_or(epsilon));
}

Tensor group_norm(const Arg& x, int64_t num_groups, const Tensor& weight, const Tensor& bias, double eps) {
  const Scope scope("group_norm", x.where());
  const int64_t size = channel_size(*x, 2, Shape::max_dims, "[N, C, …]");
  if (num_groups < 1 || x->shape()[1] % num_groups)
    fail("x is " + to_string(x->shape()) + " and num_groups is " + std::to_string(num_groups) +
         "; the number of channels (" + std::to_string(x->shape()[1]) + ") must be a multiple of num_groups");
  if (x->shape()[0] * x->shape()[1] / num_groups * size ==
      1)  // as in PyTorch, which lets more groups of one value pass
    fail("x is " + to_string(x->shape()) + "; there must be more than one value in a group");
  return normalize_groups<group>(*x, num_groups, size, weight, bias, eps);
}

Tensor instance_norm(const Arg& x, const Tensor& weight, const Tensor& bias, double eps) {
  const Scope scope("instance_norm", x.where());
  const int64_t size = channel_size(*x, 3, 4, "[N, C, L] or [N, C, H, W]");
  if (size < 2) fail("x is " + to_string(x->shape()) + "; there must be more than one value for each channel");
  return normalize_groups<instance>(*x, x->shape()[1], size, weight, bias, eps);
}

}  // namespace gradus
