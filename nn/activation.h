#pragma once
// Activation functions as layers, for a Sequential; elsewhere the functions themselves (ops/activation.h) do.

#include "core/arg.h"
#include "nn/module.h"
#include "ops/activation.h"
#include "ops/create.h"
#include "ops/softmax.h"

namespace gradus::nn {

struct ReLU {
  Tensor operator()(const Arg& x) const { return relu(x); }
  GRADUS_FIELDS()
};

struct LeakyReLU {
  double negative_slope = 0.01;
  Tensor operator()(const Arg& x) const { return leaky_relu(x, negative_slope); }
  GRADUS_FIELDS(negative_slope)
};

struct PReLU {
  Tensor weight;  ///< [1], or [C]: a slope for each channel of x: [N, C, …]
  explicit PReLU(int64_t num_parameters = 1, double init = 0.25)
      : weight(full({num_parameters}, init).requires_grad()) {}
  Tensor operator()(const Arg& x) const { return prelu(x, weight); }
  GRADUS_FIELDS(weight)
};

struct ELU {
  double alpha = 1;
  Tensor operator()(const Arg& x) const { return elu(x, alpha); }
  GRADUS_FIELDS(alpha)
};

struct SELU {
  Tensor operator()(const Arg& x) const { return selu(x); }
  GRADUS_FIELDS()
};

struct GELU {
  bool approximate = false;  ///< by a tanh
  Tensor operator()(const Arg& x) const { return approximate ? gelu_tanh(x) : gelu(x); }
  GRADUS_FIELDS(approximate)
};

struct SiLU {
  Tensor operator()(const Arg& x) const { return silu(x); }
  GRADUS_FIELDS()
};

struct Mish {
  Tensor operator()(const Arg& x) const { return mish(x); }
  GRADUS_FIELDS()
};

struct Hardswish {
  Tensor operator()(const Arg& x) const { return hardswish(x); }
  GRADUS_FIELDS()
};

struct Softplus {
  Tensor operator()(const Arg& x) const { return softplus(x); }
  GRADUS_FIELDS()
};

struct Sigmoid {
  Tensor operator()(const Arg& x) const { return sigmoid(x); }
  GRADUS_FIELDS()
};

struct Tanh {
  Tensor operator()(const Arg& x) const { return tanh(x); }
  GRADUS_FIELDS()
};

struct Softmax {
  int64_t dim = -1;
  Tensor operator()(const Arg& x) const { return softmax(x, dim); }
  GRADUS_FIELDS(dim)
};

struct LogSoftmax {
  int64_t dim = -1;
  Tensor operator()(const Arg& x) const { return log_softmax(x, dim); }
  GRADUS_FIELDS(dim)
};

}  // namespace gradus::nn
