// Pooling and interpolation of all settings against their definitions, their errors, and the layers.

#include "nn/pool.h"

#include <doctest/doctest.h>

#include <algorithm>
#include <cmath>
#include <limits>
#include <sstream>

#include "core/tape.h"
#include "core/threads.h"
#include "nn/upsample.h"
#include "ops/arithmetic.h"
#include "ops/create.h"
#include "ops/pool.h"
#include "ops/reduce.h"
#include "ops/upsample.h"
#include "ops/view.h"
#include "tests/checks.h"

using namespace gradus;
using checks::distance;
using checks::error_here;

namespace {

template <class T> std::string text(const T& value) {
  std::ostringstream out;
  out << value;
  return out.str();
}

// The largest, or the average, of the window that starts at (top, left), in image `image` of x.
double pooled(const Tensor& x, int64_t image, Size2d start, Size2d kernel, Size2d padding, Size2d dilation,
              bool average, bool count_include_pad) {
  const int64_t height = x.size(-2), width = x.size(-1);
  double sum = 0, largest = -INFINITY, count = 0;
  for (int64_t a = 0; a < kernel.height; ++a)
    for (int64_t b = 0; b < kernel.width; ++b) {
      const int64_t row = start.height + a * dilation.height, column = start.width + b * dilation.width;
      const bool inside = row >= 0 && row < height && column >= 0 && column < width;
      if (inside) {
        const double value = x.at((image * height + row) * width + column);
        sum += value;
        largest = std::max(largest, value);
      }
      if (inside || (count_include_pad && row < height + padding.height && column < width + padding.width)) ++count;
    }
  return average ? sum / count : largest;
}

int64_t output_size(int64_t size, int64_t kernel, int64_t stride, int64_t padding, int64_t dilation, bool ceil_mode) {
  const double room = double(size + 2 * padding - dilation * (kernel - 1) - 1) / double(stride);
  const int64_t n = int64_t(ceil_mode ? std::ceil(room) : std::floor(room)) + 1;
  return (n - 1) * stride >= size + padding ? n - 1 : n;
}

}  // namespace

TEST_CASE("pooling is its definition, for all settings") {
  manual_seed(1);
  for (const Size2d size : {Size2d(5), Size2d(4, 7), Size2d(9, 6)})
    for (const Size2d kernel : {Size2d(1), Size2d(2), Size2d(3), Size2d(2, 4)})
      for (const Size2d stride : {Size2d(1), Size2d(2), Size2d(3, 1)})
        for (const Size2d padding : {Size2d(0), Size2d(1)})
          for (const int64_t dilation : {1, 2})
            for (const bool ceil_mode : {false, true})
              for (const bool include : {false, true}) {
                const int64_t reach = dilation * (std::min(kernel.height, kernel.width) - 1) + 1;
                const bool average = dilation == 1;
                if (2 * padding.height > reach ||
                    size.height + 2 * padding.height < dilation * (kernel.height - 1) + 1 ||
                    size.width + 2 * padding.width < dilation * (kernel.width - 1) + 1)
                  continue;
                const Tensor x = randn({2, size.height, size.width}, float64);
                const Shape shape{
                    2, output_size(size.height, kernel.height, stride.height, padding.height, dilation, ceil_mode),
                    output_size(size.width, kernel.width, stride.width, padding.width, dilation, ceil_mode)};
                std::vector<double> largest, means;
                for (int64_t i = 0; i < shape.numel(); ++i) {
                  const int64_t row = i / shape[2] % shape[1], column = i % shape[2];
                  const Size2d start{row * stride.height - padding.height, column * stride.width - padding.width};
                  for (const bool mean : {false, true})
                    (mean ? means : largest)
                        .push_back(
                            pooled(x, i / (shape[1] * shape[2]), start, kernel, padding, dilation, mean, include));
                }
                CHECK(distance(max_pool2d(x, kernel, {stride, padding, dilation, ceil_mode}),
                               Tensor(largest, shape, float64)) == 0);
                if (average)
                  CHECK(distance(avg_pool2d(x, kernel, {stride, padding, ceil_mode, include}),
                                 Tensor(means, shape, float64)) < 1e-14);
              }
}

TEST_CASE("the gradient of max pooling goes to the first of the largest elements") {
  const Tensor x = Tensor({1, 2, 2, 0, 2, 1, 0, 0, 0}, {1, 1, 3, 3}).requires_grad();
  const Tensor y = max_pool2d(x, 2, {.stride = 1});
  CHECK(y.to_vector<float>() == std::vector<float>{2, 2, 2, 2});
  y.backward(Tensor({1, 10, 100, 1000}, {1, 1, 2, 2}));
  CHECK(x.grad().to_vector<float>() == std::vector<float>{0, 11, 0, 0, 1100, 0, 0, 0, 0});
}

TEST_CASE("NaN and −∞ in max pooling") {
  const float nan = std::numeric_limits<float>::quiet_NaN(), infinity = std::numeric_limits<float>::infinity();
  const Tensor x = Tensor({1, nan, 2, 3, -infinity, -infinity, -infinity, -infinity}, {1, 1, 2, 4}).requires_grad();
  const Tensor y = max_pool2d(x, 2);
  CHECK(std::isnan(y.at(0)));
  CHECK(y.at(1) == 3);
  CHECK(max_pool2d(narrow(x, 2, 1, 1), {1, 2}).at(0) == -infinity);
  sum(y).backward();
  CHECK(x.grad().to_vector<float>() == std::vector<float>{0, 1, 0, 1, 0, 0, 0, 0});
}

TEST_CASE("a released max pooling says so") {
  const Tensor x = randn({1, 1, 4, 4}).requires_grad();
  const Tensor loss = sum(max_pool2d(x, 2));
  loss.backward();
  CHECK(error_here([&] { loss.backward(); }).find("retain_graph") != std::string::npos);
}

TEST_CASE("the results of pooling do not depend on the number of threads") {
  manual_seed(2);
  const Tensor x = randn({16, 8, 15, 17}).requires_grad();
  std::vector<std::vector<float>> results;
  const int before = num_threads();
  for (const int threads : {1, 2, 3}) {
    set_num_threads(threads);
    const Tensor y = max_pool2d(x, 3, {.stride = 1}), z = avg_pool2d(x, 3, {.stride = 1});
    results.push_back(grad(sum(square(y * z)), x).to_vector<float>());
  }
  set_num_threads(before);
  CHECK(results[0] == results[1]);
  CHECK(results[0] == results[2]);
}

TEST_CASE("adaptive pooling and other numbers of dimensions") {
  const Tensor x = arange(0, 12, 1, float32);
  CHECK(adaptive_avg_pool1d(reshape(x, {1, 1, 12}), 5).to_vector<float>() == std::vector<float>{1, 3, 5.5, 8, 10});
  CHECK(adaptive_max_pool2d(reshape(x, {3, 4}), {2, 1}).to_vector<float>() == std::vector<float>{7, 11});
  CHECK(adaptive_avg_pool2d(reshape(x, {2, 1, 1, 2, 3}), 1).shape() == Shape{2, 1, 1, 1, 1});
  CHECK(adaptive_avg_pool2d(reshape(x, {3, 4}), {3, 8}).shape() == Shape{3, 8});
  CHECK(max_pool1d(reshape(x, {4, 3}), 3).to_vector<float>() == std::vector<float>{2, 5, 8, 11});
  CHECK(avg_pool1d(zeros({0, 3, 4}), 2).shape() == Shape{0, 3, 2});
  const Tensor none = zeros({0, 3, 4, 4}).requires_grad();
  sum(max_pool2d(none, 2)).backward();
  CHECK(none.grad().shape() == Shape{0, 3, 4, 4});
}

TEST_CASE("interpolation as in PyTorch") {
  const Tensor x = Tensor({1, 2, 3, 4}, {1, 1, 2, 2});
  CHECK(interpolate(x, {.size = {2, 5}}).to_vector<float>() == std::vector<float>{1, 1, 1, 2, 2, 3, 3, 3, 4, 4});
  CHECK(interpolate(x, {.scale_factor = 1.5}).shape() == Shape{1, 1, 3, 3});
  const Tensor smooth = interpolate(x, {.scale_factor = 2, .mode = Interpolation::bilinear});
  CHECK(narrow(smooth, 2, 0, 2).to_vector<float>() == std::vector<float>{1, 1.25, 1.75, 2, 1.5, 1.75, 2.25, 2.5});
  const Tensor aligned = interpolate(x, {.size = 3, .mode = Interpolation::bilinear, .align_corners = true});
  CHECK(aligned.to_vector<float>() == std::vector<float>{1, 1.5, 2, 2, 2.5, 3, 3, 3.5, 4});
}

TEST_CASE("errors of pooling and interpolation") {
  const Tensor x = zeros({1, 2, 4, 4});
  CHECK(error_here([&] { max_pool2d(x, 5); }) ==
        "max_pool2d: the window (5) is larger than a dimension of x with its padding (4) (here)");
  CHECK(error_here([&] { max_pool2d(x, 0); }) ==
        "max_pool2d: kernel_size is 0; it must be at least 1 and at most 2^30 (here)");
  CHECK(error_here([&] {
          avg_pool2d(x, 2, {.stride = {0, 1}});
        }) == "avg_pool2d: stride is 0; it must be at least 1 and at most 2^30 (here)");
  CHECK(error_here([&] { avg_pool2d(x, 2, {.padding = 2}); }) ==
        "avg_pool2d: padding is 2; it must be at most half the size of the window (2) (here)");
  CHECK(error_here([&] {
          max_pool1d(zeros({1, 1, 1}), 2, {.padding = 1, .dilation = 2});
        }) == "max_pool1d: a window holds nothing but padding (here)");
  CHECK(error_here([&] { max_pool2d(zeros({4}), 2); }) ==
        "max_pool2d: x is [4]; it must be [..., H, W], with H and W at least 1 (here)");
  CHECK(error_here([&] {
          avg_pool1d(zeros({1, 0}), 2);
        }) == "avg_pool1d: x is [1, 0]; it must be [..., L], with L at least 1 (here)");
  CHECK(error_here([&] {
          max_pool2d(zeros({1, 2, 4, 4}, int64), 2);
        }) == "max_pool2d: x holds int64; convert it first: to(x, float32) (here)");
  CHECK(error_here([&] {
          adaptive_avg_pool2d(x, {1, 0});
        }) == "adaptive_avg_pool2d: output_size is 0; it must be at least 1 (here)");
  CHECK(error_here([&] { interpolate(x, {}); }) == "interpolate: give either size or scale_factor (here)");
  CHECK(error_here([&] { interpolate(x, {.scale_factor = -1}); }) ==
        "interpolate: scale_factor is -1.000000; it must be positive, and not make x too large (here)");
  CHECK(error_here([&] { interpolate(x, {.scale_factor = 0.1}); }) ==
        "interpolate: x is [1, 2, 4, 4] and the size of the result [0, 0]; it must be at least 1 and at most 2^30 "
        "(here)");
}

TEST_CASE("pooling layers are the functions, with PyTorch's settings") {
  manual_seed(3);
  const Tensor x = randn({2, 3, 9, 8}), line = randn({2, 3, 9});
  CHECK(distance(nn::MaxPool2d{2}(x), max_pool2d(x, 2)) == 0);
  CHECK(distance(nn::MaxPool2d{3, 2, 1}(x), max_pool2d(x, 3, {.stride = 2, .padding = 1})) == 0);
  CHECK(distance(nn::MaxPool1d{.kernel_size = 2, .stride = 1}(line), max_pool1d(line, 2, {.stride = 1})) == 0);
  CHECK(distance(nn::AvgPool2d{.kernel_size = {3, 2}, .padding = 1, .count_include_pad = false}(x),
                 avg_pool2d(x, {3, 2}, {.padding = 1, .count_include_pad = false})) == 0);
  CHECK(distance(nn::AvgPool1d{4}(line), avg_pool1d(line, 4)) == 0);
  CHECK(distance(nn::AdaptiveAvgPool2d{1}(x), adaptive_avg_pool2d(x, 1)) == 0);
  CHECK(distance(nn::AdaptiveAvgPool1d{4}(line), adaptive_avg_pool1d(line, 4)) == 0);
  CHECK(distance(nn::AdaptiveMaxPool2d{{2, 3}}(x), adaptive_max_pool2d(x, {2, 3})) == 0);
  CHECK(distance(nn::Upsample{.scale_factor = 2}(x), interpolate(x, {.scale_factor = 2})) == 0);
  CHECK(text(nn::MaxPool2d{{3, 2}}) ==
        "MaxPool2d(kernel_size={3, 2}, stride=0, padding=0, dilation=1, ceil_mode=false)");
  CHECK(text(nn::Upsample{.size = 7, .mode = Interpolation::bilinear}) ==
        "Upsample(size=7, scale_factor=0, mode=bilinear, align_corners=false)");
}
