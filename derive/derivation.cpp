#include "derive/derivation.h"

#include <algorithm>
#include <map>
#include <unordered_set>

#include "derive/recorded.h"
#include "derive/source.h"
#include "ops/create.h"
#include "ops/view.h"

namespace gradus {
namespace {

/// Lines of source files, each of which is read once.
class Sources {
 public:
  std::string line(Location where) {
    if (!where.file) return {};
    const auto [entry, fresh] = files_.try_emplace(where.file);
    if (fresh) entry->second = source_lines(where);
    if (where.line < 1 || size_t(where.line) > entry->second.size()) return {};
    const std::string& line = entry->second[size_t(where.line) - 1];
    const size_t begin = line.find_first_not_of(" \t"), end = line.find_last_not_of(" \t\r");
    return begin == line.npos ? std::string() : line.substr(begin, end - begin + 1);
  }

 private:
  std::map<std::string, std::vector<std::string>> files_;
};

std::string without_last_part(const std::string& name) {
  const size_t dot = name.rfind('.');
  return dot == name.npos ? std::string() : name.substr(0, dot);
}

constexpr size_t longest_rule = 40;  // names, numbers and operations; longer rules are only named

}  // namespace

/// Puts a derivation together.
class DerivationBuilder {
 public:
  /// `letter`: for steps without a name; `loss`: what is differentiated, if not the result.
  DerivationBuilder(Derivation& derivation, std::string letter, Formula loss)
      : derivation_(derivation), letter_(std::move(letter)), loss_(std::move(loss)) {}

  void build(const Tensor& result, const Tensor& grad_output) {
    if (!result.needs_grad())
      fail(
          "no gradient flows to the result: it does not depend on a tensor that requires one, or it was computed under "
          "NoGrad");
    if (result.is_leaf()) fail("the result is a leaf; there is no step to show");
    const Tape tape(result);
    add_forward(tape, *result.node());
    add_backward(grad_output);
  }

 private:
  void add_forward(const Tape& tape, const Node& result) {
    Sources sources;
    for (const Ref<Node>& node : tape) {
      if (node->released()) fail("the steps were freed by backward(): make the derivation before it, or retain_graph");
      ForwardStep step;
      for (const Ref<Node>& input : node->inputs()) step.inputs.push_back(add_quantity(input.get(), *node));
      const std::string name = !node->name().empty()   ? node->name()
                               : node.get() == &result ? std::string("L")
                                                       : next(letter_, steps_);
      step.result = derivation_.quantities_.size();
      indices_[node.get()] = step.result;
      add(name, node->value(), *node).step = derivation_.forward_.size();
      step.operation = node->operation();
      step.formula = formula_of(*node, formulas_);
      step.where = node->where();
      step.source = sources.line(step.where);
      step.fused = node->is_fused();
      step.module = module_of(step);
      derivation_.forward_.push_back(std::move(step));
      derivation_.nodes_.push_back(node);
    }
    if (loss_.text.empty()) loss_ = derivation_.quantities_[derivation_.result()].symbol;
    for (Quantity& each : derivation_.quantities_) each.gradient_symbol = derivative(loss_, each.symbol);
  }

  // The quantity that an input of a step is; made if it is a leaf that was not met before.
  size_t add_quantity(const Node* node, const Node& step) {
    if (!node || !node->value().defined()) fail_without_values(step);
    if (const auto known = indices_.find(node); known != indices_.end()) return known->second;
    if (node->value_position() > step.position())
      fail("the values of " + (node->name().empty() ? std::string("a leaf") : node->name()) +
           " have changed since the step " + step.operation() + " (" + to_string(step.where()) + ")");
    const size_t index = derivation_.quantities_.size();
    indices_[node] = index;
    if (const auto* number = dynamic_cast<const Constant*>(node)) {
      Quantity& quantity = derivation_.quantities_.emplace_back();
      quantity.name = number->formula({});
      quantity.symbol = parse_formula(quantity.name);
      quantity.is_number = true;
      quantity.value = node->value();
      formulas_[node] = quantity.symbol;
    } else {
      add(node->name().empty() ? next("x", leaves_) : node->name(), node->value(), *node);
    }
    return index;
  }

  Quantity& add(std::string name, const Tensor& value, const Node& node) {
    if (!value.defined()) fail_without_values(node);
    while (!used_.insert(name).second) name += "′";
    Quantity& quantity = derivation_.quantities_.emplace_back();
    quantity.name = name;
    quantity.symbol = {Formula::Kind::name, name, {}, derivation_.quantities_.size() - 1};
    quantity.named = !node.name().empty();
    quantity.value = value;
    formulas_[&node] = quantity.symbol;
    return quantity;
  }

  static std::string next(const std::string& letter, int& count) { return letter + std::to_string(++count); }

  [[noreturn]] static void fail_without_values(const Node& step) {
    fail("the step " + std::string(step.operation()) + " (" + to_string(step.where()) +
         ") has not kept its numbers: put `const KeepValues keep;` before the computation");
  }

  // The module whose parameters a step uses; without any, that of the step before if the same line asked for both.
  std::string module_of(const ForwardStep& step) const {
    for (size_t input : step.inputs)
      if (const Quantity& quantity = derivation_.quantities_[input]; quantity.step == Quantity::leaf)
        if (std::string module = without_last_part(quantity.name); !module.empty() && !quantity.is_number)
          return module;
    if (derivation_.forward_.empty()) return {};
    const ForwardStep& before = derivation_.forward_.back();
    const bool same_line = before.where.line == step.where.line && before.where.file == step.where.file;
    return same_line ? before.module : std::string();
  }

  void add_backward(const Tensor& grad_output) {
    std::vector<Tensor> gradients(derivation_.quantities_.size());
    gradients[derivation_.result()] = grad_output;
    for (size_t i = derivation_.forward_.size(); i-- > 0;) {
      const ForwardStep& step = derivation_.forward_[i];
      const Tensor dy = gradients[step.result];
      if (!dy.defined()) continue;
      Node& node = *derivation_.nodes_[i];
      const Scope scope(node.operation(), node.where());
      std::vector<Tensor> found(step.inputs.size());
      {
        const NoGrad off;
        node.backward(dy, found);
      }
      BackwardStep& backward = derivation_.backward_.emplace_back();
      backward.forward = i;
      const std::vector<Formula> rules = rules_of(node, step, dy);
      for (size_t k = 0; k < found.size(); ++k) {
        if (!found[k].defined()) continue;
        Tensor& sum = gradients[step.inputs[k]];
        backward.contributions.push_back(
            {k, step.inputs[k], rules[k], found[k].copied_to(Device::cpu()), !sum.defined()});
        accumulate(sum, found[k]);
      }
    }
    for (size_t i = 0; i < gradients.size(); ++i)
      if (gradients[i].defined()) derivation_.quantities_[i].gradient = gradients[i].copied_to(Device::cpu());
  }

  // What a step's backward does for each input, as formulas. What would be too long to read is only named.
  std::vector<Formula> rules_of(Node& node, const ForwardStep& step, const Tensor& dy) {
    const Quantity& result = derivation_.quantities_[step.result];
    const bool is_one = derivation_.from_one_ && step.result == derivation_.result();
    const Formula gradient = is_one ? Formula{Formula::Kind::number, "1"} : result.gradient_symbol;
    std::vector<Formula> rules = stated_rules(node, step, gradient);
    if (rules.empty()) rules = recorded_rules(node, step, dy, gradient);
    for (size_t k = 0; k < rules.size(); ++k) {
      rules[k] = simplify(std::move(rules[k]));
      if (size_of(rules[k]) > longest_rule || is_incomplete(rules[k]))
        rules[k] = simplify({Formula::Kind::product,
                             {},
                             {gradient, derivative(result.symbol, derivation_.quantities_[step.inputs[k]].symbol)}});
    }
    return rules;
  }

  std::vector<Formula> stated_rules(const Node& node, const ForwardStep& step, const Formula& gradient) const {
    std::vector<std::string> marks;
    std::vector<Formula> operands;
    for (size_t input : step.inputs) {
      marks.push_back(formula_mark(operands.size()));
      operands.push_back(derivation_.quantities_[input].symbol);
    }
    const std::string y = formula_mark(operands.size()), dy = formula_mark(operands.size() + 1);
    operands.push_back(derivation_.quantities_[step.result].symbol);
    operands.push_back(gradient);
    std::vector<Formula> rules;
    for (const std::string& text : node.gradient_formulas(marks, y, dy)) rules.push_back(parse_formula(text, operands));
    return rules;
  }

  // A step's backward, recorded as a computation on a leaf that stands for the gradient of the step's result.
  std::vector<Formula> recorded_rules(Node& node, const ForwardStep& step, const Tensor& dy,
                                      const Formula& gradient) const {
    const Tensor leaf = dy.detach().requires_grad();
    std::vector<Tensor> found(step.inputs.size());
    {
      const GradMode recording(true);
      node.backward(leaf, found);
    }
    NodeFormulas known = formulas_;
    known[leaf.node().get()] = gradient;
    std::vector<Formula> rules(found.size());
    for (size_t k = 0; k < found.size(); ++k)
      if (found[k].defined()) rules[k] = formula_of(found[k], known, leaf.node()->position());
    return rules;
  }

  Derivation& derivation_;
  std::string letter_;
  Formula loss_;
  std::unordered_map<const Node*, size_t> indices_;
  NodeFormulas formulas_;
  std::unordered_set<std::string> used_;
  int steps_ = 0, leaves_ = 0;
};

Derivation::Derivation(const Tensor& result, Location where) {
  const Scope scope("Derivation", where);
  if (result.numel() != 1)
    fail("the result has shape " + to_string(result.shape()) +
         "; the derivation is that of a scalar: use mean(...) or sum(...), or pass the gradient of the result");
  from_one_ = true;
  DerivationBuilder(*this, "v", {}).build(result, ones_like(result));
}

Derivation::Derivation(const Tensor& result, const Tensor& grad_output, Location where) {
  const Scope scope("Derivation", where);
  if (grad_output.shape() != result.shape())
    fail("the result has shape " + to_string(result.shape()) + " and its gradient " + to_string(grad_output.shape()));
  DerivationBuilder(*this, "v", {}).build(result, grad_output);
}

Derivation Derivation::open(size_t forward_step) const {
  const ForwardStep& step = forward_[forward_step];
  const Scope scope("open", step.where);
  const Quantity& result = quantities_[step.result];
  if (!step.fused) fail(step.operation + " has no definition in simpler operations");
  if (!result.gradient.defined()) fail("no gradient flows to " + result.name);
  const KeepValues keep;
  const GradMode recording(true);
  std::vector<Tensor> inputs;
  for (size_t input : step.inputs) {
    const Quantity& quantity = quantities_[input];
    inputs.push_back(quantity.value.detach().named(quantity.name));
    if (quantity.gradient.defined()) inputs.back().requires_grad();
  }
  Derivation opened;
  DerivationBuilder(opened, "u", result.gradient_symbol.parts[0])
      .build(nodes_[forward_step]->again(inputs).named(result.name), result.gradient);
  return opened;
}

size_t Derivation::find(std::string_view name) const {
  for (size_t i = 0; i < quantities_.size(); ++i)
    if (quantities_[i].name == name || printable(quantities_[i].name) == name ||
        to_text(quantities_[i].gradient_symbol) == name)
      return i;
  std::string known;
  for (const Quantity& each : quantities_)
    if (!each.is_number) known += (known.empty() ? "" : ", ") + printable(each.name);
  fail("there is no " + std::string(name) + "; the names are " + known);
}

std::vector<size_t> Derivation::contributors(size_t quantity) const {
  std::vector<size_t> steps;
  for (size_t i = 0; i < backward_.size(); ++i)
    if (std::ranges::count(backward_[i].contributions, quantity, &Contribution::to)) steps.push_back(i);
  return steps;
}

}  // namespace gradus
