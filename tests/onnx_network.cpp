// ONNX's matrix products, normalisations, recurrent networks and optimisers.

#include "nn/optim.h"
#include "nn/rnn.h"
#include "ops/arithmetic.h"
#include "ops/exponential.h"
#include "ops/join.h"
#include "ops/matmul.h"
#include "ops/norm.h"
#include "ops/reduce.h"
#include "ops/softmax.h"
#include "ops/view.h"
#include "tests/onnx_operators.h"

namespace gradus::onnx {
namespace {

// alpha·a·b + beta·c, of matrices or their transposes.
Results gemm(const Node& node) {
  const Tensor a = node.integer("transA", 0) ? t(node[0]) : node[0], c = node[2];
  const bool transposed = node.integer("transB", 0);
  const double alpha = node.number("alpha", 1), beta = node.number("beta", 1);
  if (transposed && alpha == 1 && beta == 1 && (!c.defined() || c.dim() == 1)) return linear(a, node[1], c);
  const Tensor product = alpha * matmul(a, transposed ? t(node[1]) : node[1]);
  return c.defined() ? product + beta * c : product;
}

// There, the momentum is the weight of the old statistics.
Results batch_normalization(const Node& node) {
  const Tensor running_mean = clone(node[3]), running_var = clone(node[4]);
  const Tensor y = batch_norm(node[0], running_mean, running_var, node[1], node[2],
                              {.training = node.integer("training_mode", 0) != 0,
                               .momentum = 1 - node.number("momentum", 0.9),
                               .eps = node.number("epsilon", 1e-5)});
  return Tensors{y, running_mean, running_var};
}

Results instance_normalization(const Node& node) {
  return instance_norm(node[0], node[1], node[2], node.number("epsilon", 1e-5));
}

Results layer_normalization(const Node& node) {
  const Tensor& x = node[0];
  const double eps = node.number("epsilon", 1e-5);
  Shape shape;
  Dims dims(std::initializer_list<int64_t>{});
  for (int i = normalize_dim(node.integer("axis", -1), x.dim()); i < x.dim(); ++i) {
    shape.push_back(x.size(i));
    dims.list.push_back(i);
  }
  return Tensors{layer_norm(x, shape, node[1], node[2], eps), mean(x, dims, true),
                 rsqrt(var(x, dims, true, /*correction=*/0) + eps)};
}

Results dropout_of(const Node& node) {
  const double ratio = node[1].defined() ? node[1].item<double>() : node.number("ratio", 0.5);
  return dropout(node[0], ratio, node[2].defined() && node[2].item<bool>());
}

// Weights or biases of all gates, [gates·H, …], with the gates in another order.
Tensor reorder(const Tensor& x, const std::vector<int64_t>& order) {
  const Tensors gates = chunk(x, int64_t(order.size()));
  Tensors ordered;
  for (const int64_t gate : order) ordered.push_back(gates[size_t(gate)]);
  return cat(ordered);
}

// One layer in one direction. With layout 1, states are [B, 1, H] instead of [1, B, H], and x is [B, T, I].
template <class Layer> Results recurrent(const Node& node, const std::vector<int64_t>& order) {
  const Tensor x = node[0], weight = select(node[1], 0, 0), recurrence_weight = select(node[2], 0, 0), bias = node[3];
  const bool batch_first = node.integer("layout", 0);
  const auto state = [&](const Tensor& h) { return h.defined() && batch_first ? transpose(h, 0, 1) : h; };

  Layer layer(x.size(2), recurrence_weight.size(1), {.bias = bias.defined(), .batch_first = batch_first});
  auto& weights = layer.weights[0];
  weights.weight_ih = reorder(weight, order);
  weights.weight_hh = reorder(recurrence_weight, order);
  if (bias.defined()) {
    const Tensors biases = chunk(select(bias, 0, 0), 2);
    weights.bias_ih = reorder(biases[0], order);
    weights.bias_hh = reorder(biases[1], order);
  }
  nn::RecurrentInputs inputs{.h_0 = state(node[5]), .lengths = node[4]};
  if constexpr (std::is_same_v<Layer, nn::LSTM>) {
    inputs.c_0 = state(node[6]);
    const auto [output, h_n, c_n] = layer(x, inputs);
    return Tensors{unsqueeze(output, batch_first ? 2 : 1), state(h_n), state(c_n)};
  } else {
    const auto [output, h_n] = layer(x, inputs);
    return Tensors{unsqueeze(output, batch_first ? 2 : 1), state(h_n)};
  }
}

// The learning rate, the number of steps taken, then all parameters, all gradients and all momenta. A first step adds
// the whole gradient to the momentum.
Results momentum(const Node& node) {
  const size_t count = (node.size() - 2) / 3;
  const int64_t step = node[1].item<int64_t>();
  const double beta = node.number("beta", 1);
  Tensors parameters, momenta;
  for (size_t i = 0; i < count; ++i) {
    parameters.push_back(clone(node[2 + i]).requires_grad());
    parameters[i].set_grad(node[2 + count + i]);
  }
  optim::SGD sgd(parameters, {.lr = node[0].item<double>(),
                              .momentum = node.number("alpha", 0),
                              .dampening = step > 0 ? 1 - beta : 0,
                              .weight_decay = node.number("norm_coefficient", 0),
                              .nesterov = node.text("mode", "standard") == "nesterov"});
  auto state = sgd.state_dict();
  const auto name = [](size_t i, const char* what) { return std::to_string(i) + what; };
  for (size_t i = 0; i < count; ++i) {
    state[name(i, ".step")] = Tensor(double(step + 1), int64);
    state[name(i, ".momentum_buffer")] = node[2 + 2 * count + i];
  }
  sgd.load_state_dict(state);
  sgd.step();
  for (size_t i = 0; i < count; ++i) momenta.push_back(sgd.state_dict().at(name(i, ".momentum_buffer")));
  parameters.insert(parameters.end(), momenta.begin(), momenta.end());
  return parameters;
}

}  // namespace

Operators network_operators() {
  return {
      {"BatchNormalization", {7, batch_normalization}},
      {"Dropout", {8, dropout_of}},
      {"GRU",
       {4,
        [](const Node& node) {
          return recurrent<nn::GRU>(node, {1, 0, 2});
        }}},  // z, r, h
      {"Gemm", {13, gemm}},
      {"InstanceNormalization", {2, instance_normalization}},
      {"LSTM",
       {3,
        [](const Node& node) {
          return recurrent<nn::LSTM>(node, {0, 2, 3, 1});
        }}},  // i, o, f, c
      {"LayerNormalization", {19, layer_normalization}},
      {"MatMul", {3, [](const Node& node) { return matmul(node[0], node[1]); }}},
      {"Momentum", {3, momentum}},
      {"RNN", {4, [](const Node& node) { return recurrent<nn::RNN>(node, {0}); }}},
  };
}

}  // namespace gradus::onnx
