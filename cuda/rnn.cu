// Recurrent networks. A step is one product W·h, by cuBLAS, and one kernel for all else; a product reads all of W, G·H²
// elements for 2·B·G·H² FLOPs, so that small batches are bound by memory.

#include "cuda/device.h"
#include "ops/formula.h"

namespace gradus::cuda {
namespace {

using formula::sigmoid, formula::tanh;

// What one thread works on: a hidden unit of one sequence in one step. Its parts of the gates lie n apart, those of the
// states `plane` apart.
template <class T> struct Unit {
  int64_t n, plane;
  const T *gates, *hidden, *bias, *before;
  T *after, *values;

  // What goes into gate k.
  __device__ T sum(int k) const { return gates[k * n] + (hidden[k * n] + bias[k * n]); }
};

// The same on the way back.
template <class T> struct UnitBack {
  int64_t n, plane;
  const T *values, *before, *after;
  T *gates, *hidden;
};

// In each backward, dh and dc are the gradients of the states after the step, and become what of them goes straight to
// the states before it. Gates hold their gradients then, and so does `hidden`, W·h + b.
template <bool relu> struct Rnn {
  static constexpr int64_t gates = 1, states = 1;
  template <class T> static __device__ void forward(const Unit<T>& unit) {
    const T sum = unit.sum(0);
    if constexpr (relu) unit.after[0] = formula::maximum(sum, T(0));
    else unit.after[0] = tanh(sum);
  }
  template <class T> static __device__ void backward(const UnitBack<T>& unit, T& dh, T&) {
    const T h = unit.after[0];
    if constexpr (relu) unit.gates[0] = h > T(0) ? dh : T(0);
    else unit.gates[0] = dh * (T(1) - h * h);
    dh = 0;
  }
};

struct Lstm {
  static constexpr int64_t gates = 4, states = 2;
  template <class T> static __device__ void forward(const Unit<T>& unit) {
    const int64_t n = unit.n;
    const T i = sigmoid(unit.sum(0)), f = sigmoid(unit.sum(1)), g = tanh(unit.sum(2)), o = sigmoid(unit.sum(3));
    const T c = f * unit.before[unit.plane] + i * g;
    unit.values[0] = i, unit.values[n] = f, unit.values[2 * n] = g, unit.values[3 * n] = o;
    unit.after[0] = o * tanh(c), unit.after[unit.plane] = c;
  }
  template <class T> static __device__ void backward(const UnitBack<T>& unit, T& dh, T& dc) {
    const int64_t n = unit.n;
    const T i = unit.values[0], f = unit.values[n], g = unit.values[2 * n], o = unit.values[3 * n];
    const T tanh_c = tanh(unit.after[unit.plane]);
    dc += dh * o * (T(1) - tanh_c * tanh_c);
    unit.gates[0] = dc * g * i * (T(1) - i);
    unit.gates[n] = dc * unit.before[unit.plane] * f * (T(1) - f);
    unit.gates[2 * n] = dc * i * (T(1) - g * g);
    unit.gates[3 * n] = dh * tanh_c * o * (T(1) - o);
    dh = 0;
    dc *= f;
  }
};

struct Gru {
  static constexpr int64_t gates = 3, states = 1;
  template <class T> static __device__ void forward(const Unit<T>& unit) {
    const int64_t n = unit.n;
    const T r = sigmoid(unit.sum(0)), z = sigmoid(unit.sum(1)), u = unit.hidden[2 * n] + unit.bias[2 * n];
    const T candidate = tanh(unit.gates[2 * n] + r * u);
    unit.values[0] = r, unit.values[n] = z, unit.values[2 * n] = candidate, unit.values[3 * n] = u;
    unit.after[0] = candidate + z * (unit.before[0] - candidate);
  }
  template <class T> static __device__ void backward(const UnitBack<T>& unit, T& dh, T&) {
    const int64_t n = unit.n;
    const T r = unit.values[0], z = unit.values[n], candidate = unit.values[2 * n], u = unit.values[3 * n];
    const T dn = dh * (T(1) - z) * (T(1) - candidate * candidate);
    unit.gates[0] = unit.hidden[0] = dn * u * r * (T(1) - r);
    unit.gates[n] = unit.hidden[n] = dh * (unit.before[0] - candidate) * z * (T(1) - z);
    unit.gates[2 * n] = dn;
    unit.hidden[2 * n] = dn * r;
    dh *= z;
  }
};

template <class F> void with_cell(Recurrence recurrence, F&& f) {
  switch (recurrence) {
    case Recurrence::rnn_tanh: return f(Rnn<false>());
    case Recurrence::rnn_relu: return f(Rnn<true>());
    case Recurrence::lstm: return f(Lstm());
    case Recurrence::gru: return f(Gru());
  }
}

// The sequences of a batch at step t, and which of them have ended before it.
struct Step {
  int64_t batch, n, t;
  const int64_t* lengths;  // null: none
  __device__ bool has_ended(int64_t sequence) const { return lengths && t >= lengths[sequence]; }
};

// A thread for each hidden unit of each sequence. `all` points to the first unit of the first sequence.
template <class Cell, class T> __global__ void step_forward(Step step, Unit<T> all) {
  const int64_t n = step.n;
  for (int64_t i = thread_in_grid(); i < step.batch * n; i += threads_in_grid()) {
    const int64_t sequence = i / n, j = i % n, gate = sequence * Cell::gates * n + j;
    if (step.has_ended(sequence))
      for (int64_t s = 0; s < Cell::states; ++s) all.after[s * all.plane + i] = all.before[s * all.plane + i];
    else
      Cell::forward(Unit<T>{n, all.plane, all.gates + gate, all.hidden + gate, all.bias + j, all.before + i,
                            all.after + i, all.values + sequence * 4 * n + j});
  }
}

// What flows back along the sequences, [B, H] each: dh = direct + product, that of W·h; dc of an LSTM. And the
// gradients that are given for the states, at one place in time.
template <class T> struct Flow {
  T *direct, *dc;
  const T *product, *given;
};

template <class Cell, class T> __global__ void step_backward(Step step, UnitBack<T> all, Flow<T> flow) {
  const int64_t n = step.n;
  for (int64_t i = thread_in_grid(); i < step.batch * n; i += threads_in_grid()) {
    const int64_t sequence = i / n, j = i % n, gate = sequence * Cell::gates * n + j;
    T dh = flow.direct[i] + flow.product[i] + flow.given[i], dc = 0;
    if (Cell::states == 2) dc = flow.dc[i] + flow.given[all.plane + i];
    if (step.has_ended(sequence))
      for (int64_t k = 0; k < Cell::gates; ++k) all.gates[gate + k * n] = all.hidden[gate + k * n] = 0;
    else
      Cell::backward(UnitBack<T>{n, all.plane, all.values + sequence * 4 * n + j, all.before + i, all.after + i,
                                 all.gates + gate, all.hidden + gate},
                     dh, dc);
    flow.direct[i] = dh;
    if (Cell::states == 2) flow.dc[i] = dc;
  }
}

// The gradient of the states before the first step.
template <class T> __global__ void finish(int64_t count, int64_t states, int64_t plane, Flow<T> flow) {
  for (int64_t i = thread_in_grid(); i < count; i += threads_in_grid()) {
    flow.direct[i] += flow.product[i] + flow.given[i];
    if (states == 2) flow.dc[i] += flow.given[plane + i];
  }
}

const int64_t* lengths_of(const Sequence& sequence) {
  return sequence.lengths.defined() ? pointer<const int64_t>(sequence.lengths) : nullptr;
}

template <class F> void with_type(Dtype dtype, F&& run) {
  if (dtype == float64) run.template operator()<double>();
  else run.template operator()<float>();
}

// Row `at` of the first dimension of a contiguous tensor, as a matrix [rows, columns].
Tensor matrix_at(const Tensor& x, int64_t at, int64_t rows, int64_t columns) {
  return x.alias({rows, columns}, {columns, 1}, x.offset() + at * rows * columns);
}

}  // namespace

void recurrence(const Sequence& sequence, const Tensor& gates) {
  const SequenceSizes sizes(sequence);
  const int64_t steps = sizes.steps, batch = sizes.batch, n = sizes.n, reverse = sequence.reverse;
  const Tensor hidden = Tensor::empty({batch, sizes.gates}, gates.dtype(), gates.device());
  const Tensor& states = sequence.states;
  with_type(states.dtype(), [&]<class T>() {
    for (int64_t step = 0; step < steps; ++step) {
      const int64_t t = reverse ? steps - 1 - step : step;
      const Tensor before = matrix_at(states, t + reverse, batch, n);
      matmul(before, false, sequence.weight, true, {}, false, hidden);
      with_cell(sequence.recurrence, [&]<class Cell>(Cell) {
        launch_for(batch * n, gates.device(), step_forward<Cell, T>, Step{batch, n, t, lengths_of(sequence)},
                   Unit<T>{n, sizes.plane(), pointer<const T>(gates) + t * batch * sizes.gates,
                           pointer<const T>(hidden), pointer<const T>(sequence.bias), pointer<const T>(before),
                           pointer<T>(states) + (t + !reverse) * batch * n,
                           pointer<T>(sequence.values) + t * sequence.values.strides()[0]});
      });
    }
  });
}

void recurrence_backward(const Sequence& sequence, const Tensor& dstates, const SequenceGradients& gradients) {
  const SequenceSizes sizes(sequence);
  const int64_t steps = sizes.steps, batch = sizes.batch, n = sizes.n, reverse = sequence.reverse;
  const Tensor product = Tensor::empty({batch, n}, dstates.dtype(), dstates.device());
  fill(product, 0);
  fill(gradients.state, 0);
  const Tensor& state = gradients.state;
  with_type(state.dtype(), [&]<class T>() {
    const T* states = pointer<const T>(sequence.states);
    const auto flow_at = [&](int64_t place) {
      return Flow<T>{pointer<T>(state), pointer<T>(state) + batch * n, pointer<const T>(product),
                     pointer<const T>(dstates) + place * batch * n};
    };
    for (int64_t step = steps - 1; step >= 0; --step) {
      const int64_t t = reverse ? steps - 1 - step : step, place = t + !reverse;
      const Tensor hidden = matrix_at(gradients.hidden, t, batch, sizes.gates);
      with_cell(sequence.recurrence, [&]<class Cell>(Cell) {
        launch_for(batch * n, state.device(), step_backward<Cell, T>, Step{batch, n, t, lengths_of(sequence)},
                   UnitBack<T>{n, sizes.plane(), pointer<const T>(sequence.values) + t * batch * 4 * n,
                               states + (t + reverse) * batch * n, states + place * batch * n,
                               pointer<T>(gradients.gates) + t * batch * sizes.gates, pointer<T>(hidden)},
                   flow_at(place));
      });
      matmul(hidden, false, sequence.weight, false, {}, false, product);
    }
    launch_for(batch * n, state.device(), finish<T>, batch * n, sizes.states, sizes.plane(),
               flow_at(reverse ? steps : 0));
  });
}

}  // namespace gradus::cuda
