#pragma once
// What the operations compute and how they are differentiated, written down from the code itself.

#include <functional>
#include <span>
#include <string>
#include <vector>

#include "core/tensor.h"

namespace gradus {

/// The formula of a computation and those of its gradients, in terms of its inputs, its result y and the gradient dy.
struct OperationFormulas {
  std::string formula;
  std::vector<std::string> gradients;  ///< of each input
};

/// Runs f on the inputs, which need names, and the backward pass, and writes down what was recorded.
OperationFormulas operation_formulas(const std::function<Tensor(std::span<const Tensor>)>& f,
                                     const std::vector<Tensor>& inputs);

/// All elementwise operations as a Markdown table: formula, gradients, and what is kept for them.
std::string operation_table();

}  // namespace gradus
