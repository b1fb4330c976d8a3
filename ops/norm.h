#pragma once
// Normalisation: elements that belong together get mean 0 and variance 1, y = (x − mean) / √(variance + eps), and then
// a scale and an offset that can be learned, y·weight + bias. Who belongs together is all that the five differ in. The
// variance is that of the values themselves (divided by their number). weight and bias may be undefined.

#include <optional>

#include "core/arg.h"

namespace gradus {

struct BatchNormOptions {
  bool training = false;
  double momentum = 0.1;  ///< the weight of the new value in the running statistics
  double eps = 1e-5;
};

/// Over all elements of a channel. x: [N, C], [N, C, L] or [N, C, H, W]; all others: [C]. In training, with the batch's
/// own statistics, of which the running ones take over a share: running = (1 − momentum)·running + momentum·batch, in
/// place, with the variance divided by one less than the number of values. That takes more than one value a channel.
/// Otherwise with the running statistics. They may be undefined in training. Ioffe and Szegedy, 2015.
Tensor batch_norm(const Arg& x, const Tensor& running_mean, const Tensor& running_var, const Tensor& weight = {},
                  const Tensor& bias = {}, const BatchNormOptions& options = {});

/// Over the last dimensions, those of normalized_shape, which is also the shape of weight and bias. Ba et al., 2016.
Tensor layer_norm(const Arg& x, const Shape& normalized_shape, const Tensor& weight = {}, const Tensor& bias = {},
                  double eps = 1e-5);

/// Over groups of neighbouring channels of each example. x: [N, C, …]; weight and bias: [C]. Wu and He, 2018.
Tensor group_norm(const Arg& x, int64_t num_groups, const Tensor& weight = {}, const Tensor& bias = {},
                  double eps = 1e-5);

/// Over each channel of each example. x: [N, C, L] or [N, C, H, W]; weight and bias: [C]. Ulyanov et al., 2016.
Tensor instance_norm(const Arg& x, const Tensor& weight = {}, const Tensor& bias = {}, double eps = 1e-5);

/// As layer_norm, but the mean is not subtracted: x / √(mean(x²) + eps)·weight. Without an eps it is the distance from
/// 1 to the next number of x's dtype. Zhang and Sennrich, 2019.
Tensor rms_norm(const Arg& x, const Shape& normalized_shape, const Tensor& weight = {}, std::optional<double> eps = {});

}  // namespace gradus
