// Convolutions of all settings against sums written out, their errors, and the layers.

#include "nn/conv.h"

#include <doctest/doctest.h>

#include <cmath>
#include <sstream>

#include "core/tape.h"
#include "core/threads.h"
#include "derive/gradcheck.h"
#include "nn/sequential.h"
#include "ops/activation.h"
#include "ops/arithmetic.h"
#include "ops/conv.h"
#include "ops/create.h"
#include "ops/reduce.h"
#include "ops/view.h"
#include "tests/checks.h"

using namespace gradus;
using checks::distance;
using checks::error_here;

namespace {

// The definition, element by element; y: [N, K, height, width].
Tensor by_hand(const Tensor& x, const Tensor& weight, const Shape& y, const ConvOptions& options) {
  const auto& [stride, padding, dilation, groups, with_relu] = options;
  const int64_t channels = weight.size(1), outputs = y[1] / groups, height = x.size(2), width = x.size(3);
  std::vector<double> values;
  for (int64_t n = 0; n < y[0]; ++n)
    for (int64_t k = 0; k < y[1]; ++k)
      for (int64_t i = 0; i < y[2]; ++i)
        for (int64_t j = 0; j < y[3]; ++j) {
          double sum = 0;
          for (int64_t c = 0; c < channels; ++c)
            for (int64_t a = 0; a < weight.size(2); ++a)
              for (int64_t b = 0; b < weight.size(3); ++b) {
                const int64_t row = i * stride.height + a * dilation.height - padding.size.height;
                const int64_t column = j * stride.width + b * dilation.width - padding.size.width;
                if (row < 0 || row >= height || column < 0 || column >= width) continue;
                const int64_t channel = k / outputs * channels + c;
                sum += x.at(((n * x.size(1) + channel) * height + row) * width + column) *
                       weight.at(((k * channels + c) * weight.size(2) + a) * weight.size(3) + b);
              }
          values.push_back(sum);
        }
  return Tensor(values, y, float64);
}

// conv2d is linear in both, so that ⟨dy, y(x, w)⟩ = ⟨dx, x⟩ = ⟨dw, w⟩ says that both gradients are right.
void check_setting(const Tensor& x, const Tensor& weight, const ConvOptions& options) {
  CAPTURE(x.shape());
  CAPTURE(weight.shape());
  CAPTURE(options.stride);
  CAPTURE(options.padding);
  CAPTURE(options.dilation);
  CAPTURE(options.groups);
  const Tensor y = conv2d(x, weight, {}, options);
  CHECK(distance(y, by_hand(x, weight, y.shape(), options)) < 1e-12);
  const Tensor dy = randn(y.shape(), float64);
  const std::vector<Tensor> gradients = grad({y}, {x, weight}, {}, {dy});
  const double product = sum(dy * y).item<double>();
  CHECK(sum(gradients[0] * x).item<double>() == doctest::Approx(product));
  CHECK(sum(gradients[1] * weight).item<double>() == doctest::Approx(product));
  const auto left_over = [&](int64_t size, int64_t kernel, int64_t step, int64_t around, int64_t apart) {
    return (size + 2 * around - apart * (kernel - 1) - 1) % step;
  };
  const auto& [stride, padding, dilation, groups, with_relu] = options;
  const Size2d more{left_over(x.size(2), weight.size(2), stride.height, padding.size.height, dilation.height),
                    left_over(x.size(3), weight.size(3), stride.width, padding.size.width, dilation.width)};
  CHECK(distance(conv_transpose2d(dy, weight, {}, {stride, padding.size, more, groups, dilation}), gradients[0]) == 0);
}

template <class T> std::string text(const T& value) {
  std::ostringstream out;
  out << value;
  return out.str();
}

}  // namespace

TEST_CASE("conv2d is its definition, for all settings") {
  manual_seed(1);
  for (const Size2d size : {Size2d(1), Size2d(5), Size2d(6, 17), Size2d(19, 3)})
    for (const Size2d kernel : {Size2d(1), Size2d(3), Size2d(2, 3), Size2d(4, 1)})
      for (const Size2d stride : {Size2d(1), Size2d(2), Size2d(1, 3)})
        for (const Size2d padding : {Size2d(0), Size2d(1), Size2d(3, 2)})
          for (const Size2d dilation : {Size2d(1), Size2d(2, 1)})
            for (const int64_t groups : {1, 2}) {
              if (size.height + 2 * padding.height < dilation.height * (kernel.height - 1) + 1 ||
                  size.width + 2 * padding.width < dilation.width * (kernel.width - 1) + 1)
                continue;
              const Tensor x = randn({2, 2 * groups, size.height, size.width}, float64).requires_grad();
              const Tensor weight = randn({3 * groups, 2, kernel.height, kernel.width}, float64).requires_grad();
              check_setting(x, weight, {stride, padding, dilation, groups});
            }
}

TEST_CASE("conv2d of large images, which are cut into tiles, and of many groups") {
  manual_seed(2);
  const auto leaf = [](const Shape& shape) { return randn(shape, float64).requires_grad(); };
  check_setting(leaf({1, 40, 21, 23}), leaf({2, 40, 5, 5}), {.padding = 2});
  check_setting(leaf({2, 1, 3, 40000}), leaf({2, 1, 2, 3}), {.stride = {1, 2}, .padding = 1});
  check_setting(leaf({3, 24, 9, 9}), leaf({24, 1, 3, 3}), {.padding = 1, .groups = 24});
}

TEST_CASE("the results of a convolution do not depend on the number of threads") {
  manual_seed(3);
  const Tensor x = randn({19, 16, 13, 11}).requires_grad(), weight = randn({24, 16, 3, 3}).requires_grad();
  const Tensor bias = randn({24}).requires_grad();
  std::vector<std::vector<float>> results;
  const int before = num_threads();
  for (const int threads : {1, 2, 3}) {
    set_num_threads(threads);
    const Tensor y = conv2d(x, weight, bias, {.padding = 1});
    std::vector<float> values = y.to_vector<float>();
    for (const Tensor& gradient : grad({sum(square(y))}, {x, weight, bias}))
      for (const float value : gradient.to_vector<float>()) values.push_back(value);
    results.push_back(values);
  }
  set_num_threads(before);
  CHECK(results[0] == results[1]);
  CHECK(results[0] == results[2]);
}

TEST_CASE("conv2d: ReLU in the same step has the bits of a step of its own, and so have the gradients") {
  manual_seed(6);
  for (const Dtype dtype : {float32, float64, bfloat16})
    for (const Shape& kernel : {Shape{24, 16, 3, 3}, Shape{24, 8, 3, 3}, Shape{3, 16, 1, 1}, Shape{5, 16, 4, 2}}) {
      CAPTURE(kernel);
      ConvOptions options{.padding = 1, .groups = 16 / kernel[1]};
      const auto leaf = [&](const Shape& shape) { return to(randn(shape), dtype).requires_grad(); };
      const Tensor x = leaf({19, 16, 13, 11}), weight = leaf(kernel), bias = leaf({kernel[0]});
      const auto results = [&](const Tensor& y) {
        std::vector<double> all = y.to_vector<double>();
        for (const Tensor& gradient : grad({sum(square(y) + y)}, {x, weight, bias}))
          for (const double value : gradient.to_vector<double>()) all.push_back(value);
        return all;
      };
      const std::vector<double> expected = results(relu(conv2d(x, weight, bias, options)));
      options.relu = true;
      CHECK(results(conv2d(x, weight, bias, options)) == expected);
    }
}

TEST_CASE("padding 'same' keeps the size; what is odd goes to the end") {
  const Tensor x = Tensor({1, 2, 3, 4}, {1, 1, 4}), weight = ones({1, 1, 2});
  CHECK(conv1d(x, weight, {}, {.padding = Padding::same}).to_vector<float>() == std::vector<float>{3, 5, 7, 4});
  for (const int64_t kernel : {1, 2, 3, 4, 5})
    for (const int64_t dilation : {1, 2, 3}) {
      const Tensor y = conv2d(ones({1, 1, 7, 6}), ones({1, 1, kernel, 3}), {},
                              {.padding = Padding::same, .dilation = {dilation, 1}});
      CHECK(y.shape() == Shape{1, 1, 7, 6});
    }
}

TEST_CASE("a transposed convolution turns the sizes back; output_padding chooses among those with the same result") {
  for (const int64_t size : {7, 8, 9}) {
    const Tensor x = ones({1, 1, size}), weight = ones({1, 1, 3});
    const Tensor y = conv1d(x, weight, {}, {.stride = 3, .padding = 1});
    const int64_t more = size - ((y.size(2) - 1) * 3 - 2 + 3);
    CHECK(conv_transpose1d(y, weight, {}, {.stride = 3, .padding = 1, .output_padding = more}).size(2) == size);
  }
  const Tensor y =
      conv_transpose2d(Tensor({1, 2}, {1, 1, 1, 2}), Tensor({1, 2, 3, 4}, {1, 1, 2, 2}), tensor({10}), {.stride = 2});
  CHECK(y.to_vector<float>() == std::vector<float>{11, 12, 12, 14, 13, 14, 16, 18});
}

TEST_CASE("third derivatives of a convolution") {
  manual_seed(4);
  const Tensor x = randn({1, 2, 4, 3}, float64), weight = randn({2, 2, 2, 2}, float64);
  CHECK(check_gradients(
      [](std::span<const Tensor> in) {
        const GradMode recording(true);
        const Tensor w = in[1].needs_grad() ? in[1] : in[1].detach().requires_grad();
        const Tensor y = conv2d(in[0], w, {}, {.padding = 1});
        return sum(square(grad(sum(y * y * y), w, {.create_graph = true})));
      },
      std::vector<Tensor>{x, weight}, {.second_order = true}));
}

TEST_CASE("empty batches and channels") {
  const Tensor x = zeros({0, 3, 4, 4}).requires_grad(), weight = ones({2, 3, 3, 3}).requires_grad();
  const Tensor y = conv2d(x, weight);
  CHECK(y.shape() == Shape{0, 2, 2, 2});
  sum(y).backward();
  CHECK(weight.grad().to_vector<float>() == std::vector<float>(54, 0));
  CHECK(conv2d(zeros({1, 0, 2, 2}), zeros({2, 0, 2, 2}), tensor({3, 4})).to_vector<float>() ==
        std::vector<float>{3, 4});
  CHECK(conv2d(zeros({1, 1, 0, 1}), ones({1, 1, 3, 1}), {}, {.padding = {2, 0}}).to_vector<float>() ==
        std::vector<float>{0, 0});
  CHECK(conv_transpose2d(zeros({0, 3, 4, 4}), ones({3, 2, 2, 2})).shape() == Shape{0, 2, 5, 5});
}

TEST_CASE("errors of convolutions") {
  const Tensor x = zeros({2, 3, 8, 8}), weight = zeros({4, 3, 3, 3});
  CHECK(error_here([&] {
          conv2d(zeros({2, 8, 8}), weight);
        }) ==
        "conv2d: x is [2, 8, 8] and weight is [4, 3, 3, 3]; with groups = 1, dimension 0 of x (2) must be groups times "
        "dimension 1 of weight (3) (here)");
  CHECK(error_here([&] {
          conv2d(zeros({8, 8}), weight);
        }) ==
        "conv2d: x is [8, 8] and weight is [4, 3, 3, 3]; they must be [N, C, H, W] or [C, H, W] and [K, C / groups, "
        "kernel "
        "height, kernel width] (here)");
  CHECK(error_here([&] { conv1d(x, weight); }) ==
        "conv1d: x is [2, 3, 8, 8] and weight is [4, 3, 3, 3]; they must be [N, C, L] or [C, L] and [K, C / groups, "
        "kernel] "
        "(here)");
  CHECK(error_here([&] { conv_transpose1d(x, weight); }) ==
        "conv_transpose1d: x is [2, 3, 8, 8] and weight is [4, 3, 3, 3]; they must be [N, C, L] or [C, L] and [C, K / "
        "groups, "
        "kernel] (here)");
  CHECK(error_here([&] {
          conv2d(x, zeros({4, 2, 3, 3}));
        }) ==
        "conv2d: x is [2, 3, 8, 8] and weight is [4, 2, 3, 3]; with groups = 1, dimension 1 of x (3) must be groups "
        "times dimension 1 of weight (2) (here)");
  CHECK(error_here([&] {
          conv2d(x, zeros({4, 1, 3, 3}), {}, {.groups = 3});
        }) ==
        "conv2d: x is [2, 3, 8, 8] and weight is [4, 1, 3, 3]; dimension 0 of weight must be a multiple of groups = 3 "
        "(here)");
  CHECK(error_here([&] { conv_transpose2d(x, weight); }) ==
        "conv_transpose2d: x is [2, 3, 8, 8] and weight is [4, 3, 3, 3]; with groups = 1, dimension 1 of x (3) must "
        "equal dimension 0 of weight (4), and be a multiple of groups (here)");
  CHECK(error_here([&] { conv2d(x, weight, zeros({3})); }) ==
        "conv2d: weight is [4, 3, 3, 3] and bias is [3]; bias must be [4] (here)");
  CHECK(error_here([&] {
          conv2d(x, zeros({4, 3, 9, 3}));
        }) ==
        "conv2d: x is [2, 3, 8, 8] and weight is [4, 3, 9, 3]; the kernel must have an element, and fit into x with "
        "its padding (here)");
  CHECK(error_here([&] {
          conv2d(x, zeros({4, 3, 0, 3}));
        }) ==
        "conv2d: x is [2, 3, 8, 8] and weight is [4, 3, 0, 3]; the kernel must have an element, and fit into x with "
        "its padding (here)");
  CHECK(error_here([&] {
          conv2d(x, weight, {}, {.stride = {1, 0}});
        }) == "conv2d: stride is [1, 0]; it must be at least 1 and at most 2^30 (here)");
  CHECK(error_here([&] { conv2d(x, weight, {}, {.padding = -1}); }) ==
        "conv2d: padding is [-1, -1]; it must be at least 0 and at most 2^30 (here)");
  CHECK(error_here([&] { conv2d(x, weight, {}, {.groups = 0}); }) ==
        "conv2d: groups is 0; it must be at least 1 (here)");
  CHECK(error_here([&] { conv2d(x, weight, {}, {.stride = 2, .padding = Padding::same}); }) ==
        "conv2d: padding = same needs a stride of 1, not [2, 2] (here)");
  CHECK(error_here([&] {
          conv1d(zeros({1, 1, 3}), zeros({1, 1, 1}), {}, {.stride = {1, 2}});
        }) == "conv1d: stride is [1, 2]; one dimension takes one number (here)");
  CHECK(error_here([&] { conv2d(to(x, int64), weight); }) ==
        "conv2d: convolutions are for floating-point tensors, not int64; convert it first: to(x, float32) (here)");
  CHECK(error_here([&] {
          conv_transpose2d(zeros({1, 1, 2, 2}), zeros({1, 1, 2, 2}), {}, {.output_padding = 1});
        }) ==
        "conv_transpose2d: output_padding is [1, 1]; it must be less than the stride [1, 1] or the dilation [1, 1] "
        "(here)");
  CHECK(error_here([&] {
          conv_transpose1d(zeros({1, 1, 1}), zeros({1, 1, 2}), {}, {.padding = 1});
        }) == "conv_transpose1d: x is [1, 1, 1] and weight is [1, 1, 2]; the result would have no elements (here)");
  constexpr int64_t large = 1 << 30;
  CHECK(error_here([&] { conv2d(x, weight, {}, {.stride = large, .padding = large}); }) ==
        "conv2d: the padded x would have more than 10^12 elements an image (here)");
}

TEST_CASE("convolution layers have PyTorch's names, settings and first weights") {
  manual_seed(5);
  const nn::Conv2d layer{8, 64, {3, 5}, {.stride = 2, .padding = {1, 2}, .groups = 2}};
  CHECK(text(layer) == "Conv2d(weight=[64, 4, 3, 5], bias=[64], stride=2, padding={1, 2}, dilation=1, groups=2)");
  CHECK(layer(zeros({1, 8, 9, 9})).shape() == Shape{1, 64, 5, 5});
  const auto largest = [](const Tensor& x) { return amax(abs(x)).item<double>(); };
  CHECK(largest(layer.weight) == doctest::Approx(1 / std::sqrt(60.)).epsilon(0.01));
  CHECK(largest(layer.bias) <= 1 / std::sqrt(60.));
  CHECK(text(nn::Conv2d{1, 2, 3, {.relu = true}}) ==
        "Conv2d(weight=[2, 1, 3, 3], bias=[2], stride=1, padding=0, dilation=1, groups=1, relu=true)");
  CHECK(amin(nn::Conv2d{1, 2, 3, {.relu = true}}(randn({4, 1, 9, 9}))).item() == 0);
  CHECK(text(nn::Conv1d{2, 3, 4, {.padding = Padding::same, .bias = false}}) ==
        "Conv1d(weight=[3, 2, 4], bias=none, stride=1, padding=same, dilation=1, groups=1)");

  const nn::ConvTranspose2d back{4, 6, 3, {.stride = 2, .padding = 1, .output_padding = 1, .groups = 2}};
  CHECK(text(back) ==
        "ConvTranspose2d(weight=[4, 3, 3, 3], bias=[6], stride=2, padding=1, output_padding=1, groups=2, dilation=1)");
  CHECK(back(zeros({1, 4, 5, 5})).shape() == Shape{1, 6, 10, 10});
  CHECK(largest(back.weight) == doctest::Approx(1 / std::sqrt(27.)).epsilon(0.05));
  CHECK(nn::ConvTranspose1d{4, 6, 3, {.stride = 3}}(zeros({1, 4, 5})).shape() == Shape{1, 6, 15});

  const nn::Sequential net{nn::Conv1d{1, 2, 3}, layer};
  const StateDict state = state_dict(net);
  CHECK(state.size() == 4);
  CHECK(state.at("0.weight").shape() == Shape{2, 1, 3});
  CHECK(state.at("1.bias").shape() == Shape{64});
  CHECK(error_here([] { nn::Conv2d(3, 4, 3, {.groups = 2}); }) ==
        "Conv2d: in_channels is 3, out_channels 4 and groups 2; the channels must be at least 1, and multiples of "
        "groups (here)");
  CHECK(error_here([] { nn::Conv1d(3, 4, 0); }) == "Conv1d: kernel_size is [0]; it must be at least 1 (here)");
}
