#pragma once
// The derivation of the gradients of a result, step by step: what every view of it (the terminal, a page, a document)
// shows. It is made from what ran:
//
//   const KeepValues keep;                       // the tape notes down the numbers, too
//   Tensor loss = cross_entropy(net(x), target);
//   const Derivation derivation(loss);           // before loss.backward(), which frees the steps

#include <iosfwd>
#include <string>
#include <string_view>
#include <vector>

#include "core/tape.h"
#include "derive/formula.h"
#include "derive/gradcheck.h"

namespace gradus {

/// What appears in a derivation: a leaf, a number, or the result of a step.
struct Quantity {
  static constexpr size_t leaf = size_t(-1);

  std::string name;         ///< the user's, as "W" or "hidden.weight", or v1, v2, … (steps) and x1, x2, … (leaves)
  Formula symbol;           ///< the same as a formula
  bool named = false;       ///< by the user
  bool is_number = false;   ///< a constant of the program such as the 2 in 2 * x; its name is its value
  Tensor value;             ///< a copy, on the CPU
  Tensor gradient;          ///< of the result with respect to it; undefined if none flows to it
  size_t step = leaf;       ///< the forward step that computed it
  Formula gradient_symbol;  ///< dL/dW
};

/// One step forward.
struct ForwardStep {
  std::string operation;       ///< "matmul"
  std::vector<size_t> inputs;  ///< quantities
  size_t result = 0;           ///< a quantity
  Formula formula;             ///< of the result
  Location where;              ///< the user's line
  std::string source;          ///< the text of that line without the blanks around it; empty if it cannot be read
  std::string module;          ///< the module whose parameters it works with: "layers.0.linear1"; may be empty
  bool fused = false;          ///< has a definition in simpler operations: see Derivation::open
};

/// What one step backward adds to the gradient of an input of its forward step.
struct Contribution {
  size_t input = 0;   ///< which input of the step
  size_t to = 0;      ///< the quantity
  Formula rule;       ///< in terms of the names of quantities and gradients: dL/dv3 · W₂ᵀ
  Tensor value;       ///< the numbers of this contribution, computed as backward() does
  bool first = true;  ///< nothing came before; otherwise it is added to what other steps contributed
};

/// One step backward: a forward step differentiated.
struct BackwardStep {
  size_t forward = 0;  ///< index of the forward step
  std::vector<Contribution> contributions;
};

/// The closed expression of one gradient.
struct Expansion {
  struct Part {
    Formula symbol, formula;
  };
  Formula symbol;           ///< dL/dW
  Formula formula;          ///< in terms of leaves, of quantities with names, and of the parts below
  std::vector<Part> parts;  ///< what it uses more than once or lies too deep, each in terms of those after it
};
struct ExpandOptions {
  int depth = 12;  ///< how many steps are put into one another before a part gets a name
};

/// All steps that lead to a result, forward and backward, with formulas and numbers. Its steps are counted from 1:
/// first those forward, in the order in which they ran, then those backward.
class Derivation {
 public:
  /// `result` is a scalar that was computed while a KeepValues was alive, and not yet differentiated.
  Derivation(const Tensor& result, Location where = Location::here());
  /// Of a result of any shape, given the gradient of something with respect to it.
  Derivation(const Tensor& result, const Tensor& grad_output, Location where = Location::here());

  const std::vector<Quantity>& quantities() const { return quantities_; }
  const std::vector<ForwardStep>& forward() const { return forward_; }
  const std::vector<BackwardStep>& backward() const { return backward_; }
  /// The quantity that is differentiated.
  size_t result() const { return forward_.back().result; }
  /// How many steps there are in both directions.
  size_t size() const { return forward_.size() + backward_.size(); }
  /// The quantity of that name, or of whose gradient that is the name ("dL/dW"); an error that lists the names if there
  /// is none.
  size_t find(std::string_view name) const;
  /// The steps backward that contribute to the gradient of a quantity, as indices of backward().
  std::vector<size_t> contributors(size_t quantity) const;

  /// A fused step (index of forward()) in simpler operations, with the backward pass through those.
  Derivation open(size_t forward_step) const;
  /// The closed expression of the gradient of a quantity.
  Expansion expand(std::string_view name, const ExpandOptions& options = {}) const;
  /// The local rule of a step (index of forward()): its contributions against central differences in float64.
  GradcheckResult check_step(size_t forward_step) const;
  /// The gradient of a quantity against central differences of the whole computation in float64.
  GradcheckResult check_gradient(size_t quantity) const;

 private:
  friend class Expander;
  friend class DerivationBuilder;
  Derivation() = default;
  std::vector<Tensor> values_in_float64() const;

  std::vector<Quantity> quantities_;
  std::vector<ForwardStep> forward_;
  std::vector<BackwardStep> backward_;
  std::vector<Ref<Node>> nodes_;  // of the forward steps
  bool from_one_ = false;         // the gradient of the result is 1
};

/// The closed expression of the gradient with respect to the tensor of that name.
Expansion expand(const Tensor& result, std::string_view name, const ExpandOptions& options = {},
                 Location where = Location::here());
/// "dL/dW = xᵀ · (dL/dv3 ⊙ …), where …"
std::ostream& operator<<(std::ostream& out, const Expansion& expansion);

}  // namespace gradus
