#pragma once
// The recorded steps in order, and the walk that computes gradients.

#include <ostream>
#include <span>
#include <unordered_map>
#include <vector>

#include "core/node.h"

namespace gradus {

/// The steps that lead to a tensor, in the order in which they ran: a value that can be printed, indexed and walked.
class Tape {
 public:
  /// Collects the steps that `result` depends on. No recursion: works for chains of any length.
  explicit Tape(const Tensor& result) : Tape(std::span(&result, 1)) {}
  /// Steps before the position `first` are left out.
  explicit Tape(std::span<const Tensor> results, int64_t first = 0);

  size_t size() const { return steps_.size(); }
  bool empty() const { return steps_.empty(); }
  const Node& operator[](size_t i) const { return *steps_[i]; }
  auto begin() const { return steps_.begin(); }
  auto end() const { return steps_.end(); }

  /// What the steps are called in formulas: the user's name, or v1, v2, … in order; leaves without one: x1, x2, ….
  std::unordered_map<const Node*, std::string> names() const;

 private:
  std::vector<Ref<Node>> steps_;
};

/// One line a step: number, operation, formula with the user's names, shape, file and line.
std::ostream& operator<<(std::ostream& out, const Tape& tape);

/// The gradients of the sum of `outputs` with respect to `inputs`, without touching any `.grad()`. An input that the
/// outputs do not depend on gives an undefined tensor.
/// `grad_outputs`: the gradients of the final result with respect to each output; may be left out for scalars.
std::vector<Tensor> grad(const std::vector<Tensor>& outputs, const std::vector<Tensor>& inputs,
                         BackwardOptions options = {}, const std::vector<Tensor>& grad_outputs = {},
                         Location where = Location::here());
/// The same for one of each: dy/dx.
Tensor grad(const Tensor& output, const Tensor& input, BackwardOptions options = {}, Location where = Location::here());

/// For steps that compute again in their backward: the gradients of a recomputed `output` with respect to `inputs`, and
/// no further. What reaches other leaves or earlier steps goes where the enclosing backward pass sends it.
std::vector<Tensor> nested_grad(const Tensor& output, const Tensor& grad_output, const std::vector<Tensor>& inputs,
                                bool create_graph);

/// Adds `term` to `sum`, which is defined; in place if nobody else sees `sum`. The one piece of mathematics that the
/// tape needs; it lives with the other operations.
void add_to(Tensor& sum, Tensor term);
/// The same for a `sum` that may be undefined, as a gradient is at first.
inline void accumulate(Tensor& sum, Tensor term) {
  if (sum.defined()) add_to(sum, std::move(term));
  else sum = std::move(term);
}

}  // namespace gradus
