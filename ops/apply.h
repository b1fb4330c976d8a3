#pragma once
// The one road that every operation takes: check, compute, record. An operation is a struct:
//
//   struct Softmax {
//     static constexpr Info info{"softmax", "softmax($0)"};
//     int64_t dim;                                               // its settings are its members
//     Tensor forward(const Tensor& x) const;                     // checks shapes, allocates, calls the kernel
//     Tensor backward(const Tensor& dy, const SavedOutput& y) const;  // written in differentiable operations
//   };
//
// What a backward needs stands in its signature, and only that is kept alive: (dy), (dy, inputs…), (dy, output) or
// (dy, inputs…, output); no input declared as Unused, no output if reads_output() is false, of a formula without
// members only what wanted gradients read.
// With several inputs it returns a tuple with one gradient each, or one function each that computes it if it is wanted;
// a single tensor is the gradient of the first input. Without a backward an operation may carry `plain(inputs…)`, its
// definition in simpler operations, and is differentiated through that; without either, no gradient flows through it.
// It may print itself and its gradients: formula(names), gradient_formulas(names, y, dy).
//
// A fused operation whose backward is a kernel, too, says `static constexpr bool backward_is_kernel = true` and carries
// `plain`: that is differentiated while a backward pass is itself recorded. What its kernels leave for the backward
// (statistics, gate values) are members; `void release()` drops the large ones.

#include <array>
#include <span>
#include <string>
#include <tuple>
#include <vector>

#include "core/arg.h"
#include "core/node.h"
#include "core/tape.h"
#include "ops/formula.h"

namespace gradus {

using SavedOutput = formula::Output<Tensor>;

/// What a backward declares for an input whose values it does not need: `backward(dy, Unused, index)`.
struct Unused {
  Unused(const Tensor&) {}
};

/// A recorded step that does nothing: y = x. Marks the inputs of a computation to be differentiated on its own.
Tensor identity(const Tensor& x);

namespace detail {

enum class Keeps { nothing, inputs, output, both, plain, no_gradient };
constexpr bool keeps_inputs(Keeps keeps) {
  return keeps == Keeps::inputs || keeps == Keeps::both || keeps == Keeps::plain;
}
constexpr bool keeps_output(Keeps keeps) { return keeps == Keeps::output || keeps == Keeps::both; }

template <class Op> constexpr bool backward_is_kernel = requires { Op::backward_is_kernel; };

template <class T, size_t> using Same = T;

// Read off the signature of the backward, called with arguments of type T.
template <class Op, class T, size_t... I> consteval Keeps keeps_of(std::index_sequence<I...>) {
  using Out = formula::Output<T>;
  if (requires(const Op op, const T t) { op.backward(t); }) return Keeps::nothing;
  if (requires(const Op op, const T t, const Same<T, I>... x) { op.backward(t, x...); }) return Keeps::inputs;
  if (requires(const Op op, const T t, const Out y) { op.backward(t, y); }) return Keeps::output;
  if (requires(const Op op, const T t, const Same<T, I>... x, const Out y) { op.backward(t, x..., y); })
    return Keeps::both;
  if (requires(const Op op, const Same<T, I>... x) { op.plain(x...); }) return Keeps::plain;
  return Keeps::no_gradient;
}

// The type that stands for an argument when a signature is read: formulas take scalars, other operations take tensors.
template <class Op>
concept Formula = requires(const Op op, float x) {
  op.forward(x);
}
|| requires(const Op op, float x) { op.forward(x, x); }
|| requires(const Op op, float x) { op.forward(x, x, x); };
template <class Op, size_t N>
constexpr Keeps keeps = keeps_of<Op, std::conditional_t<Formula<Op>, float, Tensor>>(std::make_index_sequence<N>());

// Whether the backward of an operation with N inputs declares input K as Unused: then it can be called with one.
template <class Op, size_t N, size_t K> consteval bool unused() {
  if constexpr (Formula<Op>) return false;
  else return []<size_t... I>(std::index_sequence<I...>) {
      return requires(const Op op, const Tensor t, const std::conditional_t<I == K, Unused, Tensor>... x) {
        op.backward(t, x...);
      }
      || requires(const Op op, const Tensor t, const std::conditional_t<I == K, Unused, Tensor>... x,
                  const SavedOutput y) {
        op.backward(t, x..., y);
      };
    }
  (std::make_index_sequence<N>());
}

template <class T> GRADUS_FN auto as_tuple(T&& value) {
  if constexpr (requires { std::tuple_size<std::remove_cvref_t<T>>::value; }) return std::forward<T>(value);
  else return std::tuple(std::forward<T>(value));
}

// op.backward called with what its signature asks for; always a tuple.
template <class Op, size_t N, class T, class... X>
GRADUS_FN auto call_backward(const Op& op, const T& dy, const T& y, const X&... x) {
  constexpr Keeps k = keeps<Op, N>;
  if constexpr (k == Keeps::nothing) return as_tuple(op.backward(dy));
  else if constexpr (k == Keeps::inputs) return as_tuple(op.backward(dy, x...));
  else if constexpr (k == Keeps::output) return as_tuple(op.backward(dy, formula::Output<T>(y)));
  else return as_tuple(op.backward(dy, x..., formula::Output<T>(y)));
}

[[noreturn, gnu::cold]] void fail_released();
[[noreturn, gnu::cold]] void fail_changed();
/// Fails if memory kept for the backward was changed since it had this version.
inline void check_unchanged(const Storage& storage, uint32_t version) {
  if (storage.version() != version) fail_changed();
}
/// In anomaly mode: fails if the tensor holds a NaN or an infinity.
void check_finite(const Tensor& tensor, const char* what);
[[noreturn, gnu::cold]] void fail_devices(Device first, Device other);
template <class... X> void check_same_device(const Tensor& first, const X&... more) {
  ((more.device() == first.device() ? void() : fail_devices(first.device(), more.device())), ...);
}
/// Fails if elements of x cannot have the value: half an int64.
void check_holds(const Tensor& x, double value);
/// "$0 · $1" with the names filled in.
std::string fill_in(const char* formula, std::span<const std::string> names);

// Evaluates one entry of what a backward returned: a tensor, or a function that makes it.
template <class G> Tensor evaluate(G&& gradient) {
  if constexpr (std::is_invocable_v<G>) return gradient();
  else return std::forward<G>(gradient);
}

/// What was saved, or dy in its place: read only by gradients that are computed beside those that are wanted.
inline const Tensor& or_else(const Tensor& saved, const Tensor& dy) { return saved.defined() ? saved : dy; }

/// Gradients of `op.plain`, with respect to the inputs whose gradients are wanted.
template <class Op, size_t N> void backward_through_plain(const Op& op, const std::array<Tensor, N>& x,
                                                          const Tensor& dy, std::span<const bool> wanted,
                                                          std::span<Tensor> gradients) {
  const bool create_graph = grad_enabled();
  const GradMode recording(true);
  std::array<Tensor, N> inputs;
  std::vector<Tensor> differentiated;
  for (size_t i = 0; i < N; ++i) {
    inputs[i] = wanted[i] && create_graph ? identity(x[i]) : x[i].detach();
    if (wanted[i]) differentiated.push_back(create_graph ? inputs[i] : inputs[i].requires_grad());
  }
  const Tensor y = std::apply([&](const auto&... each) { return op.plain(each...); }, inputs);
  const std::vector<Tensor> found = nested_grad(y, dy, differentiated, create_graph);
  for (size_t i = 0, k = 0; i < N; ++i)
    if (wanted[i]) gradients[i] = found[k++];
}

/// The fused kernel behind the backward of a formula; see ops/custom.h.
template <class Op, size_t N> void map_backward(const Op& op, const Tensor& dy, const std::array<Tensor, N>& x,
                                                const Tensor& y, std::span<const bool> wanted,
                                                std::span<Tensor> gradients);

/// The formula written out with the inputs' names; see ops/custom.h.
template <class Op, size_t N> std::string map_formula(const Op& op, std::span<const std::string> names);

/// Those of its gradients; see ops/custom.h.
template <class Op, size_t N>
std::vector<std::string> map_gradient_formulas(const Op& op, std::span<const std::string> names, const std::string& y,
                                               const std::string& dy);

/// The formula applied to other operands; see ops/custom.h.
template <class Op, size_t N> Tensor map_again(const Op& op, std::span<const Tensor> x);

/// What the gradient of each operand reads, a bit for each operand and one for the result; see ops/custom.h.
template <class Op, size_t N> std::array<unsigned, N> map_gradient_reads(const Op& op);

/// One recorded application of an operation with N inputs.
template <class Op, size_t N> class Step final : public Node {
 public:
  static constexpr Keeps keeps = detail::keeps<Op, N>;
  static constexpr bool has_plain = []<size_t... I>(std::index_sequence<I...>) {
    return requires(const Op op, const Same<Tensor, I>... x) { op.plain(x...); };
  }
  (std::make_index_sequence<N>());
  static_assert(!backward_is_kernel<Op> || keeps_inputs(keeps),
                "plain() needs the inputs: the backward must take them");
  static constexpr std::array<bool, N> saves = []<size_t... I>(std::index_sequence<I...>) {
    return std::array{keeps_inputs(keeps) && (backward_is_kernel<Op> || !unused<Op, N, I>())...};
  }
  (std::make_index_sequence<N>());

  Step(const Op& op, const Tensor& output, const std::array<const Tensor*, N>& inputs) : Node(output), op_(op) {
    for (size_t i = 0; i < N; ++i) {
      inputs_[i] = inputs[i]->node();
      wanted_[i] = inputs_[i] && inputs_[i]->requires_grad();
    }
    unsigned read = ~0u;  // by the gradients that are wanted
    if constexpr (Formula<Op> && N > 1) {
      static const std::array<unsigned, N> reads = map_gradient_reads<Op, N>(op);
      read = 0;
      for (size_t i = 0; i < N; ++i) read |= wanted_[i] ? reads[i] : 0;
    }
    if constexpr (requires { op.reads_output(); })
      if (!op.reads_output()) read &= ~(1u << N);
    for (size_t i = 0; i < N; ++i)
      if (saves[i] && (read >> i & 1)) saved_[i] = *inputs[i], versions_[i] = inputs[i]->storage()->version();
    if constexpr (keeps_output(keeps))
      if (read >> N & 1) output_ = output.storage();
  }

  std::span<const Ref<Node>> inputs() const override { return inputs_; }
  const char* operation() const override { return Op::info.name; }

  std::string formula(std::span<const std::string> names) const override {
    if constexpr (Formula<Op>) return map_formula<Op, N>(op_, names);
    else if constexpr (requires { op_.formula(names); }) return op_.formula(names);
    else return fill_in(Op::info.formula, names);
  }

  std::vector<std::string> gradient_formulas(std::span<const std::string> names, const std::string& y,
                                             const std::string& dy) const override {
    if constexpr (Formula<Op>) return map_gradient_formulas<Op, N>(op_, names, y, dy);
    else if constexpr (requires { op_.gradient_formulas(names, y, dy); }) return op_.gradient_formulas(names, y, dy);
    else return Node::gradient_formulas(names, y, dy);
  }

  bool is_fused() const override { return has_plain; }
  Tensor again(std::span<const Tensor> x) const override;

  void release() override {
    saved_.fill({});
    output_ = {};
    if constexpr (requires { op_.release(); }) op_.release();
  }

  void backward(const Tensor& dy, std::span<Tensor> gradients) override {
    if (keeps != Keeps::nothing && released_) fail_released();
    std::array<bool, N> wanted;
    for (size_t i = 0; i < N; ++i) wanted[i] = wanted_[i] && inputs_[i]->requires_grad();
    for (size_t i = 0; i < N; ++i)
      if (saved_[i].defined()) check_unchanged(*saved_[i].storage(), versions_[i]);
    Tensor y;
    if constexpr (keeps_output(keeps))
      if (output_.storage) y = saved_output();
    differentiate(dy, y, wanted, gradients);
    if (DetectAnomaly::enabled())
      for (const Tensor& gradient : gradients)
        if (gradient.defined()) check_finite(gradient, "its backward");
  }

 private:
  void differentiate(const Tensor& dy, const Tensor& y, std::span<const bool> wanted, std::span<Tensor> gradients) {
    if constexpr (keeps == Keeps::plain || backward_is_kernel<Op>)
      if (keeps == Keeps::plain || grad_enabled()) return backward_through_plain(op_, saved_, dy, wanted, gradients);
    if constexpr (Formula<Op>)
      if (!grad_enabled()) return map_backward<Op, N>(op_, dy, saved_, y, wanted, gradients);
    if constexpr (keeps != Keeps::plain) {
      const DetectAnomaly here(DetectAnomaly::enabled() && !Formula<Op>);  // not for what nobody wants
      auto found = std::apply(
          [&](const auto&... x) { return call_backward<Op, N>(op_, dy, or_else(y, dy), or_else(x, dy)...); }, saved_);
      [&]<size_t... I>(std::index_sequence<I...>) {
        ((wanted[I] ? void(gradients[I] = evaluate(std::get<I>(std::move(found)))) : void()), ...);
      }
      (std::make_index_sequence<std::tuple_size_v<decltype(found)>>());
    }
  }

  // A node must not own its output: it keeps the memory, and makes the tensor anew, attached to itself.
  Tensor saved_output() {
    check_unchanged(*output_.storage, output_.version);
    Ref<TensorBody> body(new TensorBody);
    body->shape = shape();
    body->strides = contiguous_strides(shape());
    body->numel = shape().numel();
    body->dtype = dtype();
    body->storage = output_.storage;
    if (grad_enabled()) body->node = Ref<Node>(this);
    return Tensor(std::move(body));
  }

  struct OutputMemory {
    OutputMemory() = default;
    OutputMemory(const Ref<Storage>& memory) : storage(memory), version(memory->version()) {}
    Ref<Storage> storage;
    uint32_t version = 0;
  };
  struct Nothing {};

  std::array<Ref<Node>, N> inputs_;  // first: core/gradus_gdb.py looks for them behind the members of Node
  Op op_;
  std::array<Tensor, N> saved_;
  std::array<uint32_t, N> versions_;  // of what lay in them when they were saved
  std::array<bool, N> wanted_;        // the inputs that needed a gradient when the step was recorded
  [[no_unique_address]] std::conditional_t<keeps_output(keeps), OutputMemory, Nothing> output_;
};

inline Location where_of(const Arg& arg) { return arg.where(); }
inline Location where_of(const Tensor&) { return {}; }
inline const Tensor& tensor_of(const Arg& arg) { return arg.tensor(); }
inline const Tensor& tensor_of(const Tensor& tensor) { return tensor; }

}  // namespace detail

/// Records that `op` made `output` from `inputs`, if recording is on and one of them needs a gradient.
template <class Op, class... X> void record(const Op& op, const Tensor& output, const X&... inputs) {
  if constexpr (detail::keeps<Op, sizeof...(X)> != detail::Keeps::no_gradient) {
    if (grad_enabled() && (inputs.needs_grad() || ...)) {
      (KeepValues::note(inputs), ...);
      output.handle()->node = Ref<Node>(new detail::Step<Op, sizeof...(X)>(op, output, {&inputs...}));
    }
  }
}

/// Carries out an operation on tensors and records it. Opens the Scope that names it in errors.
template <class Op, class First, class... X> Tensor apply(const Op& op, const First& first, const X&... more) {
  const Scope scope(Op::info.name, detail::where_of(first));
  const auto run = [&](const auto&... x) {
    detail::check_same_device(x...);
    Tensor y = op.forward(x...);
    if (DetectAnomaly::enabled()) detail::check_finite(y, "the result");
    record(op, y, x...);
    return y;
  };
  return run(detail::tensor_of(first), detail::tensor_of(more)...);
}

template <class Op, size_t N> Tensor detail::Step<Op, N>::again(std::span<const Tensor> x) const {
  const Scope scope(operation(), where());
  if constexpr (Formula<Op>) return map_again<Op, N>(op_, x);
  else return [&]<size_t... I>(std::index_sequence<I...>) {
      if constexpr (has_plain) return op_.plain(x[I]...);
      else return apply(op_, x[I]...);
    }
  (std::make_index_sequence<N>());
}

}  // namespace gradus
