#include "ops/norm.h"

#include <doctest/doctest.h>

#include <cmath>
#include <sstream>

#include "core/tape.h"
#include "core/threads.h"
#include "derive/gradcheck.h"
#include "nn/activation.h"
#include "nn/norm.h"
#include "ops/arithmetic.h"
#include "ops/create.h"
#include "ops/exponential.h"
#include "ops/reduce.h"
#include "ops/view.h"
#include "tests/checks.h"

using namespace gradus;
using checks::distance;
using checks::error_here;

namespace {

Tensor training_norm(const Tensor& x, const Tensor& weight = {}, const Tensor& bias = {}) {
  return batch_norm(x, {}, {}, weight, bias, {.training = true});
}

std::vector<std::string> names(const nn::AllOf& net) {
  std::vector<std::string> all;
  for (const auto& [name, tensor] : named_tensors(net)) all.push_back(name);
  return all;
}

}  // namespace

TEST_CASE("normalised elements have mean 0 and variance 1, at sizes that fill several blocks") {
  manual_seed(1);
  const auto check = [](const Tensor& y, const Dims& dims) {
    CHECK(amax(abs(mean(y, dims))).item<double>() < 1e-12);
    CHECK(amax(abs(var(y, dims, false, 0) - 1)).item<double>() < 1e-4);
  };
  const Tensor x = uniform({17, 6, 70, 33}, -1, 5, float64);
  check(training_norm(x), {0, 2, 3});
  check(instance_norm(x), {2, 3});
  check(reshape(group_norm(x, 2), {17, 2, -1}), 2);
  check(layer_norm(x, {70, 33}), {2, 3});
  check(training_norm(uniform({300, 130}, -1, 5, float64)), 0);
  check(training_norm(uniform({9, 5, 1}, -1, 5, float64)), {0, 2});
  check(layer_norm(uniform({7, 5001}, -1, 5, float64), {5001}), 1);
  check(layer_norm(uniform({2099, 513}, -1, 5, float64), {513}), 1);  // larger than the caches
}

TEST_CASE("batch norm: gradients are right at sizes that fill several blocks") {
  manual_seed(2);
  for (const Shape& shape : {Shape{300, 130}, Shape{40, 3, 50, 41}, Shape{2100, 2, 2}}) {
    const int64_t c = shape[1];
    const Tensor x = randn(shape, float64), weight = randn({c}, float64), bias = randn({c}, float64);
    const Tensor factor = randn(shape, float64);
    CHECK(gradcheck([&](auto a, auto w, auto b) { return sum(training_norm(a, w, b) * factor); }, x, weight, bias));
  }
  const Tensor x = randn({200, 500}, float64), w = randn({500}, float64), b = randn({500}, float64);
  const Tensor factor = randn(x.shape(), float64);
  CHECK(gradcheck([&](auto in, auto v, auto o) { return sum(layer_norm(in, {500}, v, o) * factor); }, x, w, b));
}

TEST_CASE("normalisation of tensors larger than the caches: values and gradients of float32 are those of float64") {
  manual_seed(6);
  const auto check = [](const Shape& shape, int64_t channels, const auto& f) {
    const Tensor x = randn(shape, float64), w = randn({channels}, float64), b = randn({channels}, float64);
    const Tensor dy = randn(shape, float64);
    std::vector<Tensor> results[2];
    for (const Dtype dtype : {float64, float32}) {
      std::vector<Tensor> in;
      for (const Tensor& each : {x, w, b}) in.push_back(to(each, dtype).detach().requires_grad());
      const Tensor y = f(in[0], in[1], in[2]);
      std::vector<Tensor>& all = results[dtype == float32] = grad({y}, in, {}, {to(dy, dtype)});
      all.push_back(y.detach());
    }
    for (size_t i = 0; i < results[0].size(); ++i)  // those of weight and bias are sums of thousands
      CHECK(distance(results[1][i], results[0][i]) < (i == 1 || i == 2 ? 5e-4 : 2e-5));
  };
  check({4200, 513}, 513, [](auto x, auto w, auto b) { return layer_norm(x, {513}, w, b); });
  check({70, 160, 15, 15}, 160, training_norm);
  check({9000, 250}, 250, training_norm);
}

TEST_CASE("normalisation stays accurate far from 0") {
  manual_seed(3);
  const Tensor x = normal({64, 8, 30, 30}, 1e4, 1), exact = to(x, float64);
  const auto check = [](const Tensor& y, const Tensor& expected) {
    CHECK(distance(y, expected) < 1e-3);                             // 1e4 is only known to ±5e-4
    CHECK(distance(y - mean(y), expected - mean(expected)) < 1e-3);  // of which the most is a common offset
    CHECK(gradus::std(y).item<double>() == doctest::Approx(1).epsilon(1e-5));
  };
  check(training_norm(x), training_norm(exact));
  check(layer_norm(x, {30, 30}), layer_norm(exact, {30, 30}));
  check(training_norm(reshape(x, {-1, 100})), training_norm(reshape(exact, {-1, 100})));
}

TEST_CASE("normalisation gives the same bits at any number of threads") {
  manual_seed(4);
  const int before = num_threads();
  const Tensor images = randn({32, 12, 20, 20}), rows = randn({700, 300}), many_rows = randn({4200, 513});
  const auto results = [&](int threads) {
    set_num_threads(threads);
    std::vector<float> all;
    const auto add = [&](const Tensor& input, auto f, int64_t channels) {
      const Tensor x = input.detach().requires_grad();
      const Tensor weight = ones({channels}).requires_grad(), bias = ones({channels}).requires_grad();
      const Tensor y = f(x, weight, bias);
      y.backward(input);
      for (const Tensor& each : {y, x.grad(), weight.grad(), bias.grad()})
        for (float value : each.template to_vector<float>()) all.push_back(value);
    };
    add(images, training_norm, 12);
    add(rows, training_norm, 300);
    add(
        images, [](auto x, auto w, auto b) { return group_norm(x, 3, w, b); }, 12);
    add(
        rows, [](auto x, auto w, auto b) { return layer_norm(x, {300}, w, b); }, 300);
    add(
        many_rows, [](auto x, auto w, auto b) { return layer_norm(x, {513}, w, b); }, 513);
    return all;
  };
  const std::vector<float> one = results(1), two = results(2), three = results(3);
  set_num_threads(before);
  CHECK(one == two);
  CHECK(one == three);
}

TEST_CASE("batch norm: running statistics follow the batches") {
  nn::BatchNorm1d norm(1);
  CHECK(norm.running_mean.item() == 0);
  CHECK(norm.running_var.item() == 1);
  norm(Tensor({1, 3}, {2, 1}));  // mean 2, variance 1, as an estimate for all 2
  CHECK(norm.running_mean.item<double>() == doctest::Approx(0.2));
  CHECK(norm.running_var.item<double>() == doctest::Approx(0.9 + 0.2));
  norm(Tensor({2, 4, 9}, {1, 1, 3}));  // mean 5, Σ (x − 5)² = 26
  CHECK(norm.running_mean.item<double>() == doctest::Approx(0.18 + 0.5));
  CHECK(norm.running_var.item<double>() == doctest::Approx(0.99 + 1.3));
  CHECK(norm.num_batches_tracked.item<int64_t>() == 2);
  CHECK_FALSE(norm.running_mean.needs_grad());

  eval(norm);
  const float scale = 1 / std::sqrt(2.29f + 1e-5f);
  CHECK(norm(Tensor(std::vector<double>{0.68}, {1, 1})).item() == doctest::Approx(0));
  CHECK(norm(Tensor(std::vector<double>{1.68}, {1, 1})).item() == doctest::Approx(scale));
  CHECK(norm.num_batches_tracked.item<int64_t>() == 2);
  train(norm);
  CHECK(norm(Tensor({5, 7}, {2, 1})).to_vector<float>()[0] == doctest::Approx(-1).epsilon(1e-5));
}

TEST_CASE("batch norm: without a momentum the running statistics are averages") {
  nn::BatchNorm1d norm(2, {.momentum = {}});
  for (double x : {1, 4, 7}) norm(Tensor({x, 10 * x, x + 2, 10 * x}, {2, 2}));
  CHECK(norm.running_mean.to_vector<double>() == std::vector<double>{5, 40});
  CHECK(norm.running_var.to_vector<double>() == std::vector<double>{2, 0});
}

TEST_CASE("batch norm: a step in evaluation keeps the statistics it was made with") {
  nn::BatchNorm1d norm(2);
  eval(norm);
  const Tensor x = randn({4, 2}).requires_grad(), dy = ones({4, 2});
  const Tensor y = norm(x);
  train(norm);
  norm(randn({4, 2}) * 3 + 7);
  y.backward(dy);
  CHECK(distance(x.grad(), dy) < 1e-4);
}

TEST_CASE("batch norm: without running statistics evaluation is as training") {
  nn::BatchNorm2d norm(3, {.affine = false, .track_running_stats = false});
  CHECK(names(norm).empty());
  const Tensor x = randn({2, 3, 4, 4}), y = norm(x);
  eval(norm);
  CHECK(distance(norm(x), y) == 0);
}

TEST_CASE("copies of a normalising module share its statistics, copy(module) does not") {
  const nn::BatchNorm1d norm(1), shared = norm, own = copy(norm);
  norm(Tensor({1, 3}, {2, 1}));
  CHECK(shared.running_mean.item() == norm.running_mean.item());
  CHECK(own.running_mean.item() == 0);
}

TEST_CASE("normalising modules have PyTorch's tensors") {
  using Names = std::vector<std::string>;
  const Names batch{"weight", "bias", "running_mean", "running_var", "num_batches_tracked"};
  CHECK(names(nn::BatchNorm1d(3)) == batch);
  CHECK(names(nn::BatchNorm2d(3)) == batch);
  CHECK(named_parameters(nn::BatchNorm2d(3)).size() == 2);
  CHECK(names(nn::BatchNorm2d(3, {.affine = false})) == Names{"running_mean", "running_var", "num_batches_tracked"});
  CHECK(names(nn::LayerNorm(5)) == Names{"weight", "bias"});
  CHECK(names(nn::LayerNorm(5, {.bias = false})) == Names{"weight"});
  CHECK(names(nn::LayerNorm(5, {.elementwise_affine = false})).empty());
  CHECK(nn::LayerNorm({4, 5}).weight.shape() == Shape{4, 5});
  CHECK(names(nn::RMSNorm(5)) == Names{"weight"});
  CHECK(names(nn::GroupNorm(2, 4)) == Names{"weight", "bias"});
  CHECK(names(nn::InstanceNorm1d(4)).empty());
  CHECK(names(nn::InstanceNorm2d(4, {.affine = true})) == Names{"weight", "bias"});
  std::ostringstream text;
  text << nn::BatchNorm2d(3);
  CHECK(text.str() ==
        "BatchNorm2d(weight=[3], bias=[3], running_mean=[3], running_var=[3], num_batches_tracked=[], "
        "num_features=3, eps=1e-05, momentum=0.1, training=true)");
}

TEST_CASE("normalising modules are the functions of the same names") {
  manual_seed(5);
  const Tensor x = randn({2, 4, 3, 3});
  CHECK(distance(nn::BatchNorm2d(4)(x), training_norm(x)) == 0);
  CHECK(distance(nn::LayerNorm({3, 3})(x), layer_norm(x, {3, 3})) == 0);
  CHECK(distance(nn::RMSNorm(3, {.eps = 0.1})(x), rms_norm(x, {3}, {}, 0.1)) == 0);
  CHECK(distance(nn::GroupNorm(2, 4)(x), group_norm(x, 2)) == 0);
  CHECK(distance(nn::InstanceNorm2d(4)(x), instance_norm(x)) == 0);
  CHECK(distance(nn::InstanceNorm1d(4)(flatten(x, 2)), flatten(instance_norm(x), 2)) == 0);
}

TEST_CASE("normalisation of nothing gives nothing") {
  CHECK(layer_norm(zeros({0, 5}), {5}).shape() == Shape{0, 5});
  CHECK(rms_norm(zeros({3, 0}), {0}).shape() == Shape{3, 0});
  CHECK(group_norm(zeros({0, 4, 3}), 2).shape() == Shape{0, 4, 3});
  CHECK(batch_norm(zeros({0, 3, 2, 2}), zeros({3}), ones({3})).shape() == Shape{0, 3, 2, 2});
  const Tensor x = zeros({0, 5}).requires_grad(), weight = ones({5}).requires_grad();
  grad(sum(layer_norm(x, {5}, weight)), x, {.create_graph = true});
  sum(layer_norm(x, {5}, weight)).backward();
  CHECK(weight.grad().to_vector<float>() == std::vector<float>(5));
}

TEST_CASE("normalisation: a number that is not finite stays in its group, and mixed dtypes are promoted") {
  const Tensor y = layer_norm(Tensor({1, 2, NAN, 4, 1, 3}, {3, 2}), {2});
  CHECK(std::isnan(y.at(2)));
  CHECK(y.at(4) == doctest::Approx(-1).epsilon(1e-4));
  CHECK(layer_norm(zeros({2, 3}, bfloat16), {3}, ones({3})).dtype() == float32);
}

TEST_CASE("PReLU learns a slope, or one for each channel") {
  const nn::PReLU one, three(3, 0.5);
  CHECK(names(three) == std::vector<std::string>{"weight"});
  const Tensor x = Tensor({-4, 2, -8}, {1, 3});
  const Tensor y = one(x);
  CHECK(y.to_vector<float>() == std::vector<float>{-1, 2, -2});
  sum(y).backward();
  CHECK(one.weight.grad().to_vector<float>() == std::vector<float>{-12});
  sum(three(x)).backward();
  CHECK(three.weight.grad().to_vector<float>() == std::vector<float>{-4, 0, -8});
  CHECK(error_here([&] { three(zeros({3})); }) ==
        "prelu: x is [3] and weight is [3]; it must hold one number, or one for each channel of x: [N, C, …] (here)");
}

TEST_CASE("normalisation: errors") {
  const Tensor x = zeros({2, 3, 4, 5}), mean = zeros({3}), var = ones({3});
  CHECK(error_here([&] { batch_norm(mean, {}, {}); }) ==
        "batch_norm: x is [3]; it must be [N, C], [N, C, L] or [N, C, H, W] (here)");
  CHECK(error_here([&] { batch_norm(x, {}, {}); }) ==
        "batch_norm: running_mean and running_var are needed both, unless in training (here)");
  CHECK(error_here([&] { batch_norm(x, mean, ones({4})); }) ==
        "batch_norm: x is [2, 3, 4, 5] and running_var is [4]; it must be [3], one number for each channel (here)");
  CHECK(error_here([&] {
          batch_norm(x, mean, var, ones({3, 1}));
        }) == "batch_norm: x is [2, 3, 4, 5] and weight is [3, 1]; it must be [3], one number for each channel (here)");
  CHECK(error_here([&] {
          training_norm(zeros({1, 3}));
        }).starts_with("batch_norm: x is [1, 3]; in training there must be more than one value for each channel ("));
  CHECK(error_here([&] { training_norm(zeros({1, 3, 1, 2})); }) == "no error");
  CHECK(error_here([&] { layer_norm(to(x, int64), {5}); }) ==
        "layer_norm: x holds int64; convert it first: to(x, float32) (here)");
  CHECK(error_here([&] {
          layer_norm(x, {5, 4});
        }) ==
        "layer_norm: x is [2, 3, 4, 5] and normalized_shape is [5, 4]; the last dimensions of x must be "
        "normalized_shape (here)");
  CHECK(error_here([&] {
          layer_norm(x, {4, 5}, {}, zeros({20}));
        }) == "layer_norm: x is [2, 3, 4, 5] and bias is [20]; it must be [4, 5], the normalized_shape (here)");
  CHECK(error_here([&] { layer_norm(x, {5}, {}, {}, -1); }) == "layer_norm: eps is -1; it must not be negative (here)");
  CHECK(error_here([&] { rms_norm(x, {}); }) ==
        "rms_norm: x is [2, 3, 4, 5] and normalized_shape is []; the last dimensions of x must be normalized_shape "
        "(here)");
  CHECK(error_here([&] { group_norm(x, 2); }) ==
        "group_norm: x is [2, 3, 4, 5] and num_groups is 2; the number of channels (3) must be a multiple of "
        "num_groups (here)");
  CHECK(error_here([&] {
          instance_norm(zeros({2, 3}));
        }) == "instance_norm: x is [2, 3]; it must be [N, C, L] or [N, C, H, W] (here)");
  CHECK(error_here([&] {
          instance_norm(zeros({2, 3, 1}));
        }) == "instance_norm: x is [2, 3, 1]; there must be more than one value for each channel (here)");
}

TEST_CASE("normalising modules: errors") {
  CHECK(error_here([] { nn::InstanceNorm1d(0); }) == "InstanceNorm1d: num_features is 0; it must be at least 1 (here)");
  CHECK(error_here([] {
          group_norm(zeros({1, 2}), 2);
        }) == "group_norm: x is [1, 2]; there must be more than one value in a group (here)");
  CHECK(error_here([] { nn::BatchNorm2d(0); }) == "BatchNorm2d: num_features is 0; it must be at least 1 (here)");
  CHECK(error_here([] { nn::LayerNorm(Shape{}); }) ==
        "LayerNorm: normalized_shape is []; it must have at least one dimension (here)");
  CHECK(error_here([] {
          nn::RMSNorm({3, 0});
        }) == "RMSNorm: normalized_shape is [3, 0]; its sizes must be at least 1 (here)");
  CHECK(error_here([] { nn::GroupNorm(2, 5); }) ==
        "GroupNorm: num_channels is 5 and num_groups 2; the first must be a multiple of the second (here)");
  const nn::BatchNorm1d one(3);
  const nn::BatchNorm2d two(3);
  const nn::InstanceNorm2d instance(3);
  CHECK(error_here([&] { one(zeros({2, 4})); }) == "BatchNorm1d: x is [2, 4]; it must be [N, 3] or [N, 3, L] (here)");
  CHECK(error_here([&] { two(zeros({2, 3})); }) == "BatchNorm2d: x is [2, 3]; it must be [N, 3, H, W] (here)");
  CHECK(error_here([&] {
          instance(zeros({2, 3, 4}));
        }) == "InstanceNorm2d: x is [2, 3, 4]; it must be [N, 3, H, W] (here)");
  CHECK(error_here([&] {
          two(zeros({1, 3, 1, 1}));
        }) == "batch_norm: x is [1, 3, 1, 1]; in training there must be more than one value for each channel (here)");
  CHECK(two.num_batches_tracked.item<int64_t>() == 0);
}
