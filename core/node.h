#pragma once
// One recorded step: a vertex of the graph that backward() walks.

#include <functional>
#include <span>
#include <string>
#include <vector>

#include "core/tensor.h"

namespace gradus {

/// What there is to say about an operation without running it.
struct Info {
  const char* name;
  const char* formula = nullptr;  ///< the result in terms of $0, $1, …; null if the operation prints its own
};

/// A step of the tape, or a leaf (a tensor the user made, which holds its gradient here). Reference-counted through the
/// tensors it made and the later steps that use them; it never owns its own output.
class Node : public RefCounted, public Pooled {
 public:
  virtual ~Node();
  Node(const Node&) = delete;
  Node& operator=(const Node&) = delete;

  /// The steps that made the inputs; null for inputs through which no gradient flows and that have no name.
  virtual std::span<const Ref<Node>> inputs() const { return {}; }
  virtual const char* operation() const { return "leaf"; }
  /// The formula with the inputs' names filled in: "tanh(v3)", "x · Wᵀ".
  virtual std::string formula(std::span<const std::string> inputs) const;
  /// The same for the gradient of each input, where they can be stated without a run: "dy·(1 − y·y)".
  virtual std::vector<std::string> gradient_formulas(std::span<const std::string> inputs, const std::string& output,
                                                     const std::string& grad_output) const;
  /// Writes the gradient of each input that needs one, given that of the output, into `input_gradients`.
  virtual void backward(const Tensor& grad_output, std::span<Tensor> input_gradients);
  /// Drops what the step saved for its backward.
  virtual void release() {}
  /// Whether there is a definition of it in simpler operations.
  virtual bool is_fused() const { return false; }
  /// Computes the step again from other inputs, recorded as anything else: a fused step by its definition in simpler
  /// ones.
  virtual Tensor again(std::span<const Tensor> inputs) const;
  bool released() const { return released_; }

  bool is_leaf() const { return is_leaf_; }
  bool requires_grad() const { return requires_grad_; }
  /// The place on the tape; later steps have larger numbers.
  int64_t position() const { return position_; }
  /// The line of the user's program that asked for the step.
  Location where() const { return where_; }
  const Shape& shape() const { return shape_; }
  Dtype dtype() const { return dtype_; }
  const std::string& name() const;
  /// What it computed, or a leaf held, when it was last used while a KeepValues was alive; else undefined.
  const Tensor& value() const;
  /// The place on the tape where that was noted down.
  int64_t value_position() const { return extra_ ? extra_->kept_at : 0; }

  /// The number of nodes alive in the process: what a leak test looks at.
  static int64_t live() { return live_.value(); }
  static void dispose(Node* node);

 protected:
  /// A step of the tape that made `output`, at the place of the current Scope.
  explicit Node(const Tensor& output, bool is_leaf = false);
  bool released_ = false;

 private:
  friend class Tensor;
  friend class Tape;
  friend class Walk;
  struct Extra : RefCounted {  // what few nodes have
    std::string name;
    std::vector<std::function<Tensor(const Tensor&)>> hooks;
    bool retain_grad = false;
    Tensor value;
    uint32_t version = 0;  // of the memory that the value of a leaf was copied from
    int64_t kept_at = 0;
  };
  Extra& extra();

  bool is_leaf_;
  bool requires_grad_;
  Dtype dtype_;
  std::atomic_flag lock_;  // guards grad_ of a leaf that several graphs share
  int64_t position_;
  Location where_;
  Shape shape_;
  Tensor grad_;     // of a leaf, or of a step that retains it
  Tensor pending_;  // the gradient that a walk has gathered so far
  Ref<Extra> extra_;
  Node* next_to_free_ = nullptr;
  uint64_t tape_ = 0;  // the last Tape that took up this node
  static inline constinit Counter live_, positions_;
};

/// A number that took part in a recorded step, such as the 2 in `2 * x`: kept for the printed formula.
class Constant final : public Node {
 public:
  Constant(const Tensor& tensor, double value);
  std::string formula(std::span<const std::string> inputs) const override;

 private:
  double value_;
};

namespace detail {
inline constinit thread_local bool is_recording = true;
}

/// Whether operations are being recorded on this thread.
inline bool grad_enabled() { return detail::is_recording; }

/// Switches recording on or off for a scope.
class GradMode {
 public:
  explicit GradMode(bool enabled) : before_(detail::is_recording) { detail::is_recording = enabled; }
  ~GradMode() { detail::is_recording = before_; }
  GradMode(const GradMode&) = delete;
  GradMode& operator=(const GradMode&) = delete;

 private:
  bool before_;
};

/// No step is recorded while one of these is alive: for evaluation and for changing parameters in place.
struct NoGrad : GradMode {
  NoGrad() : GradMode(false) {}
};

/// While one of these is alive, the steps recorded on this thread keep copies of what they computed and of what they
/// used, for a derivation to show. Without one, a step holds no more than its backward needs.
class KeepValues {
 public:
  KeepValues() : before_(enabled_) { enabled_ = true; }
  ~KeepValues() { enabled_ = before_; }
  KeepValues(const KeepValues&) = delete;
  KeepValues& operator=(const KeepValues&) = delete;
  static bool enabled() { return enabled_; }
  /// For what records a step: takes note of its inputs.
  static void note(const Tensor& input) {
    if (enabled_) input.keep_value();
  }

 private:
  bool before_;
  static inline constinit thread_local bool enabled_ = false;
};

/// While one of these is alive, the first step forward or backward on this thread that makes a NaN or an infinity is an
/// error that names the step and its line.
class DetectAnomaly {
 public:
  explicit DetectAnomaly(bool enabled = true) : before_(enabled_) { enabled_ = enabled; }
  ~DetectAnomaly() { enabled_ = before_; }
  DetectAnomaly(const DetectAnomaly&) = delete;
  DetectAnomaly& operator=(const DetectAnomaly&) = delete;
  static bool enabled() { return enabled_; }

 private:
  bool before_;
  static inline constinit thread_local bool enabled_ = false;
};

}  // namespace gradus
