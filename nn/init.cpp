#include "nn/init.h"

#include <fmt/format.h>

#include <Eigen/QR>
#include <algorithm>
#include <cmath>
#include <numbers>
#include <utility>

#include "core/node.h"
#include "ops/assign.h"
#include "ops/create.h"
#include "ops/view.h"

namespace gradus::init {
namespace {

Tensor overwrite(const Tensor& tensor, const Tensor& values) {
  const NoGrad no_grad;
  assign(tensor, values);
  return tensor;
}

Tensor draw_uniform(const Tensor& tensor, double low, double high, Generator& generator) {
  return overwrite(tensor, uniform(tensor.shape(), low, high, tensor.dtype(), generator));
}
Tensor draw_normal(const Tensor& tensor, double mean, double standard_deviation, Generator& generator) {
  return overwrite(tensor, normal(tensor.shape(), mean, standard_deviation, tensor.dtype(), generator));
}

double xavier_deviation(const Tensor& weight, double gain) {
  const Fans fans = calculate_fans(weight);
  return gain * std::sqrt(2 / double(fans.in + fans.out));
}
double kaiming_deviation(const Tensor& weight, const KaimingOptions& options) {
  const Fans fans = calculate_fans(weight);
  const double gain = calculate_gain(options.nonlinearity, options.a);
  return gain / std::sqrt(double(options.mode == Fan::in ? fans.in : fans.out));
}
// Uniform with the given standard deviation; on [-√3, √3) it is 1.
Tensor draw_uniform(const Tensor& tensor, double standard_deviation, Generator& generator) {
  const double bound = std::numbers::sqrt3 * standard_deviation;
  return draw_uniform(tensor, -bound, bound, generator);
}

double normal_cdf(double x) { return 0.5 * std::erfc(-x / std::numbers::sqrt2); }

// Its inverse: a rational approximation improved by two of Halley's steps (Press et al., Numerical Recipes, 6.2.2).
double normal_quantile(double p) {
  const double tail = std::max(std::min(p, 1 - p), 1e-300), t = std::sqrt(-2 * std::log(tail));
  double x = (t - (2.30753 + t * 0.27061) / (1 + t * (0.99229 + t * 0.04481))) / std::numbers::sqrt2;
  for (int i = 0; i < 2; ++i) {
    const double error = std::erfc(x) - 2 * tail;
    x += error / (2 * std::numbers::inv_sqrtpi * std::exp(-x * x) - x * error);
  }
  return std::numbers::sqrt2 * (p < 0.5 ? -x : x);
}

}  // namespace

Tensor zeros_(const Tensor& tensor, Location where) { return constant_(tensor, 0, where); }
Tensor ones_(const Tensor& tensor, Location where) { return constant_(tensor, 1, where); }
Tensor constant_(const Tensor& tensor, double value, Location where) {
  const NoGrad no_grad;
  fill(tensor, value, where);
  return tensor;
}

Tensor uniform_(const Tensor& tensor, double low, double high, Generator& generator, Location where) {
  const Scope scope("uniform_", where);
  return draw_uniform(tensor, low, high, generator);
}

Tensor normal_(const Tensor& tensor, double mean, double standard_deviation, Generator& generator, Location where) {
  const Scope scope("normal_", where);
  return draw_normal(tensor, mean, standard_deviation, generator);
}

Tensor trunc_normal_(const Tensor& tensor, double mean, double standard_deviation, double low, double high,
                     Generator& generator, Location where) {
  const Scope scope("trunc_normal_", where);
  if (!(standard_deviation > 0))
    fail(fmt::format("the standard deviation is {}; it must be greater than 0", standard_deviation));
  if (!(low < high)) fail(fmt::format("low is {} and high {}; low must be the lesser", low, high));
  double left = (low - mean) / standard_deviation, right = (high - mean) / standard_deviation;
  const double side = left > 0 ? -1 : 1;
  if (side < 0) {  // the distribution function is precise on the left side
    std::swap(left, right);
    left = -left, right = -right;
  }
  const double from = normal_cdf(left), to = normal_cdf(right);
  Tensor values = rand(tensor.shape(), float64, generator);
  double* value = values.mutable_data<double>();
  for (int64_t i = 0; i < values.numel(); ++i) {
    const double x = side * normal_quantile(from + value[i] * (to - from));
    value[i] = std::clamp(mean + standard_deviation * x, low, high);
  }
  return overwrite(tensor, values);
}

double calculate_gain(Nonlinearity nonlinearity, double slope) {
  switch (nonlinearity) {
    case Nonlinearity::linear:
    case Nonlinearity::sigmoid: return 1;
    case Nonlinearity::tanh: return 5. / 3;
    case Nonlinearity::relu: return std::numbers::sqrt2;
    case Nonlinearity::leaky_relu: return std::sqrt(2 / (1 + slope * slope));
    case Nonlinearity::selu: return 3. / 4;
  }
  __builtin_unreachable();
}

Fans calculate_fans(const Tensor& weight) {
  if (weight.dim() < 2 || weight.numel() == 0)
    fail(fmt::format("the weight has shape {}; fans need [out, in] or [out, in, kernel...], none of them 0",
                     to_string(weight.shape())));
  const int64_t kernel = weight.numel() / (weight.size(0) * weight.size(1));
  return {weight.size(1) * kernel, weight.size(0) * kernel};
}

Tensor xavier_uniform_(const Tensor& weight, double gain, Generator& generator, Location where) {
  const Scope scope("xavier_uniform_", where);
  return draw_uniform(weight, xavier_deviation(weight, gain), generator);
}

Tensor xavier_normal_(const Tensor& weight, double gain, Generator& generator, Location where) {
  const Scope scope("xavier_normal_", where);
  return draw_normal(weight, 0, xavier_deviation(weight, gain), generator);
}

Tensor kaiming_uniform_(const Tensor& weight, KaimingOptions options, Generator& generator, Location where) {
  const Scope scope("kaiming_uniform_", where);
  return draw_uniform(weight, kaiming_deviation(weight, options), generator);
}

Tensor kaiming_normal_(const Tensor& weight, KaimingOptions options, Generator& generator, Location where) {
  const Scope scope("kaiming_normal_", where);
  return draw_normal(weight, 0, kaiming_deviation(weight, options), generator);
}

Tensor orthogonal_(const Tensor& weight, double gain, Generator& generator, Location where) {
  const Scope scope("orthogonal_", where);
  if (weight.dim() < 2 || weight.numel() == 0)
    fail(fmt::format("the weight has shape {}; at least two dimensions are needed, none of them 0",
                     to_string(weight.shape())));
  using Matrix = Eigen::Matrix<double, Eigen::Dynamic, Eigen::Dynamic, Eigen::RowMajor>;
  const int64_t rows = weight.size(0), columns = weight.numel() / rows;
  const int64_t tall = std::max(rows, columns), narrow = std::min(rows, columns);
  const Tensor random = randn({tall, narrow}, float64, generator);
  const Eigen::HouseholderQR<Matrix> qr(Eigen::Map<const Matrix>(random.data<double>(), tall, narrow));
  Matrix q = qr.householderQ() * Matrix::Identity(tall, narrow);
  q *= gain * qr.matrixQR().diagonal().array().sign().matrix().asDiagonal();  // makes the distribution uniform
  if (rows < columns) q.transposeInPlace();
  return overwrite(weight, reshape(Tensor::copy_of(q.data(), {rows, columns}), weight.shape()));
}

}  // namespace gradus::init
