#include "core/tape.h"

#include <algorithm>
#include <array>
#include <limits>

#include "core/utf8.h"

namespace gradus {

static bool is_earlier(const Ref<Node>& a, const Ref<Node>& b) { return a->position() < b->position(); }

Tape::Tape(std::span<const Tensor> results, int64_t first) {
  static constinit Counter tapes;
  const uint64_t tape = uint64_t(tapes.add(1));
  const auto visit = [&](const Ref<Node>& node) {  // leaves are shared between graphs: they are not marked
    if (!node || node->is_leaf_ || node->tape_ == tape || node->position_ < first) return;
    node->tape_ = tape;
    steps_.push_back(node);
  };
  for (const Tensor& result : results) visit(result.node());
  for (size_t i = 0; i < steps_.size(); ++i)
    for (const Ref<Node>& input : steps_[i]->inputs()) visit(input);
  std::sort(steps_.begin(), steps_.end(), is_earlier);
}

/// One backward pass: the steps that a gradient has reached wait in a heap, and the last one recorded is next, as all
/// that used its result was recorded later.
class Walk {
 public:
  struct Capture {
    Node* node;
    Tensor gradient;
  };

  /// Where gradients go that reach a leaf, or a step before the first one to walk, without being captured.
  enum class Rest { into_leaves, dropped, to_enclosing_walk };

  Walk(int64_t first, std::vector<Capture>& captures, BackwardOptions options, Rest rest)
      : first_(first), captures_(captures), options_(options), rest_(rest), outer_(current_) {
    current_ = this;
    // A hook may start a pass within another one: the gradients that wait in that one are not its own.
    for (Walk* other = rest == Rest::to_enclosing_walk ? nullptr : outer_; other; other = other->outer_)
      for (const Ref<Node>& node : other->waiting_)
        if (node->pending_.defined()) set_aside_.push_back({node.get(), std::move(node->pending_)});
  }
  ~Walk() {
    current_ = outer_;
    for (const Ref<Node>& node : waiting_) node->pending_ = Tensor();  // after an error
    for (Capture& other : set_aside_) other.node->pending_ = std::move(other.gradient);
  }
  Walk(const Walk&) = delete;

  void deliver(Node& to, Tensor&& gradient) {
    if (!to.requires_grad_) return;
    check_gradient(to, gradient, "its backward");
    if (!to.is_leaf_) {
      if (to.position_ < first_) return pass_on(to, std::move(gradient));
      if (to.pending_.defined()) return add_to(to.pending_, std::move(gradient));
      waiting_.push_back(Ref<Node>(&to));
      to.pending_ = std::move(gradient);
      return std::push_heap(waiting_.begin(), waiting_.end(), is_earlier);
    }
    if (Capture* capture = find(to, captures_)) return accumulate(capture->gradient, std::move(gradient));
    if (!to.extra_ || to.extra_->hooks.empty()) return add_to_leaf(to, std::move(gradient));
    if (Capture* leaf = find(to, hooked_leaves_)) return add_to(leaf->gradient, std::move(gradient));
    hooked_leaves_.push_back({&to, std::move(gradient)});
  }

  void run() {
    const GradMode mode(options_.create_graph);
    while (!waiting_.empty()) {
      std::pop_heap(waiting_.begin(), waiting_.end(), is_earlier);
      const Ref<Node> last = std::move(waiting_.back());
      waiting_.pop_back();
      step(*last);
    }
    for (Capture& leaf : hooked_leaves_) {
      run_hooks(*leaf.node, leaf.gradient);
      add_to_leaf(*leaf.node, std::move(leaf.gradient));
    }
  }

 private:
  void step(Node& node) {
    Tensor gradient = std::move(node.pending_);
    const Scope scope(node.operation(), node.where_);
    if (node.extra_) run_hooks(node, gradient);
    if (node.extra_ && node.extra_->retain_grad) accumulate(node.grad_, gradient);
    if (Capture* capture = find(node, captures_)) {
      accumulate(capture->gradient, gradient);
      if (rest_ == Rest::to_enclosing_walk) return;
    }
    const std::span<const Ref<Node>> inputs = node.inputs();
    std::array<Tensor, 4> few;  // enough for most steps, without an allocation
    std::vector<Tensor> many(inputs.size() > few.size() ? inputs.size() : 0);
    const std::span<Tensor> gradients(many.empty() ? few.data() : many.data(), inputs.size());
    node.backward(gradient, gradients);
    if (!options_.retain_graph && !options_.create_graph) {
      node.release();
      node.released_ = true;
    }
    for (size_t i = 0; i < inputs.size(); ++i)
      if (gradients[i].defined()) deliver(*inputs[i], std::move(gradients[i]));
  }

  void add_to_leaf(Node& leaf, Tensor&& gradient) {
    if (rest_ != Rest::into_leaves) return pass_on(leaf, std::move(gradient));
    if (single_threaded()) return accumulate(leaf.grad_, std::move(gradient));
    const SpinGuard guard(leaf.lock_);
    accumulate(leaf.grad_, std::move(gradient));
  }

  void pass_on(Node& to, Tensor&& gradient) {
    if (rest_ == Rest::to_enclosing_walk && outer_) outer_->deliver(to, std::move(gradient));
  }

  static void run_hooks(Node& node, Tensor& gradient) {
    for (const auto& hook : node.extra_->hooks)
      if (Tensor changed = hook(gradient); changed.defined()) {
        check_gradient(node, changed, "a hook");
        gradient = std::move(changed);
      }
  }

  static void check_gradient(const Node& of, const Tensor& gradient, const char* source) {
    if (gradient.shape() != of.shape_ || gradient.dtype() != of.dtype_) fail_gradient(of, gradient, source);
  }
  [[noreturn, gnu::cold]] static void fail_gradient(const Node& of, const Tensor& gradient, const char* source) {
    const std::string gave = std::string(source) + " gave a gradient of ";
    if (gradient.shape() != of.shape_)
      fail(gave + "shape " + to_string(gradient.shape()) + " for a tensor of shape " + to_string(of.shape_));
    fail(gave + "dtype " + to_string(gradient.dtype()) + " for a tensor of dtype " + to_string(of.dtype_));
  }

  static Capture* find(const Node& node, std::vector<Capture>& among) {
    for (Capture& capture : among)
      if (capture.node == &node) return &capture;
    return nullptr;
  }

  PooledVector<Ref<Node>> waiting_;
  int64_t first_;  // the position of the first step to walk
  std::vector<Capture>& captures_;
  std::vector<Capture> hooked_leaves_, set_aside_;
  BackwardOptions options_;
  Rest rest_;
  Walk* outer_;  // the pass that this one was started from, if any
  static inline constinit thread_local Walk* current_ = nullptr;
};

namespace {

void require_scalar(const Tensor& output) {
  if (output.numel() != 1)
    fail("the output has shape " + to_string(output.shape()) +
         "; gradients start from a scalar: use mean(...) or sum(...), or pass the gradient of the output");
}

void require_recorded(const Tensor& output) {
  if (!output.needs_grad())
    fail(
        "no gradient flows to the output: it does not depend on a tensor that requires one, or it was computed under "
        "NoGrad");
}

Tensor one_for(const Tensor& output) {  // of the shape of an output with one element
  const Tensor one = Tensor::empty(output.shape(), output.dtype());
  visit(output.dtype(), [&]<class T>() { *static_cast<T*>(one.storage()->data()) = convert<T>(1); });
  return one.copied_to(output.device());
}

void check_seed(const Tensor& output, const Tensor& seed) {
  if (seed.shape() != output.shape())
    fail("the output has shape " + to_string(output.shape()) + " and its gradient " + to_string(seed.shape()));
  if (seed.dtype() != output.dtype())
    fail("the output holds " + to_string(output.dtype()) + " and its gradient " + to_string(seed.dtype()));
}

std::vector<Tensor> run(std::span<const Tensor> outputs, std::span<const Tensor> seeds, std::span<const Tensor> inputs,
                        BackwardOptions options, Walk::Rest rest) {
  std::vector<Walk::Capture> captures;
  int64_t first = rest == Walk::Rest::into_leaves
                      ? 0
                      : std::numeric_limits<int64_t>::max();  // a path to an input has only later steps
  for (const Tensor& input : inputs) {
    captures.push_back({input.node().get(), {}});
    first = std::min(first, input.node()->position());
  }
  Walk walk(first, captures, options, rest);
  for (size_t i = 0; i < outputs.size(); ++i) walk.deliver(*outputs[i].node(), Tensor(seeds[i]));
  walk.run();
  std::vector<Tensor> gradients;
  for (Walk::Capture& capture : captures) gradients.push_back(std::move(capture.gradient));
  return gradients;
}

}  // namespace

void Tensor::backward(BackwardOptions options, Location where) const {
  {
    const Scope scope("backward", where);
    require_recorded(*this);
    require_scalar(*this);
  }
  const Tensor one = one_for(*this);
  run({this, 1}, {&one, 1}, {}, options, Walk::Rest::into_leaves);
}

void Tensor::backward(const Tensor& grad_output, BackwardOptions options, Location where) const {
  {
    const Scope scope("backward", where);
    require_recorded(*this);
    check_seed(*this, grad_output);
  }
  run({this, 1}, {&grad_output, 1}, {}, options, Walk::Rest::into_leaves);
}

std::vector<Tensor> grad(const std::vector<Tensor>& outputs, const std::vector<Tensor>& inputs, BackwardOptions options,
                         const std::vector<Tensor>& grad_outputs, Location where) {
  std::vector<Tensor> seeds = grad_outputs;
  {
    const Scope scope("grad", where);
    if (!seeds.empty() && seeds.size() != outputs.size())
      fail(std::to_string(outputs.size()) + " outputs need as many grad_outputs, not " + std::to_string(seeds.size()));
    for (size_t i = 0; i < outputs.size(); ++i) {
      require_recorded(outputs[i]);
      if (!grad_outputs.empty()) {
        check_seed(outputs[i], seeds[i]);
      } else {
        require_scalar(outputs[i]);
        seeds.push_back(one_for(outputs[i]));
      }
    }
    for (const Tensor& input : inputs)
      if (!input.needs_grad()) fail("an input does not require a gradient: call requires_grad() on it before using it");
  }
  return run(outputs, seeds, inputs, options, Walk::Rest::dropped);
}

Tensor grad(const Tensor& output, const Tensor& input, BackwardOptions options, Location where) {
  return grad(std::vector{output}, std::vector{input}, options, {}, where)[0];
}

std::vector<Tensor> nested_grad(const Tensor& output, const Tensor& grad_output, const std::vector<Tensor>& inputs,
                                bool create_graph) {
  return run({&output, 1}, {&grad_output, 1}, inputs, {.create_graph = create_graph}, Walk::Rest::to_enclosing_walk);
}

std::unordered_map<const Node*, std::string> Tape::names() const {
  std::unordered_map<const Node*, std::string> names;
  int steps = 0, leaves = 0;
  for (const Ref<Node>& node : steps_) {
    for (const Ref<Node>& input : node->inputs())
      if (input && input->is_leaf() && !names.count(input.get()))
        names[input.get()] = !input->formula({}).empty() ? input->formula({}) : "x" + std::to_string(++leaves);
    names[node.get()] = node->name().empty() ? "v" + std::to_string(++steps) : node->name();
  }
  return names;
}

std::ostream& operator<<(std::ostream& out, const Tape& tape) {
  const auto names = tape.names();
  std::vector<std::array<std::string, 5>> rows{{"#", "operation", "formula", "shape", "where"}};
  for (size_t i = 0; i < tape.size(); ++i) {
    const Node& node = tape[i];
    std::vector<std::string> inputs;
    for (const Ref<Node>& input : node.inputs()) inputs.push_back(input ? names.at(input.get()) : "const");
    rows.push_back({std::to_string(i + 1), node.operation(), names.at(&node) + " = " + node.formula(inputs),
                    to_string(node.shape()), to_string(node.where())});
  }
  std::array<size_t, 5> width{};
  for (const auto& row : rows)
    for (size_t i = 0; i < row.size(); ++i) width[i] = std::max(width[i], count_characters(row[i]));
  for (const auto& row : rows)
    for (size_t i = 0; i < row.size(); ++i)
      out << row[i] << (i + 1 < row.size() ? std::string(width[i] - count_characters(row[i]) + 2, ' ') : "\n");
  return out;
}

}  // namespace gradus
