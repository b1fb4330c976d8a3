#include "ops/activation.h"

#include "ops/arithmetic.h"
#include "ops/comparison.h"
#include "ops/custom.h"
#include "ops/exponential.h"
#include "ops/operations.h"
#include "ops/trigonometric.h"

namespace gradus {

Tensor relu(const Arg& x) { return map(formula::Relu{}, x); }
Tensor leaky_relu(const Arg& x, double negative_slope) { return map(formula::LeakyRelu{negative_slope}, x); }
Tensor elu(const Arg& x, double alpha) { return map(formula::Elu{alpha}, x); }
Tensor selu(const Arg& x) { return map(formula::Selu{}, x); }
Tensor sigmoid(const Arg& x) { return map(formula::Sigmoid{}, x); }
Tensor tanh(const Arg& x) { return map(formula::Tanh{}, x); }
Tensor softplus(const Arg& x) { return map(formula::Softplus{}, x); }
Tensor gelu(const Arg& x) { return map(formula::Gelu{}, x); }
Tensor gelu_tanh(const Arg& x) { return map(formula::GeluTanh{}, x); }
Tensor softsign(const Arg& x) { return map(formula::Softsign{}, x); }
Tensor silu(const Arg& x) { return map(formula::Silu{}, x); }
Tensor mish(const Arg& x) { return map(formula::Mish{}, x); }
Tensor hardswish(const Arg& x) { return map(formula::Hardswish{}, x); }

std::vector<Operation> activation_operations() { return describe(formula::Activations{}); }

}  // namespace gradus
