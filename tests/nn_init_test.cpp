#include <doctest/doctest.h>

#include <cmath>

#include "nn/init.h"
#include "ops/create.h"
#include "ops/matmul.h"
#include "ops/reduce.h"
#include "ops/view.h"
#include "tests/files.h"

using namespace gradus;
using files::error_text;

namespace {

// Mean, standard deviation and extremes of 100,000 drawn numbers.
struct Sample {
  double mean, deviation, low, high;
};
Sample sample(const Tensor& x) {
  return {gradus::mean(x).item<double>(), gradus::std(x).item<double>(), amin(x).item<double>(),
          amax(x).item<double>()};
}

Tensor big() { return Tensor::empty({250, 400}); }

void check_uniform(const Tensor& x, double low, double high) {
  const Sample s = sample(x);
  const double width = high - low;
  CHECK(s.low >= low);
  CHECK(s.high <= high);
  CHECK(s.low < low + 0.001 * width);
  CHECK(s.high > high - 0.001 * width);
  CHECK(s.mean == doctest::Approx((low + high) / 2).epsilon(0.005 * (1 + width)));
  CHECK(s.deviation == doctest::Approx(width / std::sqrt(12.)).epsilon(0.01));
}

void check_normal(const Tensor& x, double mean, double deviation) {
  const Sample s = sample(x);
  CHECK(std::abs(s.mean - mean) < 0.02 * deviation);
  CHECK(s.deviation == doctest::Approx(deviation).epsilon(0.01));
  CHECK(s.high > mean + 3.5 * deviation);
  CHECK(s.low < mean - 3.5 * deviation);
}

}  // namespace

TEST_CASE("constants overwrite a tensor in place and return it") {
  const Tensor x = Tensor::empty({2, 3}).requires_grad();
  CHECK(init::constant_(x, 2.5).is(x));
  CHECK(x.to_vector<float>() == std::vector<float>(6, 2.5));
  CHECK(init::ones_(x).to_vector<float>() == std::vector<float>(6, 1));
  CHECK(init::zeros_(x).to_vector<float>() == std::vector<float>(6, 0));
  CHECK(x.is_leaf());
  CHECK(x.needs_grad());
}

TEST_CASE("uniform_ and normal_") {
  manual_seed(1);
  check_uniform(init::uniform_(big()), 0, 1);
  check_uniform(init::uniform_(big(), -3, -1), -3, -1);
  check_normal(init::normal_(big()), 0, 1);
  check_normal(init::normal_(big(), 5, 0.1), 5, 0.1);
  check_normal(init::normal_(Tensor::empty({100000}, float64)), 0, 1);
}

TEST_CASE("Glorot's and He's bounds and deviations") {
  manual_seed(2);
  const Tensor weight = big();  // 250 outputs, 400 inputs
  check_uniform(init::xavier_uniform_(weight), -std::sqrt(6. / 650), std::sqrt(6. / 650));
  check_normal(init::xavier_normal_(weight, 2), 0, 2 * std::sqrt(2. / 650));
  check_uniform(init::kaiming_uniform_(weight, {.a = std::sqrt(5.)}), -1 / std::sqrt(400.), 1 / std::sqrt(400.));
  check_normal(init::kaiming_normal_(weight), 0, std::sqrt(2. / 400));
  check_normal(init::kaiming_normal_(weight, {.mode = init::Fan::out, .nonlinearity = init::Nonlinearity::tanh}), 0,
               5. / 3 / std::sqrt(250.));
}

TEST_CASE("fans count the kernel, and gains are PyTorch's") {
  const init::Fans fans = init::calculate_fans(Tensor::empty({8, 3, 5, 5}));
  CHECK(fans.in == 75);
  CHECK(fans.out == 200);
  using enum init::Nonlinearity;
  CHECK(init::calculate_gain(linear) == 1);
  CHECK(init::calculate_gain(sigmoid) == 1);
  CHECK(init::calculate_gain(tanh) == doctest::Approx(5. / 3));
  CHECK(init::calculate_gain(relu) == doctest::Approx(std::sqrt(2.)));
  CHECK(init::calculate_gain(leaky_relu, 0.2) == doctest::Approx(1.3867504905630728));
  CHECK(init::calculate_gain(selu) == 0.75);
}

TEST_CASE("trunc_normal_ has the tails cut off, and the deviation of what is left") {
  manual_seed(3);
  // Of the standard normal distribution between -2 and 2: sqrt(1 - 2·2·φ(2) / (2Φ(2) - 1)).
  const Sample s = sample(init::trunc_normal_(big()));
  CHECK(s.low >= -2);
  CHECK(s.high <= 2);
  CHECK(s.low < -1.99);
  CHECK(s.high > 1.99);
  CHECK(std::abs(s.mean) < 0.01);
  CHECK(s.deviation == doctest::Approx(0.879626).epsilon(0.01));
  // Far out on either side it falls off like exp(-5x): the mean lies 0.1865 beyond 5.
  const Sample right = sample(init::trunc_normal_(big(), 0, 1, 5, 20)),
               left = sample(init::trunc_normal_(big(), 0, 1, -20, -5));
  CHECK(right.low >= 5);
  CHECK(right.mean == doctest::Approx(5.1865).epsilon(0.001));
  CHECK(left.high <= -5);
  CHECK(left.mean == doctest::Approx(-5.1865).epsilon(0.001));
  const Sample moved = sample(init::trunc_normal_(big(), 1, 0.02, 0, 2));
  CHECK(moved.mean == doctest::Approx(1).epsilon(0.001));
  CHECK(moved.deviation == doctest::Approx(0.02).epsilon(0.01));
}

TEST_CASE("orthogonal_ makes rows or columns orthogonal") {
  manual_seed(4);
  const auto check_identity = [](const Tensor& product, double scale) {
    const int64_t n = product.size(0);
    for (int64_t i = 0; i < n * n; ++i) CHECK(std::abs(product.at(i) - (i % (n + 1) == 0 ? scale : 0)) < 1e-6);
  };
  const Tensor wide = init::orthogonal_(Tensor::empty({4, 7})), tall = init::orthogonal_(Tensor::empty({7, 4}), 2);
  check_identity(matmul(wide, t(wide)), 1);
  check_identity(matmul(t(tall), tall), 4);
  const Tensor kernel = init::orthogonal_(Tensor::empty({3, 2, 2, 2}));
  check_identity(matmul(reshape(kernel, {3, 8}), t(reshape(kernel, {3, 8}))), 1);
  // Both signs occur on the diagonal: the distribution is uniform, not tied to the signs that QR prefers.
  int positive = 0;
  for (int i = 0; i < 200; ++i) positive += init::orthogonal_(Tensor::empty({1, 1})).item() > 0;
  CHECK(positive > 60);
  CHECK(positive < 140);
}

TEST_CASE("a generator of one's own gives the same numbers again and leaves the default one alone") {
  Generator generator(7);
  const GeneratorState before = default_generator().state();
  const auto values = init::normal_(Tensor::empty({10}), 0, 1, generator).to_vector<float>();
  CHECK(init::normal_(Tensor::empty({10}), 0, 1, generator).to_vector<float>() != values);
  generator.manual_seed(7);
  CHECK(init::normal_(Tensor::empty({10}), 0, 1, generator).to_vector<float>() == values);
  CHECK(default_generator().state() == before);
}

TEST_CASE("initialisers work in every floating-point dtype, and on views") {
  manual_seed(5);
  for (const Dtype dtype : {float64, bfloat16}) {
    const Tensor x = init::kaiming_uniform_(Tensor::empty({50, 40}, dtype));
    CHECK(x.dtype() == dtype);
    CHECK(gradus::std(to(x, float64)).item<double>() == doctest::Approx(std::sqrt(2. / 40)).epsilon(0.05));
  }
  const Tensor matrix = zeros({3, 2});
  init::ones_(select(matrix, 1, 1));
  CHECK(matrix.to_vector<int>() == std::vector<int>{0, 1, 0, 1, 0, 1});
}

TEST_CASE("tensors that cannot be initialised are errors") {
  CHECK(error_text([] { init::xavier_normal_(Tensor::empty({5})); }) ==
        "xavier_normal_: the weight has shape [5]; fans need [out, in] or [out, in, kernel...], none of them 0");
  CHECK(error_text([] {
          init::kaiming_normal_(Tensor::empty({5, 0}));
        }) ==
        "kaiming_normal_: the weight has shape [5, 0]; fans need [out, in] or [out, in, kernel...], none of them 0");
  CHECK(error_text([] { init::orthogonal_(Tensor::empty({5})); }) ==
        "orthogonal_: the weight has shape [5]; at least two dimensions are needed, none of them 0");
  CHECK(error_text([] { init::trunc_normal_(big(), 0, 1, 2, 2); }) ==
        "trunc_normal_: low is 2 and high 2; low must be the lesser");
  CHECK(error_text([] { init::trunc_normal_(big(), 0, 0); }) ==
        "trunc_normal_: the standard deviation is 0; it must be greater than 0");
  CHECK(error_text([] { init::normal_(arange(3)); }).starts_with("normal_: "));
}
