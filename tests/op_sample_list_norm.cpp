// Samples of normalisation and of what learns with it.

#include "ops/activation.h"
#include "ops/arithmetic.h"
#include "ops/comparison.h"
#include "ops/create.h"
#include "ops/exponential.h"
#include "ops/norm.h"
#include "ops/reduce.h"
#include "ops/view.h"
#include "tests/op_samples.h"

namespace gradus::samples {
namespace {

using X = Inputs;

Tensor normal(const Tensor& x, const Dims& dims, double eps = 1e-5) {
  return (x - mean(x, dims, true)) / sqrt(var(x, dims, true, 0) + eps);
}

}  // namespace

std::vector<Sample> norm_samples() {
  const auto column = [](const Tensor& values) { return reshape(values, {-1, 1}); };
  const auto image = [](const Tensor& values) { return reshape(values, {-1, 1, 1}); };
  const Tensor given_mean = tensor({0.5, -0.25, 0}, float64), given_var = tensor({0.5, 2, 0.25}, float64);
  const auto training = [](const Tensor& x, const Tensor& weight, const Tensor& bias) {
    return batch_norm(x, {}, {}, weight, bias, {.training = true});
  };
  const auto evaluation = [=](const Tensor& x, const Tensor& weight, const Tensor& bias) {
    return batch_norm(x, to(given_mean, x.device()), to(given_var, x.device()), weight, bias);
  };
  return {
      {"batch_norm(x, weight, bias)",
       {{5, 3}, {3}, {3}},
       [=](X x) { return training(x[0], x[1], x[2]); },
       [](X x) { return normal(x[0], {0}) * x[1] + x[2]; }},
      {"batch_norm of 70 columns",
       {{3, 70}, {70}, {70}},
       [=](X x) { return training(x[0], x[1], x[2]); },
       [](X x) { return normal(x[0], {0}) * x[1] + x[2]; }},
      {"batch_norm of [N, C, L]",
       {{2, 3, 4}, {3}, {3}},
       [=](X x) { return training(x[0], x[1], x[2]); },
       [=](X x) {
         return normal(x[0], {0, 2}) * column(x[1]) + column(x[2]);
       }},
      {"batch_norm of [N, C, H, W]",
       {{2, 3, 2, 3}},
       [=](X x) { return training(x[0], {}, {}); },
       [=](X x) {
         return normal(x[0], {0, 2, 3});
       }},
      {"batch_norm in evaluation",
       {{4, 3}, {3}, {3}},
       [=](X x) { return evaluation(x[0], x[1], x[2]); },
       [=](X x) {
         const Tensor m = to(given_mean, x[0].dtype()), v = to(given_var, x[0].dtype());
         return (x[0] - m) / sqrt(v + 1e-5) * x[1] + x[2];
       }},
      {"batch_norm of [N, C, H, W] in evaluation",
       {{2, 3, 2, 2}, {3}, {3}},
       [=](X x) { return evaluation(x[0], x[1], x[2]); },
       [=](X x) {
         const Tensor m = to(given_mean, x[0].dtype()), v = to(given_var, x[0].dtype());
         return (x[0] - image(m)) / sqrt(image(v) + 1e-5) * image(x[1]) + image(x[2]);
       }},
      {"layer_norm(x, {5}, weight, bias)",
       {{3, 5}, {5}, {5}},
       [](X x) { return layer_norm(x[0], {5}, x[1], x[2]); },
       [](X x) { return normal(x[0], -1) * x[1] + x[2]; }},
      {"layer_norm(x, {3, 4})",
       {{2, 3, 4}},
       [](X x) {
         return layer_norm(x[0], {3, 4});
       },
       [](X x) {
         return normal(x[0], {1, 2});
       }},
      {"group_norm(x, 2, weight, bias)",
       {{3, 6}, {6}, {6}},
       [](X x) { return group_norm(x[0], 2, x[1], x[2]); },
       [](X x) {
         return reshape(normal(reshape(x[0], {3, 2, 3}), 2), {3, 6}) * x[1] + x[2];
       }},
      {"group_norm of images",
       {{2, 4, 2, 3}, {4}, {4}},
       [](X x) { return group_norm(x[0], 2, x[1], x[2], 0.1); },
       [=](X x) {
         const Tensor y = reshape(normal(reshape(x[0], {2, 2, 12}), 2, 0.1), {2, 4, 2, 3});
         return y * image(x[1]) + image(x[2]);
       }},
      {"instance_norm(x, weight, bias)",
       {{2, 3, 5}, {3}, {3}},
       [](X x) { return instance_norm(x[0], x[1], x[2]); },
       [=](X x) { return normal(x[0], 2) * column(x[1]) + column(x[2]); }},
      {"rms_norm(x, {5}, weight)",
       {{3, 5}, {5}},
       [](X x) { return rms_norm(x[0], {5}, x[1]); },
       [](X x) { return x[0] / sqrt(mean(square(x[0]), -1, true) + 0x1p-52) * x[1]; }},
      {"rms_norm(x, {3, 2}, eps = 0.1)",
       {{4, 3, 2}},
       [](X x) {
         return rms_norm(x[0], {3, 2}, {}, 0.1);
       },
       [](X x) {
         return x[0] / sqrt(mean(square(x[0]), {1, 2}, true) + 0.1);
       }},
      {"prelu(x, weight)",
       {{2, 3, 4}, {3}},
       [](X x) { return prelu(x[0], x[1]); },
       [=](X x) { return where(x[0] > 0, x[0], column(x[1]) * x[0]); }},
  };
}

}  // namespace gradus::samples
