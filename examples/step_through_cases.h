#pragma once
// Textbook derivations small enough to follow by hand. Each case is a function that names its tensors and returns the
// loss.

#include <gradus.h>

#include <cmath>
#include <map>
#include <string>

namespace gradus::cases {

/// Gives a parameter of a layer values chosen by hand.
inline void set(const Tensor& parameter, const Tensor& values) {
  const NoGrad off;
  assign(parameter, reshape(values, parameter.shape()));
}

inline Tensor scalar() {
  const Tensor a = Tensor(2).named("a").requires_grad();
  const Tensor b = Tensor(-3).named("b").requires_grad();
  const Tensor c = Tensor(6.5).named("c").requires_grad();
  const Tensor y = tanh(a * b + c).named("y");
  return square(y - 1);
}

struct Network {
  nn::Linear hidden{2, 3}, out{3, 2};
  Tensor operator()(const Tensor& x) const { return out(tanh(hidden(x))); }
  GRADUS_FIELDS(hidden, out)
};

inline Tensor mlp() {
  const Network net;
  parameters(net);  // names them: hidden.weight, …
  set(net.hidden.weight, tensor({{1, 0}, {0, 1}, {1, -1}}));
  set(net.hidden.bias, tensor({0, 0.5, 0}));
  set(net.out.weight, tensor({{1, 0, -1}, {0, 1, 2}}));
  set(net.out.bias, tensor({0.5, -0.5}));
  const Tensor x = tensor({{1, 0.5}}).named("x");
  const Tensor target = tensor(std::vector<int64_t>{1}).named("target");
  return cross_entropy(net(x), target);
}

// The same loss twice: the gradient that the long way finds step by step is the one-line rule of the short way.
inline Tensor softmax() {
  const Tensor z = tensor({{2, 1, 0}}).named("z").requires_grad();
  const Tensor onehot = tensor({{0, 1, 0}}).named("onehot");
  const Tensor target = tensor(std::vector<int64_t>{1}).named("target");
  const Tensor powers = exp(z).named("powers");
  const Tensor p = (powers / sum(powers, 1, true)).named("p");
  const Tensor written_out = (-sum(onehot * log(p))).named("written_out");
  const Tensor fused = cross_entropy(z, target).named("fused");
  return written_out + fused;
}

inline Tensor layernorm() {
  const Tensor x = tensor({{1, 2, 3}, {-2, 0, 8}}).named("x").requires_grad();
  const Tensor weight = tensor({1, 2, 1}).named("weight").requires_grad();
  const Tensor bias = tensor({0, 0, 0.5}).named("bias").requires_grad();
  const Tensor target = tensor({{0, 1, 2}, {-1, 0, 2}}).named("target");
  const Tensor y = layer_norm(x, {3}, weight, bias).named("y");
  return mse_loss(y, target);
}

inline Tensor batchnorm() {
  nn::BatchNorm1d norm(2);
  parameters(norm);
  set(norm.weight, tensor({1, 0.5}));
  set(norm.bias, tensor({0, 1}));
  const Tensor x = tensor({{1, 10}, {2, 30}, {6, 20}}).named("x").requires_grad();
  const Tensor target = tensor({{0, 1}, {0, 1}, {1, 2}}).named("target");
  const Tensor y = norm(x).named("y");
  return mse_loss(y, target);
}

inline Tensor conv() {
  const Tensor image = Tensor({1, 2, 0, 0, 1, 3, 2, 0, 1}, {1, 1, 3, 3}).named("image").requires_grad();
  const Tensor kernel = Tensor({1, 0, -1, 2}, {1, 1, 2, 2}).named("kernel").requires_grad();
  const Tensor bias = tensor({0.5}).named("bias").requires_grad();
  const Tensor y = conv2d(image, kernel, bias).named("y");
  return mean(square(y));
}

inline Tensor lstm() {
  const nn::LSTM layer(1, 1);
  parameters(layer);
  const nn::RecurrentWeights& weights = layer.weights[0];  // of the gates i, f, g and o
  set(weights.weight_ih, tensor({1, 0.5, 2, -1}));
  set(weights.weight_hh, tensor({0.5, 1, -1, 1}));
  set(weights.bias_ih, tensor({0, 1, 0, 0}));
  set(weights.bias_hh, tensor({0, 0, 0, 0}));
  const Tensor x = tensor({{1}, {-0.5}}).named("x").requires_grad();
  return mean(square(layer(x).output));
}

inline Tensor attention() {
  const Tensor tokens = tensor({{1, 0}, {0, 2}}).named("tokens");
  const Tensor Wq = tensor({{1, 0}, {0, 1}}).named("Wq").requires_grad();
  const Tensor Wk = tensor({{1, 1}, {0, 1}}).named("Wk").requires_grad();
  const Tensor Wv = tensor({{2, 0}, {-1, 1}}).named("Wv").requires_grad();
  const Tensor q = matmul(tokens, Wq).named("q"), k = matmul(tokens, Wk).named("k"), v = matmul(tokens, Wv).named("v");
  const Tensor scores = (matmul(q, transpose(k, 0, 1)) / std::sqrt(2)).named("scores");
  const Tensor weights = gradus::softmax(scores, 1).named("weights");
  return mean(square(matmul(weights, v)));
}

struct Case {
  const char *name, *description;
  Tensor (*loss)();
};

inline constexpr Case all[] = {
    {"scalar", "one neuron: a·b + c through tanh, and how far it is from 1", scalar},
    {"mlp", "a network of 2, 3 and 2 neurons, and cross-entropy", mlp},
    {"softmax", "softmax and cross-entropy, once written out and once fused", softmax},
    {"layernorm", "layer normalisation of two rows", layernorm},
    {"batchnorm", "batch normalisation of two columns", batchnorm},
    {"conv", "a 2×2 kernel on a 3×3 image", conv},
    {"lstm", "an LSTM of one unit over two time steps", lstm},
    {"attention", "scaled dot-product attention between two tokens, written out", attention},
};

/// For programs that take the name of a case: all of them by name, and a line about each.
inline std::map<std::string, Tensor (*)()> losses() {
  std::map<std::string, Tensor (*)()> result;
  for (const Case& each : all) result[each.name] = each.loss;
  return result;
}
inline std::string list() {
  std::string text;
  for (const Case& each : all) text += std::string("\n  ") + each.name + ": " + each.description;
  return text;
}

}  // namespace gradus::cases
