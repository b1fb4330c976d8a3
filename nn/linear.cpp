#include "nn/linear.h"

#include <cmath>

#include "nn/init.h"

namespace gradus::nn {

Linear::Linear(int64_t in, int64_t out, LinearLayerOptions options, Location where) : relu(options.relu) {
  const Scope scope("Linear", where);
  if (in < 1 || out < 1)
    fail("in is " + std::to_string(in) + " and out " + std::to_string(out) + "; both must be at least 1");
  const double bound = 1 / std::sqrt(double(in));
  weight = init::uniform_(Tensor::empty({out, in}), -bound, bound).requires_grad();
  if (options.bias) bias = init::uniform_(Tensor::empty({out}), -bound, bound).requires_grad();
}

}  // namespace gradus::nn
