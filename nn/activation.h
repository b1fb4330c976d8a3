#pragma once
// Activation functions as layers, for a Sequential; elsewhere the functions themselves (ops/activation.h) do.

#include "core/arg.h"
#include "nn/module.h"
#include "ops/activation.h"
#include "ops/create.h"
#include "ops/softmax.h"

namespace gradus::nn {

/// A function without settings as a layer.
template <Tensor (*function)(const Arg&)> struct Activation {
  Tensor operator()(const Arg& x) const { return function(x); }
  GRADUS_FIELDS()
};

struct ReLU : Activation<relu> {};
struct SELU : Activation<selu> {};
struct SiLU : Activation<silu> {};
struct Mish : Activation<mish> {};
struct Hardswish : Activation<hardswish> {};
struct Softplus : Activation<softplus> {};
struct Sigmoid : Activation<sigmoid> {};
struct Tanh : Activation<tanh> {};
struct Softsign : Activation<softsign> {};

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

struct GELU {
  bool approximate = false;  ///< by a tanh
  Tensor operator()(const Arg& x) const { return approximate ? gelu_tanh(x) : gelu(x); }
  GRADUS_FIELDS(approximate)
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
