#include <doctest/doctest.h>

#include <cmath>

#include "core/tape.h"
#include "derive/gradcheck.h"
#include "nn/activation.h"
#include "nn/dropout.h"
#include "nn/embedding.h"
#include "nn/flatten.h"
#include "nn/linear.h"
#include "nn/metrics.h"
#include "nn/sequential.h"
#include "ops/arithmetic.h"
#include "ops/create.h"
#include "ops/reduce.h"
#include "tests/files.h"

using namespace gradus;
using files::error_text;

namespace {

template <class T> std::string text(const T& value) {
  std::ostringstream out;
  out << value;
  return out.str();
}

}  // namespace

TEST_CASE("Linear computes x·Wᵀ + b, for any number of leading dimensions") {
  nn::Linear layer(3, 2);
  layer.weight = Tensor({1, 2, 3, 4, 5, 6}, {2, 3});
  layer.bias = Tensor({10, 20}, {2});
  CHECK(layer(Tensor({1, 0, -1}, {1, 3})).to_vector<float>() == std::vector<float>{8, 18});
  CHECK(layer(ones({3})).to_vector<float>() == std::vector<float>{16, 35});
  CHECK(layer(ones({4, 5, 3})).shape() == Shape{4, 5, 2});
  layer.relu = true;
  CHECK(layer(Tensor({-5, -5, 5}, {1, 3})).to_vector<float>() == std::vector<float>{10, 5});
  CHECK(layer(Tensor({-5, -5, 0}, {1, 3})).to_vector<float>() == std::vector<float>{0, 0});
  CHECK(text(layer) == "Linear(weight=[2, 3], bias=[2], relu=true)");
  layer.relu = false;
  layer.bias = {};
  CHECK(layer(ones({3})).to_vector<float>() == std::vector<float>{6, 15});
}

TEST_CASE("Linear starts like PyTorch's: weight and bias uniform in ±1/√in") {
  manual_seed(1);
  const nn::Linear layer(400, 250);
  for (const Tensor& x : {layer.weight, layer.bias}) {
    CHECK(x.needs_grad());
    CHECK(amax(abs(x)).item() <= 0.05f);
    CHECK(amax(abs(x)).item() > 0.049f);
    CHECK(std::abs(mean(x).item()) < 0.005f);
  }
  CHECK(gradus::std(layer.weight).item() == doctest::Approx(0.05 / std::sqrt(3.)).epsilon(0.01));
  CHECK_FALSE(nn::Linear(3, 2, {.bias = false}).bias.defined());
  CHECK(error_text([] { nn::Linear(0, 2); }) == "Linear: in is 0 and out 2; both must be at least 1");
}

TEST_CASE("a step made inside a layer keeps the line of the program that called the layer") {
  const nn::Sequential net{nn::Linear(3, 4), nn::Tanh(), nn::Linear(4, 2)};
  const int line = __LINE__ + 1;
  const Tensor y = net(ones({1, 3}));
  for (const auto& node : Tape(y)) CHECK(node->where().line == line);
  CHECK(Tape(y).size() == 3);
}

TEST_CASE("the gradients of a small network are right") {
  manual_seed(2);
  nn::Sequential net{nn::Linear(3, 4), nn::GELU(), nn::Linear(4, 2)};
  to(net, float64);
  const auto& [first, gelu, last] = net.layers;
  const Tensor x = randn({5, 3}, float64).requires_grad();
  CHECK(gradcheck([&](auto input, auto, auto, auto) { return sum(square(net(input))); }, x, first.weight, first.bias,
                  last.weight));
}

TEST_CASE("Sequential takes modules, functions and lambdas, by value") {
  manual_seed(3);
  const nn::Linear layer(2, 2);
  const nn::Sequential net{layer, [](const Tensor& x) { return x * 2; }, nn::Flatten{0}};
  const Tensor x = randn({3, 2});
  CHECK(net(x).shape() == Shape{6});
  CHECK(net(x).to_vector<float>() == (layer(x) * 2).to_vector<float>());
  CHECK(named_parameters(net).size() == 2);
  CHECK(named_parameters(net)[0].first == "0.weight");
  CHECK(nn::Sequential<>()(x).is(x));
}

TEST_CASE("activation layers are the functions of the same names") {
  const Tensor x = Tensor({-3, -1, -0.1, 0, 0.5, 2, 7, 1}, {2, 4});
  const auto same = [&](const Tensor& a, const Tensor& b) { return a.to_vector<float>() == b.to_vector<float>(); };
  CHECK(same(nn::ReLU()(x), relu(x)));
  CHECK(same(nn::LeakyReLU{0.3}(x), leaky_relu(x, 0.3)));
  CHECK(same(nn::ELU{2}(x), elu(x, 2)));
  CHECK(same(nn::SELU()(x), selu(x)));
  CHECK(same(nn::GELU()(x), gelu(x)));
  CHECK(same(nn::GELU{.approximate = true}(x), gelu_tanh(x)));
  CHECK(same(nn::SiLU()(x), silu(x)));
  CHECK(same(nn::Mish()(x), mish(x)));
  CHECK(same(nn::Hardswish()(x), hardswish(x)));
  CHECK(same(nn::Softplus()(x), softplus(x)));
  CHECK(same(nn::Softsign()(x), softsign(x)));
  CHECK(same(nn::Sigmoid()(x), sigmoid(x)));
  CHECK(same(nn::Tanh()(x), tanh(x)));
  CHECK(same(nn::Softmax{0}(x), softmax(x, 0)));
  CHECK(same(nn::LogSoftmax()(x), log_softmax(x, -1)));
  CHECK(text(nn::Sequential{nn::ReLU(), nn::LeakyReLU()}) ==
        "Sequential(\n  (0): ReLU()\n  (1): LeakyReLU(negative_slope=0.01)\n)");
}

TEST_CASE("Flatten merges all dimensions but the first") {
  CHECK(nn::Flatten()(zeros({2, 3, 4})).shape() == Shape{2, 12});
  CHECK(nn::Flatten{0, 1}(zeros({2, 3, 4})).shape() == Shape{6, 4});
}

TEST_CASE("Embedding looks up rows, and learns those it has looked up") {
  manual_seed(4);
  const nn::Embedding layer(5, 3);
  const Tensor y = layer(Tensor({4, 0, 4}, {3}, int64));
  CHECK(y.shape() == Shape{3, 3});
  CHECK(y.at(0) == layer.weight.at(12));
  CHECK(y.at(3) == layer.weight.at(0));
  sum(y).backward();
  CHECK(layer.weight.grad().to_vector<int>() == std::vector<int>{1, 1, 1, 0, 0, 0, 0, 0, 0, 0, 0, 0, 2, 2, 2});
  const nn::Embedding big(500, 200);
  CHECK(gradus::std(big.weight).item() == doctest::Approx(1).epsilon(0.01));
  CHECK(error_text([] { nn::Embedding(3, 0); }) == "Embedding: count is 3 and dim 0; both must be at least 1");
}

TEST_CASE("the padding of an Embedding starts as zero and does not learn") {
  const nn::Embedding layer(4, 2, {.padding_idx = 1});
  const Tensor y = layer(Tensor({1, 2, 1}, {1, 3}, int64));
  CHECK(y.shape() == Shape{1, 3, 2});
  CHECK(y.at(0) == 0);
  CHECK(y.at(2) != 0);
  sum(y).backward();
  CHECK(layer.weight.grad().to_vector<int>() == std::vector<int>{0, 0, 0, 0, 1, 1, 0, 0});
  CHECK(text(layer) == "Embedding(weight=[4, 2], padding_idx=1)");
  CHECK(nn::Embedding(4, 2, {.padding_idx = -1}).padding_idx == 3);
}

TEST_CASE("Dropout drops and scales in training, and does nothing in evaluation") {
  manual_seed(5);
  nn::Dropout layer{0.25};
  const Tensor x = ones({100000}), y = layer(x);
  int64_t dropped = 0, scaled = 0;
  for (const float value : y.to_vector<float>()) dropped += value == 0, scaled += value == 1 / 0.75f;
  CHECK(dropped + scaled == 100000);
  CHECK(double(dropped) == doctest::Approx(25000).epsilon(0.03));
  eval(layer);
  CHECK(layer(x).to_vector<float>() == x.to_vector<float>());
  CHECK(text(layer) == "Dropout(p=0.25, training=false)");
}

TEST_CASE("accuracy() counts in evaluation mode, batch by batch") {
  const data::TensorDataset set{Tensor({9, 1, 0, 2, 8, 3, 5, 4, 6, 7}, {5, 2}), Tensor({0, 1, 1, 1, 1}, {5}, int64)};
  nn::Sequential net{nn::Dropout{1}};
  for (const int64_t batch : {1, 2, 5, 100}) CHECK(accuracy(net, set, batch) == doctest::Approx(0.6));
  CHECK(std::get<0>(net.layers).training);
  const auto plain = [](const Tensor& x) { return x; };
  CHECK(accuracy(plain, set) == doctest::Approx(0.6));
  CHECK(error_text([&] { accuracy(plain, set, 0); }) == "accuracy: batch is 0; it must be at least 1");
  CHECK(error_text([&] {
          accuracy(plain, {zeros({2, 3}), zeros({2, 1}, int64)});
        }) == "count_correct: the scores are [2, 3] and the classes [2, 1]; they must be [N, C] and [N]");
  CHECK(error_text([&] { accuracy(plain, {zeros({0, 3}), zeros({0}, int64)}); }) == "accuracy: the dataset is empty");
}

TEST_CASE("Average weighs what it is given") {
  Average loss;
  CHECK(error_text([&] { loss.mean(); }) == "Average: there is no mean, for nothing was added");
  loss.add(2, 64);
  loss.add(5, 32);
  CHECK(loss.mean() == doctest::Approx(3));
  loss = {};
  loss.add(7);
  CHECK(loss.mean() == 7);
}

TEST_CASE("a ConfusionMatrix counts who is taken for whom") {
  ConfusionMatrix matrix(3);
  matrix.add(Tensor({0, 1, 1, 2}, {4}, int64), Tensor({0, 0, 1, 2}, {4}, int64));
  matrix.add(Tensor({1}, {1}, int64), Tensor({0}, {1}, int64));
  CHECK(matrix.count(0, 1) == 2);
  CHECK(matrix.count(1, 0) == 0);
  CHECK(matrix.accuracy() == doctest::Approx(0.6));
  CHECK(matrix.recall(0) == doctest::Approx(1. / 3));
  CHECK(matrix.precision(1) == doctest::Approx(1. / 3));
  std::ostringstream out;
  matrix.print(out, {"shirt", "coat", "sneaker"});
  CHECK(out.str() ==
        "actual   shirt   coat  sneak  recall\n"
        "shirt        1      2      0   33.3%\n"
        "coat         0      1      0  100.0%\n"
        "sneaker      0      0      1  100.0%\n");
  CHECK(error_text([&] { matrix.add(Tensor({3}, {1}, int64), Tensor({0}, {1}, int64)); }) ==
        "ConfusionMatrix: there is no class 3; they go from 0 to 2");
  CHECK(error_text([] { ConfusionMatrix(0); }) == "ConfusionMatrix: there must be at least 1 class, not 0");
}
