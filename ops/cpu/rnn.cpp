#include "ops/cpu/eigen.h"
#include "ops/cpu/gather.h"
#include "ops/cpu/kernels.h"
#include "ops/cpu/parallel.h"
#include "ops/cpu/product.h"

namespace gradus::cpu {
namespace {

// One row of a step: pointers to parts of n values, one part after the other for gates and what belongs to them. The
// parts of a state lie `plane` apart.
template <class T> struct Row {
  int64_t n, plane;
  const T *gates, *hidden, *bias, *before;
  T *after, *values;

  // What goes into gate k.
  auto sum(int k) const { return In<T>(gates + k * n, n) + (In<T>(hidden + k * n, n) + In<T>(bias + k * n, n)); }
  Out<T> value(int k) const { return Out<T>(values + k * n, n); }
};

// The same on the way back. dh: the gradient of the hidden state after the step, in the end what of it goes straight to
// the state before; dc: likewise of the cell state.
template <class T> struct RowBack {
  int64_t n, plane;
  const T *values, *before, *after;
  T *gates, *hidden, *dh, *dc;

  In<T> value(int k) const { return In<T>(values + k * n, n); }
  Out<T> gate(int k) const { return Out<T>(gates + k * n, n); }
};

template <bool relu> struct Rnn {
  template <class T> static void forward(const Row<T>& row) {
    Out<T> h(row.after, row.n);
    if constexpr (relu) h = maximum(row.sum(0), T(0));
    else h = row.sum(0).tanh();
  }
  template <class T> static void backward(const RowBack<T>& row) {
    Out<T> dh(row.dh, row.n);
    const In<T> h(row.after, row.n);
    if constexpr (relu) row.gate(0) = (h > T(0)).select(dh, T(0));
    else row.gate(0) = dh * (T(1) - h.square());
    dh.setZero();
  }
};

struct Lstm {
  template <class T> static void forward(const Row<T>& row) {
    Out<T> i = row.value(0), f = row.value(1), g = row.value(2), o = row.value(3);
    i = sigmoid(row.sum(0));
    f = sigmoid(row.sum(1));
    g = row.sum(2).tanh();
    o = sigmoid(row.sum(3));
    Out<T> h(row.after, row.n), c(row.after + row.plane, row.n);
    c = f * In<T>(row.before + row.plane, row.n) + i * g;
    h = o * c.tanh();
  }
  template <class T> static void backward(const RowBack<T>& row) {
    const In<T> i = row.value(0), f = row.value(1), g = row.value(2), o = row.value(3);
    const In<T> before(row.before + row.plane, row.n), after(row.after + row.plane, row.n);
    Out<T> di = row.gate(0), df = row.gate(1), dg = row.gate(2), o_and_tanh = row.gate(3), dh(row.dh, row.n),
           dc(row.dc, row.n);
    o_and_tanh = after.tanh();
    dc += dh * o * (T(1) - o_and_tanh.square());
    o_and_tanh = dh * o_and_tanh * o * (T(1) - o);
    di = dc * g * i * (T(1) - i);
    df = dc * before * f * (T(1) - f);
    dg = dc * i * (T(1) - g.square());
    dc *= f;
    dh.setZero();
  }
};

struct Gru {
  template <class T> static void forward(const Row<T>& row) {
    Out<T> r = row.value(0), z = row.value(1), n = row.value(2), u = row.value(3), h(row.after, row.n);
    r = sigmoid(row.sum(0));
    z = sigmoid(row.sum(1));
    u = In<T>(row.hidden + 2 * row.n, row.n) + In<T>(row.bias + 2 * row.n, row.n);
    n = (In<T>(row.gates + 2 * row.n, row.n) + r * u).tanh();
    h = n + z * (In<T>(row.before, row.n) - n);
  }
  template <class T> static void backward(const RowBack<T>& row) {
    const In<T> r = row.value(0), z = row.value(1), n = row.value(2), u = row.value(3), before(row.before, row.n);
    Out<T> dr = row.gate(0), dz = row.gate(1), dn = row.gate(2), dh(row.dh, row.n), hidden(row.hidden, 3 * row.n);
    dn = dh * (T(1) - z) * (T(1) - n.square());
    dz = dh * (before - n) * z * (T(1) - z);
    dr = dn * u * r * (T(1) - r);
    hidden.head(2 * row.n) = In<T>(row.gates, 2 * row.n);
    hidden.tail(row.n) = dn * r;
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

// Calls body(begin, end) on parts of the batch.
template <class F> void for_sequences(const SequenceSizes& sizes, F&& body) {
  const int64_t work = sizes.steps * sizes.gates * sizes.n;  // multiplications a sequence
  parallel_for(sizes.batch, grain_for(work, product_grain), body);
}

const int64_t* lengths_of(const Sequence& sequence) {
  return sequence.lengths.defined() ? pointer<const int64_t>(sequence.lengths) : nullptr;
}

}  // namespace

void recurrence(const Sequence& sequence, const Tensor& gates) {
  compute_in_float(sequence.states, [&]<class T>(const Tensor& states) {
    const SequenceSizes sizes(sequence);
    const int64_t planes = sizes.states, steps = sizes.steps, batch = sizes.batch, n = sizes.n, width = sizes.gates;
    const int64_t* lengths = lengths_of(sequence);
    const Panels<T> weight({pointer<const T>(sequence.weight), 1, n}, n, width);
    const Tensor scratch = Tensor::empty({batch, width}, dtype_of<T>());
    for_sequences(sizes, [&](int64_t begin, int64_t end) {
      for (int64_t step = 0; step < steps; ++step) {
        const int64_t t = sequence.reverse ? steps - 1 - step : step;
        const T* before = pointer<T>(states) + (t + sequence.reverse) * batch * n;
        T *after = pointer<T>(states) + (t + !sequence.reverse) * batch * n, *hidden = pointer<T>(scratch);
        weight.product(end - begin, {before + begin * n, n, 1}, nullptr, 0, hidden + begin * width, width);
        with_cell(sequence.recurrence, [&](auto cell) {
          for (int64_t b = begin; b < end; ++b) {
            if (lengths && t >= lengths[b]) {
              for (int64_t s = 0; s < planes; ++s)
                std::copy_n(before + s * sizes.plane() + b * n, n, after + s * sizes.plane() + b * n);
              continue;
            }
            cell.forward(Row<T>{n, sizes.plane(), pointer<const T>(gates) + (t * batch + b) * width, hidden + b * width,
                                pointer<const T>(sequence.bias), before + b * n, after + b * n,
                                pointer<T>(sequence.values) + t * sequence.values.strides()[0] + b * 4 * n});
          }
        });
      }
    });
  });
}

void recurrence_backward(const Sequence& sequence, const Tensor& dstates, const SequenceGradients& gradients) {
  compute_in_float(gradients.state, [&]<class T>(const Tensor& dstate) {
    const SequenceSizes sizes(sequence);
    const int64_t planes = sizes.states, steps = sizes.steps, batch = sizes.batch, n = sizes.n, width = sizes.gates;
    const Panels<T> weight({pointer<const T>(sequence.weight), n, 1}, width, n);
    const Tensor scratch = Tensor::empty({batch, n}, dtype_of<T>());
    const T *states = pointer<const T>(sequence.states), *dy = pointer<const T>(dstates);
    // What flows back along a sequence: dh, to which the products add, in the scratch; dc where it will be needed.
    const auto add_row = [&](int64_t place, int64_t b, T* dh, T* dc) {
      Out<T>(dh, n) += In<T>(dy + (place * batch + b) * n, n);
      if (planes == 2) Out<T>(dc, n) += In<T>(dy + sizes.plane() + (place * batch + b) * n, n);
    };
    const int64_t* lengths = lengths_of(sequence);
    for_sequences(sizes, [&](int64_t begin, int64_t end) {
      T *dh = pointer<T>(scratch), *dc = pointer<T>(dstate) + (planes - 1) * batch * n;
      std::fill(dh + begin * n, dh + end * n, T(0));
      if (planes == 2) std::fill(dc + begin * n, dc + end * n, T(0));
      for (int64_t step = steps - 1; step >= 0; --step) {
        const int64_t t = sequence.reverse ? steps - 1 - step : step, place = t + !sequence.reverse;
        T *dgates = pointer<T>(gradients.gates) + t * batch * width,
          *dhidden = pointer<T>(gradients.hidden) + t * batch * width;
        with_cell(sequence.recurrence, [&](auto cell) {
          for (int64_t b = begin; b < end; ++b) {
            T *dh_row = dh + b * n, *dc_row = dc + b * n;
            add_row(place, b, dh_row, dc_row);
            if (lengths && t >= lengths[b]) {
              std::fill_n(dgates + b * width, width, T(0));
              std::fill_n(dhidden + b * width, width, T(0));
              continue;
            }
            cell.backward(RowBack<T>{n, sizes.plane(), pointer<const T>(sequence.values) + (t * batch + b) * 4 * n,
                                     states + ((t + sequence.reverse) * batch + b) * n,
                                     states + (place * batch + b) * n, dgates + b * width, dhidden + b * width, dh_row,
                                     dc_row});
          }
        });
        weight.product(end - begin, {dhidden + begin * width, width, 1}, dh + begin * n, n, dh + begin * n, n);
      }
      for (int64_t b = begin; b < end; ++b) {
        T* dh_row = dh + b * n;
        add_row(sequence.reverse ? steps : 0, b, dh_row, dc + b * n);
        std::copy_n(dh_row, n, pointer<T>(dstate) + b * n);
      }
    });
  });
}

}  // namespace gradus::cpu
