#include "nn/summary.h"

#include <doctest/doctest.h>

#include "nn/activation.h"
#include "nn/dropout.h"
#include "nn/embedding.h"
#include "nn/linear.h"
#include "nn/sequential.h"
#include "ops/activation.h"
#include "ops/arithmetic.h"
#include "ops/create.h"
#include "ops/exponential.h"
#include "ops/matmul.h"
#include "ops/view.h"
#include "tests/checks.h"

using namespace gradus;

namespace {

struct Perceptron {
  nn::Linear hidden{784, 256};
  nn::Dropout dropout{0.5};
  nn::Linear out{256, 10};
  Tensor operator()(const Tensor& x) const { return out(dropout(relu(hidden(flatten(x, 1))))); }
  GRADUS_FIELDS(hidden, dropout, out)
};

struct Head {
  nn::Linear query{8, 4}, key{8, 4};
  Tensor operator()(const Tensor& x) const {
    const Tensor q = query(x);
    return q * key(x);
  }
  GRADUS_FIELDS(query, key)
};

// Ends in a product with the table of the first layer ("tied weights").
struct Text {
  nn::Embedding token{100, 8};
  Head head;
  nn::Linear back{4, 8};
  Tensor scale = ones({4}).requires_grad(), fixed = ones({3, 4}), idle = ones({2, 3}).requires_grad();
  Tensor operator()(const Tensor& index) const {
    return matmul(back(head(token(index)) * exp(scale)), transpose(token.weight, 0, 1));
  }
  GRADUS_FIELDS(token, head, back, scale, fixed, idle)
};

}  // namespace

TEST_CASE("summary: layers, results and parameters") {
  Perceptron net;
  CHECK(summary(net, zeros({1, 1, 28, 28})) ==
        "layer   operation  output shape  parameters\n"
        "hidden  linear     [1, 256]         200,960\n"
        "        relu       [1, 256]\n"
        "out     linear     [1, 10]            2,570\n"
        "203,530 parameters, 0.78 MiB\n");
  nn::Sequential list{nn::Linear{2, 3}, nn::Tanh{}, nn::Linear{3, 1, {.bias = false}}};
  CHECK(summary(list, zeros({5, 4, 2})) ==
        "layer  operation  output shape  parameters\n"
        "0      linear     [5, 4, 3]              9\n"
        "       tanh       [5, 4, 3]\n"
        "2      matmul     [5, 4, 1]              3\n"
        "12 parameters, 0.00 MiB\n");
}

TEST_CASE("summary: indices, shared, frozen and unused parameters") {
  Text net;
  const std::string expected =
      "layer       operation  output shape  parameters\n"
      "token       embedding  [2, 5, 8]            800\n"
      "head.query  linear     [2, 5, 4]             36\n"
      "head.key    linear     [2, 5, 4]             36\n"
      "            mul        [2, 5, 4]\n"
      "scale       mul        [2, 5, 4]              4\n"
      "back        linear     [2, 5, 8]             40\n"
      "token       matmul     [2, 5, 100]      (again)\n"
      "922 parameters and 12 other values, 0.00 MiB\n"
      "without a part in the result: idle\n";
  CHECK(summary(net, zeros({2, 5}, int64)) == expected);
  freeze(net);
  CHECK(summary(net, zeros({2, 5}, int64)) ==
        "layer  operation  output shape  parameters\n0 parameters and 934 other "
        "values, 0.00 MiB\n");
}

TEST_CASE("summary: the network stays as it was, and nothing is left behind") {
  manual_seed(1);
  Perceptron net;
  {
    const checks::NoLeaks no_leaks;
    const GeneratorState state = default_generator().state();
    summary(net, zeros({2, 784}));
    CHECK(default_generator().state() == state);
  }
  CHECK(net.dropout.training);
  CHECK(grad_enabled());
  CHECK(!net.hidden.weight.grad().defined());
}
