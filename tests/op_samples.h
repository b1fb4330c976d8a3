#pragma once
// Every operation's test inputs, listed once. The elementwise ones are in elementwise_operations() already, with the
// interval to sample them from; the others stand in op_samples().

#include <functional>
#include <span>
#include <string>
#include <vector>

#include "core/tensor.h"
#include "ops/operations.h"

namespace gradus::samples {

using Inputs = std::span<const Tensor>;
using Function = std::function<Tensor(Inputs)>;

struct Sample {
  std::string call;           ///< as a user writes it
  std::vector<Shape> shapes;  ///< of the inputs
  Function apply;
  Function plain = {};        ///< the same, written in simpler operations
  double low = -2, high = 2;  ///< where the inputs lie

  /// What the inputs are called: the names in the call, or a, b, …
  std::vector<std::string> names() const;
};

/// All operations that are not elementwise; some families have a list of their own.
std::vector<Sample> op_samples();
std::vector<Sample> norm_samples();
std::vector<Sample> rnn_samples();
std::vector<Sample> attention_samples();
std::vector<Sample> image_samples();

/// Random inputs in float64 (whole numbers from low to high for int64, either value for bool).
std::vector<Tensor> inputs(const std::vector<Shape>& shapes, double low, double high, Dtype dtype = float64);
/// Operands of an elementwise operation.
std::vector<Tensor> inputs(const Operation& operation, const std::vector<Shape>& shapes, Dtype dtype = float64);
/// The same values in other layouts: transposed memory, every second element of a longer row, and neither.
std::vector<std::vector<Tensor>> layouts(Inputs x);
/// Tensors that repeat their first row (or element) without a copy: stride 0.
std::vector<Tensor> repeated(Inputs x);
/// Copies that require gradients where that is possible.
std::vector<Tensor> leaves(Inputs x);
/// Copies converted to a dtype; int64 and bool tensors stay as they are.
std::vector<Tensor> converted(Inputs x, Dtype dtype);
/// A constant of a sample, on the device of its inputs.
Tensor beside(Inputs x, const Tensor& constant);
/// Those of the tensors that need a gradient.
std::vector<Tensor> differentiable(Inputs x);

}  // namespace gradus::samples
