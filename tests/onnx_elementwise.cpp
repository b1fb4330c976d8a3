// ONNX's elementwise operators.

#include <cmath>

#include "ops/activation.h"
#include "ops/arithmetic.h"
#include "ops/comparison.h"
#include "ops/exponential.h"
#include "ops/reduce.h"
#include "ops/trigonometric.h"
#include "ops/view.h"
#include "tests/onnx_operators.h"

namespace gradus::onnx {
namespace {

using Unary = Tensor (*)(const Arg&);
using Binary = Tensor (*)(const Arg&, const Arg&);

auto unary(Unary f) {
  return [f](const Node& node) { return f(node[0]); };
}
auto binary(Binary f) {
  return [f](const Node& node) { return f(node[0], node[1]); };
}
// Of one operand or more.
auto several(Binary f) {
  return [f](const Node& node) {
    Tensor y = node[0];
    for (size_t i = 1; i < node.size(); ++i) y = f(y, node[i]);
    return y;
  };
}

Results mean_of(const Node& node) { return several(operator+)(node) / int64_t(node.size()); }

// Integers are divided without a remainder.
Results divide(const Node& node) { return to(node[0] / node[1], node[0].dtype()); }

// The result has the type of the base.
Results power(const Node& node) { return to(pow(node[0], node[1]), node[0].dtype()); }

Results clip(const Node& node) {
  const auto bound = [&](const char* attribute, size_t input, double none) {
    return node[input].defined() ? node[input].item<double>() : node.number(attribute, none);
  };
  const double low = bound("min", 1, -INFINITY), high = bound("max", 2, INFINITY);
  if (is_floating_point(node[0].dtype())) return clamp(node[0], low, high);
  Tensor y = node[0];
  if (node[1].defined()) y = maximum(y, node[1]);
  if (node[2].defined()) y = minimum(y, node[2]);
  return y;
}

Results is_infinite(const Node& node) {
  const bool positive = node.integer("detect_positive", 1), negative = node.integer("detect_negative", 1);
  const Tensor infinite = isinf(node[0]);
  if (positive && negative) return infinite;
  return logical_and(infinite, positive ? node[0] > 0 : node[0] < 0);
}

Results cast(const Node& node) {
  static const std::map<int64_t, Dtype> types{{1, float32}, {7, int64}, {9, boolean}, {11, float64}, {16, bfloat16}};
  return to(node[0], types.at(node.integer("to", 0)));
}

Results elu_of(const Node& node) { return elu(node[0], node.number("alpha", 1)); }

Results celu(const Node& node) {
  const double alpha = node.number("alpha", 1);
  return alpha * elu(node[0] / alpha);
}

Results selu_of(const Node& node) {
  if (!node.has("alpha")) return selu(node[0]);
  return node.number("gamma", 1) * elu(node[0], node.number("alpha", 1));
}

// One slope for each channel has ones behind it here, so that it broadcasts.
Results prelu_of(const Node& node) {
  const Tensor &x = node[0], &slope = node[1];
  const bool by_channel = slope.numel() == 1 || (x.dim() == slope.dim() + 1 && slope.numel() == slope.size(0));
  return prelu(x, by_channel ? flatten(slope) : slope);
}

Results hard_sigmoid(const Node& node) {
  return clamp(node.number("alpha", 0.2) * node[0] + node.number("beta", 0.5), 0, 1);
}

Results thresholded_relu(const Node& node) { return where(node[0] > node.number("alpha", 1), node[0], 0); }

}  // namespace

Operators elementwise_operators() {
  return {
      {"Abs", {1, unary(abs)}},
      {"Acos", {2, unary(acos)}},
      {"Acosh", {2, unary(acosh)}},
      {"Add", {4, binary(operator+)}},
      {"And", {8, binary(logical_and)}},
      {"Asin", {2, unary(asin)}},
      {"Asinh", {2, unary(asinh)}},
      {"Atan", {2, unary(atan)}},
      {"Atanh", {2, unary(atanh)}},
      {"Cast", {8, cast}},
      {"CastLike", {4, [](const Node& node) { return to(node[0], node[1].dtype()); }}},
      {"Ceil", {2, unary(ceil)}},
      {"Celu", {1, celu}},
      {"Clip", {12, clip}},
      {"Cos", {2, unary(cos)}},
      {"Cosh", {2, unary(cosh)}},
      {"Div", {4, divide}},
      {"Elu", {4, elu_of}},
      {"Equal", {2, binary(operator==)}},
      {"Erf", {1, unary(erf)}},
      {"Exp", {3, unary(exp)}},
      {"Floor", {2, unary(floor)}},
      {"Greater", {2, binary(operator>)}},
      {"GreaterOrEqual", {2, binary(operator>=)}},
      {"HardSigmoid", {3, hard_sigmoid}},
      {"HardSwish", {1, unary(hardswish)}},
      {"IsInf", {3, is_infinite}},
      {"IsNaN", {1, unary(isnan)}},
      {"LeakyRelu", {5, [](const Node& node) { return leaky_relu(node[0], node.number("alpha", 0.01)); }}},
      {"Less", {2, binary(operator<)}},
      {"LessOrEqual", {2, binary(operator<=)}},
      {"Log", {2, unary(log)}},
      {"Max", {14, several(maximum)}},
      {"Mean", {3, mean_of}},
      {"Min", {14, several(minimum)}},
      {"Mul", {4, binary(operator*)}},
      {"Neg", {2, unary(operator-)}},
      {"Not", {3, unary(logical_not)}},
      {"Or", {8, binary(logical_or)}},
      {"PRelu", {7, prelu_of}},
      {"Pow", {15, power}},
      {"Reciprocal", {2, unary(reciprocal)}},
      {"Relu", {3, unary(relu)}},
      {"Round", {1, unary(round)}},
      {"Selu", {5, selu_of}},
      {"Sigmoid", {3, unary(sigmoid)}},
      {"Sign", {2, unary(sign)}},
      {"Sin", {2, unary(sin)}},
      {"Sinh", {2, unary(sinh)}},
      {"Softplus", {3, unary(softplus)}},
      {"Softsign", {2, unary(softsign)}},
      {"Sqrt", {3, unary(sqrt)}},
      {"Sub", {4, binary(operator-)}},
      {"Sum", {3, several(operator+)}},
      {"Tan", {2, unary(tan)}},
      {"Tanh", {3, unary(tanh)}},
      {"ThresholdedRelu", {3, thresholded_relu}},
      {"Where", {2, [](const Node& node) { return where(node[0], node[1], node[2]); }}},
      {"Xor", {8, binary(logical_xor)}},
  };
}

}  // namespace gradus::onnx
