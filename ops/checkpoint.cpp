#include "ops/checkpoint.h"

#include <algorithm>

#include "ops/apply.h"

namespace gradus {
namespace {

using Function = std::function<Tensor(std::span<const Tensor>)>;

class Checkpoint final : public Node {
 public:
  Checkpoint(Function f, const std::vector<Tensor>& inputs, const std::vector<Ref<Node>>& captured,
             GeneratorState random, const Tensor& output)
      : Node(output), f_(std::move(f)), random_(random) {
    for (const Tensor& input : inputs) {
      saved_.push_back(input.needs_grad() ? input : input.detach());  // which get a gradient is decided now
      inputs_.push_back(input.node());
      versions_.push_back(input.storage()->version());
    }
    inputs_.insert(inputs_.end(), captured.begin(), captured.end());
  }

  std::span<const Ref<Node>> inputs() const override { return inputs_; }
  const char* operation() const override { return "checkpoint"; }
  std::string formula(std::span<const std::string> names) const override {
    std::string text = "checkpoint(";
    for (size_t i = 0; i < names.size(); ++i) text += (i ? ", " : "") + names[i];
    return text + ")";
  }
  Tensor again(std::span<const Tensor> x) const override {
    if (released()) detail::fail_released();
    return with_same_random_numbers(x.first(std::min(x.size(), saved_.size())));
  }
  void release() override {
    saved_.clear();
    f_ = nullptr;
  }

  void backward(const Tensor& dy, std::span<Tensor> gradients) override {
    if (released()) detail::fail_released();
    const bool create_graph = grad_enabled();
    const GradMode recording(true);
    // A leaf made now marks where the recomputation begins on the tape, even if no input needs a gradient.
    std::vector<Tensor> x, wanted{Tensor(0.).requires_grad()};
    for (size_t i = 0; i < saved_.size(); ++i) {
      detail::check_unchanged(*saved_[i].storage(), versions_[i]);
      x.push_back(saved_[i]);
      if (!x.back().needs_grad()) continue;
      x.back() = create_graph ? identity(x.back()) : x.back().detach().requires_grad();
      wanted.push_back(x.back());
    }
    const Tensor y = with_same_random_numbers(x);
    const std::vector<Tensor> found = nested_grad(y, dy, wanted, create_graph);
    for (size_t i = 0, k = 1; i < x.size(); ++i)
      if (x[i].needs_grad()) gradients[i] = found[k++];
  }

 private:
  Tensor with_same_random_numbers(std::span<const Tensor> x) const {
    const GeneratorState now = default_generator().state();
    default_generator().set_state(random_);
    const Tensor y = f_(x);
    default_generator().set_state(now);
    return y;
  }

  Function f_;
  GeneratorState random_;
  std::vector<Ref<Node>> inputs_;
  std::vector<Tensor> saved_;
  std::vector<uint32_t> versions_;
};

}  // namespace

Tensor checkpoint_list(Function f, std::vector<Tensor> inputs, Location where) {
  const Scope scope("checkpoint", where);
  const GeneratorState random = default_generator().state();
  const int64_t start = Tensor(0.).requires_grad().node()->position();
  const Tensor recorded = f(inputs);  // recorded only to learn what a gradient flows to; the steps are freed at once
  const Tensor y = recorded.detach();
  if (!recorded.needs_grad()) return y;
  std::vector<Ref<Node>> captured;  // earlier steps that f uses without being given them
  for (const Ref<Node>& step : Tape({&recorded, 1}, start))
    for (const Ref<Node>& input : step->inputs()) {
      const bool given = std::ranges::any_of(inputs, [&](const Tensor& x) { return x.node() == input; });
      if (input && !input->is_leaf() && input->position() < start && !given) captured.push_back(input);
    }
  for (const Tensor& x : inputs) KeepValues::note(x);
  y.handle()->node = Ref<Node>(new Checkpoint(std::move(f), inputs, captured, random, y));
  return y;
}

}  // namespace gradus
