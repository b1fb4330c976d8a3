#pragma once
// The list of all elementwise operations, for tests and documentation.

#include <span>
#include <string>
#include <vector>

#include "ops/apply.h"

namespace gradus {

/// What there is to say about one elementwise operation, read off its formula.
struct Operation {
  const char* name = nullptr;
  size_t arity = 1;                    ///< the number of operands
  double low = -2, high = 2;           ///< where tests sample the operands
  bool integers = false;               ///< computes int64 as int64
  bool predicate = false;              ///< gives truth values
  bool condition = false;              ///< the first operand is a truth value
  std::string formula;                 ///< y in terms of x, or of a and b
  std::vector<std::string> gradients;  ///< the gradient of each operand in terms of dy; empty if there is none
  std::vector<std::string> keeps;      ///< what a step keeps alive for them
  Tensor (*apply)(std::span<const Tensor> operands) = nullptr;
};

std::vector<Operation> activation_operations();
std::vector<Operation> arithmetic_operations();
std::vector<Operation> comparison_operations();
std::vector<Operation> exponential_operations();
std::vector<Operation> loss_operations();
std::vector<Operation> trigonometric_operations();
/// All of them.
std::vector<Operation> elementwise_operations();

}  // namespace gradus
