#include "nn/optim.h"

#include <fmt/format.h>

#include <cmath>
#include <unordered_set>

#include "core/cuda.h"
#include "core/node.h"
#include "ops/create.h"
#include "ops/optimizer.h"
#include "ops/view.h"

namespace gradus::optim {
namespace {

void at_least_zero(std::initializer_list<std::pair<const char*, double>> settings) {
  for (const auto& [name, value] : settings)
    if (!(value >= 0)) fail(fmt::format("{} is {}; it must be at least 0", name, value));
}
void below_one(const char* setting, double value) {
  if (!(value >= 0 && value < 1)) fail(fmt::format("{} is {}; it must be at least 0 and less than 1", setting, value));
}

// Something that an optimiser remembers about each element of a parameter.
struct Slot {
  const char* name;
  bool used = true;
  double initial = 0;
};

// What each optimiser is: a name, rules for its settings, what it remembers, the update for step number `step`.

constexpr const char* name_of(const SGDOptions&) { return "SGD"; }
void check(const SGDOptions& o) {
  at_least_zero({{"lr", o.lr}, {"momentum", o.momentum}, {"weight_decay", o.weight_decay}});
  if (o.nesterov && (o.momentum == 0 || o.dampening != 0))
    fail(fmt::format("nesterov needs a momentum and no dampening; they are {} and {}", o.momentum, o.dampening));
}
std::array<Slot, 1> slots(const SGDOptions& o) { return {{{"momentum_buffer", o.momentum != 0}}}; }
formula::SgdUpdate rule(const SGDOptions& o, int64_t, bool first) {
  return {o.lr, o.momentum, o.dampening, o.weight_decay, o.nesterov, first};
}

constexpr const char* name_of(const AdamOptions&) { return "Adam"; }
constexpr const char* name_of(const AdamWOptions&) { return "AdamW"; }
template <class O> constexpr bool is_adam = std::is_same_v<O, AdamOptions> || std::is_same_v<O, AdamWOptions>;
template <class O>
requires is_adam<O>
void check(const O& o) {
  at_least_zero({{"lr", o.lr}, {"eps", o.eps}, {"weight_decay", o.weight_decay}});
  below_one("the first of betas", o.betas.first);
  below_one("the second of betas", o.betas.second);
}
template <class O>
requires is_adam<O> std::array<Slot, 3> slots(const O& o) {
  return {{{"exp_avg"}, {"exp_avg_sq"}, {"max_exp_avg_sq", o.amsgrad}}};
}
template <class O>
requires is_adam<O> formula::AdamUpdate rule(const O& o, int64_t step, bool) {
  const auto [beta1, beta2] = o.betas;
  const double correction1 = 1 - std::pow(beta1, double(step)), correction2 = 1 - std::pow(beta2, double(step));
  const bool decoupled = std::is_same_v<O, AdamWOptions>;
  return {o.lr, beta1, beta2, o.eps, o.weight_decay, decoupled, o.amsgrad, correction1, correction2};
}

constexpr const char* name_of(const RMSpropOptions&) { return "RMSprop"; }
void check(const RMSpropOptions& o) {
  at_least_zero({{"lr", o.lr}, {"alpha", o.alpha}, {"eps", o.eps}});
  at_least_zero({{"weight_decay", o.weight_decay}, {"momentum", o.momentum}});
}
std::array<Slot, 3> slots(const RMSpropOptions& o) {
  return {{{"square_avg"}, {"momentum_buffer", o.momentum != 0}, {"grad_avg", o.centered}}};
}
formula::RmspropUpdate rule(const RMSpropOptions& o, int64_t, bool) {
  return {o.lr, o.alpha, o.eps, o.weight_decay, o.momentum, o.centered};
}

constexpr const char* name_of(const AdagradOptions&) { return "Adagrad"; }
void check(const AdagradOptions& o) {
  at_least_zero({{"lr", o.lr}, {"lr_decay", o.lr_decay}, {"weight_decay", o.weight_decay}, {"eps", o.eps}});
  at_least_zero({{"initial_accumulator_value", o.initial_accumulator_value}});
}
std::array<Slot, 1> slots(const AdagradOptions& o) { return {{{"sum", true, o.initial_accumulator_value}}}; }
formula::AdagradUpdate rule(const AdagradOptions& o, int64_t step, bool) {
  return {o.lr / (1 + double(step - 1) * o.lr_decay), o.eps, o.weight_decay};
}

Dtype state_dtype(const Tensor& parameter) { return parameter.dtype() == float64 ? float64 : float32; }

// "hidden.weight", or "parameter 3" for one without a name.
std::string title(const Tensor& parameter, size_t number) {
  return parameter.name().empty() ? fmt::format("parameter {}", number) : parameter.name();
}

// Of a step that is recorded as a CUDA graph: the rule follows the settings and counts the steps of the launches.
template <class Rule>
const Rule* rule_of_each_launch(const auto& groups, size_t g, size_t p, const auto& used, Location where) {
  const auto compute = [=](void* to) {
    auto& [options, initial_lr, parameters] = (*groups)[g];
    const Scope scope(name_of(options), where);
    check(options);
    const auto wanted = slots(options);
    for (size_t i = 0; i < wanted.size(); ++i)
      if (wanted[i].used != used[i].defined() || (used[i].defined() && !used[i].is(parameters[p].state[i])))
        fail("the CUDA graph was recorded with another " + std::string(wanted[i].name));
    new (to) Rule(rule(options, ++parameters[p].step, false));
  };
  return static_cast<const Rule*>(cuda::computed_each_launch(sizeof(Rule), compute));
}

}  // namespace

template <class O> Optimizer<O>::Optimizer(const std::vector<Tensor>& parameters, const O& options, Location where) {
  add_group(parameters, options, where);
}

template <class O> Optimizer<O>::~Optimizer() = default;
template <class O> Optimizer<O>::Optimizer(Optimizer&&) noexcept = default;
template <class O> Optimizer<O>& Optimizer<O>::operator=(Optimizer&&) noexcept = default;

template <class O>
void Optimizer<O>::add_group(const std::vector<Tensor>& parameters, const O& options, Location where) {
  const Scope scope(name_of(options), where);
  check(options);
  if (parameters.empty()) fail("there are no parameters to optimise");
  std::unordered_set<const TensorBody*> known;
  size_t number = 0;
  for (const Group& group : *groups_)
    for (const Parameter& parameter : group.parameters) known.insert(parameter.tensor.handle().get()), ++number;
  Group group{options, options.lr, {}};
  for (const Tensor& tensor : parameters) {
    const std::string name = title(tensor, number++);
    if (!tensor.is_leaf())
      fail(fmt::format("{} is the result of {}; only leaves can be optimised", name, tensor.node()->operation()));
    if (!is_floating_point(tensor.dtype()))
      fail(fmt::format("{} is {}; only floating-point tensors can be optimised", name, to_string(tensor.dtype())));
    if (!known.insert(tensor.handle().get()).second) fail(name + " is given twice");
    group.parameters.push_back({tensor});
  }
  groups_->push_back(std::move(group));
}

template <class O> void Optimizer<O>::zero_grad() {
  for (const Group& group : *groups_)
    for (const Parameter& parameter : group.parameters) parameter.tensor.set_grad({});
}

template <class O> void Optimizer<O>::step(Location where) {
  const Scope scope(name_of(O()), where);
  const NoGrad no_grad;
  const bool is_recorded = cuda::is_capturing();
  size_t number = 0;
  for (size_t g = 0; g < groups_->size(); ++g) {
    Group& group = (*groups_)[g];
    check(group.options);
    const auto wanted = slots(group.options);
    for (size_t p = 0; p < group.parameters.size(); ++p, ++number) {
      auto& [tensor, state, step] = group.parameters[p];
      const Tensor& grad = tensor.grad();
      if (!grad.defined()) continue;
      if (is_recorded && tensor.device().is_cpu())
        fail(title(tensor, number) + " is on the CPU, which a CUDA graph does not record");
      const bool first = !state[0].defined();
      std::array<Tensor, wanted.size()> used;
      for (size_t i = 0; i < wanted.size(); ++i) {
        if (!wanted[i].used) continue;
        if (!state[i].defined()) {
          if (is_recorded)
            fail(fmt::format("{} has no {} yet: a CUDA graph is recorded after a step of the same kind",
                             title(tensor, number), wanted[i].name));
          state[i] = full(tensor.shape(), wanted[i].initial, state_dtype(tensor), tensor.device());
        } else if (state[i].dtype() != state_dtype(tensor)) {
          state[i] = to(state[i], state_dtype(tensor));
        }
        used[i] = state[i];
      }
      cuda::PerLaunch now{rule(group.options, step + 1, first)};
      if (is_recorded) now.latest = rule_of_each_launch<decltype(now.value)>(groups_, g, p, used, where);
      else ++step;
      update(now, tensor, grad, used);
    }
  }
}

template <class O> std::map<std::string, Tensor> Optimizer<O>::state_dict() const {
  std::map<std::string, Tensor> dict;
  size_t number = 0;
  for (size_t g = 0; g < groups_->size(); ++g) {
    const auto names = slots((*groups_)[g].options);
    dict[fmt::format("group.{}.lr", g)] = Tensor((*groups_)[g].options.lr, float64);
    for (const auto& [tensor, state, step] : (*groups_)[g].parameters) {
      dict[fmt::format("{}.step", number)] = Tensor(double(step), int64);
      for (size_t i = 0; i < names.size(); ++i)
        if (state[i].defined()) dict[fmt::format("{}.{}", number, names[i].name)] = state[i];
      ++number;
    }
  }
  return dict;
}

template <class O> void Optimizer<O>::load_state_dict(const std::map<std::string, Tensor>& dict, Location where) {
  const Scope scope(name_of(O()), where);
  const NoGrad no_grad;
  std::vector<Group> loaded = *groups_;
  size_t number = 0, used = 0;
  const auto take = [&](const std::string& name, const Shape& shape, bool required) {
    const auto found = dict.find(name);
    if (found == dict.end() && !required) return Tensor();
    if (found == dict.end()) fail("the state has no " + name);
    if (found->second.shape() != shape)
      fail(fmt::format("{} has shape {} here and {} in the state", name, to_string(shape),
                       to_string(found->second.shape())));
    ++used;
    return found->second;
  };
  for (size_t g = 0; g < loaded.size(); ++g) {
    const auto names = slots(loaded[g].options);
    loaded[g].options.lr = take(fmt::format("group.{}.lr", g), {}, true).template item<double>();
    for (auto& [tensor, state, step] : loaded[g].parameters) {
      step = take(fmt::format("{}.step", number), {}, true).template item<int64_t>();
      for (size_t i = 0; i < names.size(); ++i) {
        const Tensor value =
            take(fmt::format("{}.{}", number, names[i].name), tensor.shape(), step > 0 && names[i].used);
        state[i] = value.defined() ? clone(to(to(value, tensor.device()), state_dtype(tensor))) : Tensor();
      }
      ++number;
    }
  }
  if (used != dict.size()) fail(fmt::format("the state has {} tensors and this optimiser {}", dict.size(), used));
  groups_->swap(loaded);
}

template class Optimizer<SGDOptions>;
template class Optimizer<AdamOptions>;
template class Optimizer<AdamWOptions>;
template class Optimizer<RMSpropOptions>;
template class Optimizer<AdagradOptions>;

}  // namespace gradus::optim
