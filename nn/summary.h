#pragma once
// What a network consists of, as a table.

#include <string>

#include "core/dtype.h"
#include "nn/module.h"

namespace gradus {
namespace nn {

/// An input to summarise with: recorded if it can be.
inline Tensor tracked(const Tensor& x) { return is_floating_point(x.dtype()) ? x.detach().requires_grad() : x; }
std::string summarize(const AllOf& net, const Tensor& output);

}  // namespace nn

/// Runs the network on an example, in evaluation mode, and lists the recorded steps: the layer whose parameters a step
/// uses, the operation, the shape of its result, the number of parameters; then the totals, and parameters that took no
/// part. Steps that only shape parameters or the input of a layer anew are not listed.
///
///   std::cout << summary(net, zeros({1, 784}));
///
///   layer    operation  output shape  parameters
///   hidden1  linear     [1, 256]         200,960
///            relu       [1, 256]
///   …
template <Module Net, class... X>
requires(!std::is_const_v<Net>) std::string summary(Net& net, const X&... inputs) {
  const Evaluation evaluation(net);
  const GradMode recording(true);
  return nn::summarize(net, net(nn::tracked(inputs)...));
}

}  // namespace gradus
