#include "ops/rnn.h"

#include "ops/activation.h"
#include "ops/apply.h"
#include "ops/arithmetic.h"
#include "ops/comparison.h"
#include "ops/create.h"
#include "ops/join.h"
#include "ops/kernels.h"
#include "ops/matmul.h"
#include "ops/reduce.h"
#include "ops/trigonometric.h"
#include "ops/view.h"

namespace gradus {
namespace {

constexpr const char* name_of(Recurrence recurrence) {
  constexpr const char* names[] = {"rnn_tanh", "rnn_relu", "lstm", "gru"};
  return names[int(recurrence)];
}

Tensor next_state(Recurrence recurrence, const Tensor& gates, const Tensor& state, const Tensor& weight,
                  const Tensor& bias) {
  const Tensor h = select(state, 0, 0), hidden = linear(h, weight, bias);
  if (recurrence == Recurrence::rnn_tanh) return unsqueeze(tanh(gates + hidden), 0);
  if (recurrence == Recurrence::rnn_relu) return unsqueeze(relu(gates + hidden), 0);
  const std::vector<Tensor> a = chunk(gates, gate_count(recurrence), 1), u = chunk(hidden, gate_count(recurrence), 1);
  if (recurrence == Recurrence::gru) {
    const Tensor r = sigmoid(a[0] + u[0]), z = sigmoid(a[1] + u[1]), n = tanh(a[2] + r * u[2]);
    return unsqueeze(n + z * (h - n), 0);
  }
  const Tensor c = sigmoid(a[1] + u[1]) * select(state, 0, 1) + sigmoid(a[0] + u[0]) * tanh(a[2] + u[2]);
  return stack({sigmoid(a[3] + u[3]) * tanh(c), c});
}

/// gates: [T, B, G·H], state: [S, B, H], weight: [G·H, H], bias: [G·H] → [S, T + 1, B, H].
template <Recurrence recurrence> struct Recurrent {
  static constexpr Info info{name_of(recurrence)};
  static constexpr bool backward_is_kernel = true;
  bool reverse;
  Tensor lengths, values;

  void release() { values = {}; }

  kernel::Sequence sequence(const Tensor& weight, const Tensor& bias, const Tensor& states) const {
    return {recurrence, reverse, lengths, compact(weight), compact(bias), compact(states), values};
  }
  Tensor forward(const Tensor& gates, const Tensor& state, const Tensor& weight, const Tensor& bias) const {
    const int64_t steps = gates.shape()[0], batch = gates.shape()[1], n = weight.shape()[1];
    const Tensor states = Tensor::empty({state.shape()[0], steps + 1, batch, n}, gates.dtype(), gates.device());
    const int64_t first = reverse ? steps : 0;
    kernels(state).copy(state, states.alias(state.shape(), {(steps + 1) * batch * n, n, 1}, first * batch * n));
    kernels(gates).recurrence(sequence(weight, bias, states), compact(gates));
    return states;
  }
  auto backward(const Tensor& dstates, Unused, const Tensor& state, const Tensor& weight, const Tensor& bias,
                const SavedOutput& states) const {
    const int64_t steps = dstates.shape()[1] - 1, batch = state.shape()[1], n = state.shape()[2];
    const Tensor dgates = Tensor::empty({steps, batch, weight.shape()[0]}, state.dtype(), state.device());
    const Tensor dhidden =
        recurrence == Recurrence::gru ? Tensor::empty(dgates.shape(), state.dtype(), state.device()) : dgates;
    const Tensor dstate = Tensor::empty(state.shape(), state.dtype(), state.device());
    kernels(dstates).recurrence_backward(sequence(weight, bias, states), compact(dstates), {dgates, dhidden, dstate});
    const Tensor rows = reshape(dhidden, {steps * batch, weight.shape()[0]});
    const Tensor before = reshape(narrow(select(states, 0, 0), 0, reverse, steps), {steps * batch, n});
    return std::tuple(
        dgates, dstate, [=] { return matmul(t(rows), before); }, [=] { return sum(rows, 0); });
  }
  Tensor plain(const Tensor& gates, const Tensor& state, const Tensor& weight, const Tensor& bias) const {
    const int64_t steps = gates.shape()[0];
    std::vector<Tensor> states(size_t(steps) + 1, state);
    Tensor before = state;
    for (int64_t step = 0; step < steps; ++step) {
      const int64_t at = reverse ? steps - 1 - step : step;
      Tensor next = next_state(recurrence, select(gates, 0, at), before, weight, bias);
      if (lengths.defined()) next = where(unsqueeze(lengths > at, 1), next, before);
      states[size_t(at + !reverse)] = before = next;
    }
    return stack(states, 1);
  }
  std::string formula(std::span<const std::string> names) const {
    return std::string(info.name) + '(' + names[0] + ", " + names[1] + ", " + names[2] + ", " + names[3] + ')';
  }
};

void check(Recurrence recurrence, int dims, const Tensor& gates, const Tensor& state, const Tensor& weight,
           const Tensor& bias) {
  const std::string count = recurrence == Recurrence::lstm || recurrence == Recurrence::gru
                                ? std::to_string(gate_count(recurrence)) + "·H"
                                : "H";
  const int64_t n = weight.dim() == 2 ? weight.shape()[1] : 0, width = gate_count(recurrence) * n;
  if (weight.dim() != 2 || weight.shape()[0] != width || bias.shape() != Shape{width})
    fail("weight is " + to_string(weight.shape()) + " and bias " + to_string(bias.shape()) + "; they must be [" +
         count + ", H] and [" + count + "]");
  if (gates.dim() != dims || gates.shape().back() != width)
    fail("gates is " + to_string(gates.shape()) + " and weight " + to_string(weight.shape()) + "; gates must be [" +
         (dims == 3 ? "T, B, " : "B, ") + std::to_string(width) + "]");
  const Shape expected{state_count(recurrence), gates.shape()[dims - 2], n};
  if (state.shape() != expected)
    fail("state is " + to_string(state.shape()) + " and gates " + to_string(gates.shape()) + "; state must be " +
         to_string(expected));
  for (const Tensor* each : {&gates, &state, &weight, &bias})
    if (each->dtype() != gates.dtype() || !is_floating_point(each->dtype()))
      fail("gates, state, weight and bias must have the same floating-point dtype; gates is " +
           to_string(gates.dtype()) + " and another " + to_string(each->dtype()));
}

void check_lengths(const Tensor& lengths, const Tensor& gates) {
  const int64_t steps = gates.shape()[0], batch = gates.shape()[1];
  if (lengths.dtype() != int64 || lengths.shape() != Shape{batch})
    fail("lengths must be int64 and [" + std::to_string(batch) + "], not " + to_string(lengths.dtype()) + " and " +
         to_string(lengths.shape()));
  const int64_t b = kernels(lengths).first_outside(contiguous(lengths), steps + 1);
  if (b >= 0)
    fail("lengths[" + std::to_string(b) + "] is " + std::to_string(lengths.at<int64_t>(b)) + ", but there are " +
         std::to_string(steps) + " steps");
}

template <Recurrence recurrence> Tensor run(const Tensor& gates, const Tensor& state, const Tensor& weight,
                                            const Tensor& bias, const RecurrenceOptions& options) {
  const int64_t steps = gates.shape()[0], batch = gates.shape()[1], n = weight.shape()[1];
  const bool recorded =
      grad_enabled() && (gates.needs_grad() || state.needs_grad() || weight.needs_grad() || bias.needs_grad());
  constexpr bool is_gated = gate_count(recurrence) > 1;
  // Without a backward to come, one step's values do for all.
  const Tensor values =
      Tensor::empty({recorded ? steps : 1, batch, is_gated ? 4 * n : 0}, gates.dtype(), gates.device());
  Recurrent<recurrence> op{options.reverse, options.lengths.defined() ? contiguous(options.lengths) : Tensor(),
                           recorded ? values : expand(values, {steps, batch, values.shape()[2]})};
  return apply(op, gates, state, weight, bias);
}

Tensor or_zeros(const Tensor& bias, const Tensor& weight) {
  return bias.defined() ? bias : zeros({weight.dim() ? weight.shape()[0] : 0}, weight.dtype(), weight.device());
}

}  // namespace

Tensor recurrence(Recurrence recurrence, const Arg& gates, const Tensor& state, const Tensor& weight,
                  const Tensor& bias, const RecurrenceOptions& options) {
  const Scope scope(name_of(recurrence), gates.where());
  const Tensor b = or_zeros(bias, weight);
  check(recurrence, 3, *gates, state, weight, b);
  if (options.lengths.defined()) check_lengths(options.lengths, *gates);
  if (gates->dtype() == bfloat16)  // rounded at the end, not at every step
    return to(gradus::recurrence(recurrence, to(gates, float32), to(state, float32), to(weight, float32),
                                 to(b, float32), options),
              bfloat16);
  switch (recurrence) {
    case Recurrence::rnn_tanh: return run<Recurrence::rnn_tanh>(*gates, state, weight, b, options);
    case Recurrence::rnn_relu: return run<Recurrence::rnn_relu>(*gates, state, weight, b, options);
    case Recurrence::lstm: return run<Recurrence::lstm>(*gates, state, weight, b, options);
    default: return run<Recurrence::gru>(*gates, state, weight, b, options);
  }
}

Tensor recurrent_step(Recurrence recurrence, const Arg& gates, const Tensor& state, const Tensor& weight,
                      const Tensor& bias) {
  const Scope scope(name_of(recurrence), gates.where());
  const Tensor b = or_zeros(bias, weight);
  check(recurrence, 2, *gates, state, weight, b);
  return next_state(recurrence, *gates, state, weight, b);
}

}  // namespace gradus
