// Networks trained on the device and on the CPU: the losses must be the same.

#include <doctest/doctest.h>

#include <cmath>

#include "core/cuda.h"
#include "gradus.h"

using namespace gradus;

namespace {

struct Mlp {
  nn::Linear hidden{784, 256}, out{256, 10};
  Tensor operator()(const Tensor& image) const { return out(relu(hidden(flatten(image, 1)))); }
  GRADUS_FIELDS(hidden, out)
};

struct Cnn {
  nn::Conv2d conv1{1, 16, 3, {.padding = 1, .bias = false}};
  nn::BatchNorm2d norm1{16};
  nn::Conv2d conv2{16, 32, 3, {.padding = 1}};
  nn::LayerNorm norm2{Shape{32 * 7 * 7}};
  nn::Dropout dropout{0.25};
  nn::Linear out{32 * 7 * 7, 10};
  Tensor operator()(const Tensor& image) const {
    const Tensor x = max_pool2d(relu(norm1(conv1(image))), 2);
    return out(dropout(norm2(flatten(max_pool2d(gelu(conv2(x)), 2), 1))));
  }
  GRADUS_FIELDS(conv1, norm1, conv2, norm2, dropout, out)
};

// The loss of each of the first steps of training on Fashion-MNIST.
template <class Net> std::vector<double> losses(Device device, int64_t steps) {
  static const data::TensorDataset images = data::fashion_mnist({.flatten = false}).train.slice(0, 1024);
  manual_seed(1);
  Net net;
  to(net, device);
  optim::Adam adam(parameters(net), {.lr = 1e-3});
  std::vector<double> found;
  for (auto [image, label] : data::Loader(images, {.batch = 32, .shuffle = true, .device = device})) {
    if (int64_t(found.size()) == steps) break;
    const Tensor loss = cross_entropy(net(image), label);
    adam.zero_grad();
    loss.backward();
    clip_grad_norm_(parameters(net), 5);
    adam.step();
    found.push_back(loss.item<double>());
  }
  return found;
}

template <class Net> void compare() {
  const std::vector<double> expected = losses<Net>(Device::cpu(), 30), found = losses<Net>(Device::cuda(), 30);
  REQUIRE(found.size() == 30);
  for (size_t i = 0; i < found.size(); ++i) CHECK(std::abs(found[i] - expected[i]) <= 1e-3 * expected[i]);
  CHECK(found.back() < 0.7 * found.front());
}

}  // namespace

TEST_CASE("cuda: a multilayer perceptron learns as on the CPU") { compare<Mlp>(); }
TEST_CASE("cuda: a convolutional network learns as on the CPU") { compare<Cnn>(); }
