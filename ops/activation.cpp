#include "ops/activation.h"

#include "ops/arithmetic.h"
#include "ops/comparison.h"
#include "ops/custom.h"
#include "ops/exponential.h"
#include "ops/operations.h"
#include "ops/trigonometric.h"
#include "ops/view.h"

namespace gradus {

Tensor relu(const Arg& x) { return map(formula::Relu{}, x); }
Tensor relu_backward(const Tensor& dy, const Tensor& y) {
  if (grad_enabled()) return formula::Relu{}.backward(dy, SavedOutput(y));
  Tensor dx;
  detail::map_backward<formula::Relu, 1>({}, dy, {}, y, std::array{true}, {&dx, 1});
  return dx;
}
Tensor leaky_relu(const Arg& x, double negative_slope) { return map(formula::LeakyRelu{negative_slope}, x); }
Tensor prelu(const Arg& x, const Tensor& weight) {
  const Scope scope("prelu", x.where());
  if (weight.dim() == 1 && weight.numel() == 1) return map(formula::Prelu{}, x, weight);
  if (x->dim() < 2 || weight.shape() != Shape{x->shape()[1]})
    fail("x is " + to_string(x->shape()) + " and weight is " + to_string(weight.shape()) +
         "; it must hold one number, or one for each channel of x: [N, C, …]");
  Shape channels{weight.shape()[0]};
  for (int i = 2; i < x->dim(); ++i) channels.push_back(1);
  return map(formula::Prelu{}, x, reshape(weight, channels));
}
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
