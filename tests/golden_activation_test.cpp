#include <doctest/doctest.h>

#include "nn/activation.h"
#include "ops/activation.h"
#include "ops/softmax.h"
#include "tests/golden.h"

using namespace gradus;

TEST_CASE("golden: activations agree with PyTorch") {
  golden::File file("activation");
  file.function("relu", relu);
  file.function("leaky_relu", [](const Tensor& x) { return leaky_relu(x); });
  file.function("leaky_relu_0.2", [](const Tensor& x) { return leaky_relu(x, 0.2); });
  file.function("elu", [](const Tensor& x) { return elu(x); });
  file.function("elu_0.7", [](const Tensor& x) { return elu(x, 0.7); });
  file.function("selu", selu);
  file.function("sigmoid", sigmoid);
  file.function("tanh", [](const Tensor& x) { return tanh(x); });
  file.function("softplus", softplus);
  file.function("gelu", gelu);
  file.function("gelu_tanh", gelu_tanh);
  file.function("softsign", softsign);
  file.function("silu", silu);
  file.function("mish", mish);
  file.function("hardswish", hardswish);
  file.function("softmax_0", [](const Tensor& x) { return softmax(x, 0); });
  file.function("softmax_1", [](const Tensor& x) { return softmax(x, 1); });
  file.function("softmax_middle", [](const Tensor& x) { return softmax(x, 1); });
  file.function("log_softmax_0", [](const Tensor& x) { return log_softmax(x, 0); });
  file.function("log_softmax_1", [](const Tensor& x) { return log_softmax(x, 1); });
  file.function("log_softmax_middle", [](const Tensor& x) { return log_softmax(x, 1); });
  file.layer("PReLU/one", [] { return nn::PReLU(); });
  file.layer("PReLU/channels", [] { return nn::PReLU(2); });
}
