#pragma once
// The backend boundary: what each device must be able to compute. Kernels take tensors that were checked and allocated
// and fill the last ones; they know nothing of gradients, broadcasting or dtype promotion. Tensors may have any strides
// and floating-point dtypes unless it says "contiguous" or names a dtype; results are contiguous. The CPU's kernels are
// in ops/cpu/, those of GPUs in cuda/; results do not depend on the number of threads.

#include <span>
#include <type_traits>
#include <vector>

#include "core/random.h"
#include "core/tensor.h"
#include "ops/rnn.h"
#include "ops/window.h"

namespace gradus {
namespace kernel {

enum class Reduction { sum, maximum, minimum };

/// x, row by row, is [outer, groups, inner]. The outer·inner elements of a group share a mean and a variance; elements
/// of a channel share a weight and a bias: channels change every `run` elements and repeat after `channels` of them.
struct NormLayout {
  int64_t outer, groups, inner, run, channels;
  double eps;
  bool center = true;  ///< false: the mean is taken to be 0 (RMS)
  bool given = false;  ///< the statistics are constants, not those of x
};

/// Per group the mean and the variance: [groups], in the type in which is computed, as weight and bias: [channels].
struct NormStatistics {
  Tensor mean, variance;
};

struct CrossEntropyTarget {
  Tensor classes;  ///< int64, one a row, contiguous
  int64_t ignore_index;
  double smoothing;
};

/// y[n, k, i, j] = Σ weight[k, c, a, b]·x[n, c, i·stride + a·dilation − padding, j·stride + b·dilation − padding], with
/// zeros outside of x. Each of the `groups` has its own channels of x, of y, and its own weights.
struct ConvGeometry {
  Shape x;                                       ///< [N, C, H, W]
  Shape weight;                                  ///< [K, C / groups, kernel height, kernel width]
  Shape y;                                       ///< [N, K, output height, output width]
  Size2d stride = 1, padding = 0, dilation = 1;  ///< padding: before the first row and the first column
  int64_t groups = 1;
};

/// A sparse matrix [outputs, inputs] by rows: output i is made of inputs index[start[i]] … index[start[i + 1] - 1].
struct Taps {
  int64_t inputs;
  PooledVector<int64_t> start{0}, index{};
  PooledVector<double> weight{};

  int64_t outputs() const { return int64_t(start.size()) - 1; }
  /// Appends an output made of inputs first, first + step, … (`count` of them), each with the same weight.
  void add_output(int64_t first, int64_t step, int64_t count, double each_weight);
  Taps transposed() const;
};

struct AttentionSettings {
  double scale = 1;
  bool is_causal = false;
  double dropout_p = 0;
  cuda::PerLaunch<GeneratorState> dropout_state = {};
  Tensor mask = {};         ///< added to the scores: [..., T, S], may be expanded; undefined: none
  Tensor log_sum_exp = {};  ///< of the scores of each query: [..., T], contiguous, in the dtype of the computation
};

/// What lies in memory during a recurrence over T steps of B sequences. G is the number of gates, S that of the states:
/// 2 (hidden, cell) for an LSTM, 1 otherwise. All contiguous and of one dtype, float32 or float64.
struct Sequence {
  Recurrence recurrence;
  bool reverse;         // from the last step to the first
  Tensor lengths;       // of each sequence, int64; undefined: all T. Beyond it the state stays as it is.
  Tensor weight, bias;  // [G·H, H], [G·H]
  Tensor states;        // [S, T + 1, B, H]: before the first step, after it, …; from the end if reversed
  Tensor values;        // [T, B, 4·H], what the backward needs: i, f, g, o of an LSTM; r, z, n, W·h + b of n of a GRU
};

struct SequenceSizes {
  int64_t states, steps, batch, n, gates;  ///< S, T, B, H, G·H
  explicit SequenceSizes(const Sequence& sequence)
      : states(sequence.states.shape()[0]),
        steps(sequence.states.shape()[1] - 1),
        batch(sequence.states.shape()[2]),
        n(sequence.states.shape()[3]),
        gates(sequence.weight.shape()[0]) {}
  int64_t plane() const { return (steps + 1) * batch * n; }  ///< from the hidden to the cell state
};

struct SequenceGradients {
  Tensor gates;   // [T, B, G·H]
  Tensor hidden;  // [T, B, G·H], of W·h + b; only for a GRU, for others the same as `gates`
  Tensor state;   // [S, B, H], before the first step
};

}  // namespace kernel

/// The kernels of one device. A missing one does not compile.
struct Kernels {
  // Memory

  /// Copies `from` to `to`, of the same shape but any strides and dtypes.
  void (&copy)(const Tensor& from, const Tensor& to);
  /// Sets all elements of y.
  void (&fill)(const Tensor& y, double value);

  // Indexing. The index is a contiguous int64 tensor, every one of which was checked; x and y have the same dtype.

  /// The position (counted row by row) of the first index that is not in 0 … size-1; -1 if there is none.
  int64_t (&first_outside)(const Tensor& index, int64_t size);
  /// y[o, i, …] = x[o, index[i], …], with o standing for the dimensions before `dim`; x contiguous.
  void (&select_slices)(const Tensor& x, int dim, const Tensor& index, const Tensor& y);
  /// Its adjoint: y[o, index[i], …] += x[o, i, …]; float32, float64 or int64, contiguous.
  void (&add_slices)(const Tensor& x, int dim, const Tensor& index, const Tensor& y);
  /// y[i] = x[i, but index[i] in dimension dim], for each i of the index's shape; y has that shape.
  void (&select_elements)(const Tensor& x, int dim, const Tensor& index, const Tensor& y);
  /// Its adjoint: y[i, but index[i] in dimension dim] += x[i]; float32, float64 or int64.
  void (&add_elements)(const Tensor& x, int dim, const Tensor& index, const Tensor& y);
  /// Copies x to slices start, start + 1, … of dimension `dim` of y. Both contiguous.
  void (&copy_slices)(const Tensor& x, int dim, const Tensor& y, int64_t start);

  // Reductions

  /// y = scale · (x reduced over the dimensions whose bit is set in `dims`). y has the kept dimensions in order, and
  /// x's dtype (a sum of bools: int64).
  void (&reduce)(kernel::Reduction reduction, const Tensor& x, unsigned dims, double scale, const Tensor& y);
  /// The index of the first largest (or smallest) element along the last dimension of a contiguous x: [rows, n] →
  /// [rows].
  void (&arg_extreme)(bool largest, const Tensor& x, int64_t n, const Tensor& y);

  // Products

  /// y = a·b + bias, each factor transposed if it says so, and bias (undefined: none) added to each row; with a bias,
  /// `relu` puts zeros in place of negative numbers. a: [m, k] or [batch, m, k], b: [k, n] or [batch, k, n], bias: [n],
  /// of one dtype.
  void (&matmul)(const Tensor& a, bool transpose_a, const Tensor& b, bool transpose_b, const Tensor& bias, bool relu,
                 const Tensor& y);
  /// `bias`: [K], or undefined: then there is no relu.
  void (&conv)(const kernel::ConvGeometry& geometry, const Tensor& x, const Tensor& weight, const Tensor& bias,
               bool relu, const Tensor& y);
  void (&conv_input_gradient)(const kernel::ConvGeometry& geometry, const Tensor& dy, const Tensor& weight,
                              const Tensor& dx);
  void (&conv_weight_gradient)(const kernel::ConvGeometry& geometry, const Tensor& dy, const Tensor& x,
                               const Tensor& dweight);

  // Rows, the last dimension

  /// y = softmax(x), or its logarithm.
  void (&softmax)(bool log, const Tensor& x, const Tensor& y);
  /// dx, given y = softmax(x): y·(dy − Σ dy·y); given y = log softmax(x): dy − exp(y)·Σ dy.
  void (&softmax_backward)(bool log, const Tensor& dy, const Tensor& y, const Tensor& dx);
  /// loss[row] = (1 − smoothing)·(−log p[class]) + smoothing·mean(−log p), with p = softmax(logits); 0 for ignored
  /// rows.
  void (&cross_entropy)(const Tensor& logits, const kernel::CrossEntropyTarget& target, const Tensor& loss);
  /// Its gradient: (p − (1 − smoothing)·onehot − smoothing/C) times grad[row]; `grad` may be expanded.
  void (&cross_entropy_backward)(const Tensor& grad, const Tensor& logits, const kernel::CrossEntropyTarget& target,
                                 const Tensor& dx);

  // Normalisation: batch, layer, group, instance and RMS, which differ only in who shares what

  /// y = (x − mean) / √(variance + eps) · weight + bias; computes the statistics first unless they are given. No
  /// difference of large sums is ever taken.
  void (&norm)(const kernel::NormLayout& layout, const kernel::NormStatistics& statistics, const Tensor& x,
               const Tensor& weight, const Tensor& bias, const Tensor& y);
  /// With x̂ = (x − mean) / √(variance + eps) and g = dy·weight: dx = (g − mean(g) − x̂·mean(g·x̂)) / √(variance + eps),
  /// the means taken per group; dweight = Σ dy·x̂ and dbias = Σ dy per channel.
  void (&norm_backward)(const kernel::NormLayout& layout, const kernel::NormStatistics& statistics, const Tensor& dy,
                        const Tensor& x, const Tensor& weight, const Tensor& dx, const Tensor& dweight,
                        const Tensor& dbias);
  /// y = x / (1 − p) where the element's random number is at least p, else 0.
  void (&dropout)(const Tensor& x, double p, const cuda::PerLaunch<GeneratorState>& state, const Tensor& y);

  // Images

  /// y = R·x·Cᵀ for each image of x: [..., R.inputs, C.inputs], and of y: [..., R.outputs, C.outputs].
  void (&resample)(const kernel::Taps& rows, const kernel::Taps& columns, const Tensor& x, const Tensor& y);
  /// The largest of the inputs of each output, and where in its image it lies (the first such place, counted row by
  /// row; int64, of y's shape). NaN counts as the largest. Every output must have inputs.
  void (&max_pool)(const kernel::Taps& rows, const kernel::Taps& columns, const Tensor& x, const Tensor& y,
                   const Tensor& index);

  // Sequences

  /// Fills states and values, given gates [T, B, G·H] = W·x + b and the states before the first step. `values` may be
  /// expanded along T if no backward follows.
  void (&recurrence)(const kernel::Sequence& sequence, const Tensor& gates);
  /// The gradients, given that of the states, [S, T + 1, B, H].
  void (&recurrence_backward)(const kernel::Sequence& sequence, const Tensor& dstates,
                              const kernel::SequenceGradients& gradients);
  /// y = dropout(softmax(q·kᵀ·scale + mask))·v without the matrix of probabilities; also fills log_sum_exp.
  /// q: [..., T, E], k: [..., S, E], v: [..., S, Ev], y: [..., T, Ev], of any strides.
  void (&attention)(const kernel::AttentionSettings& settings, const Tensor& q, const Tensor& k, const Tensor& v,
                    const Tensor& y);
  /// Its gradients, from the result y and log_sum_exp; the probabilities are computed again.
  void (&attention_backward)(const kernel::AttentionSettings& settings, const Tensor& dy, const Tensor& q,
                             const Tensor& k, const Tensor& v, const Tensor& y, const Tensor& dq, const Tensor& dk,
                             const Tensor& dv);
  /// Turns each pair (x[2i], x[2i + 1]) of x: [..., T, E] by the angle whose sine and cosine stand in the same places
  /// of table: [T, E] (float64); backwards if `inverse`.
  void (&rotary)(const Tensor& x, const Tensor& table, bool inverse, const Tensor& y);
};

// clang-format off
/// The names of all kernels in the order above, each as f(name).
#define GRADUS_KERNELS(f)                                                                                    \
  f(copy) f(fill) f(first_outside) f(select_slices) f(add_slices) f(select_elements) f(add_elements)         \
  f(copy_slices) f(reduce) f(arg_extreme) f(matmul) f(conv) f(conv_input_gradient) f(conv_weight_gradient)   \
  f(softmax) f(softmax_backward) f(cross_entropy) f(cross_entropy_backward) f(norm) f(norm_backward)         \
  f(dropout) f(resample) f(max_pool) f(recurrence) f(recurrence_backward) f(attention) f(attention_backward) \
  f(rotary)
// clang-format on
/// Declares a function that can stand for the kernel of this name.
#define GRADUS_DECLARE_KERNEL(name) std::remove_reference_t<decltype(Kernels::name)> name;

/// Elementwise kernels where they cannot be compiled with the program, as on a GPU: each formula has a number, its
/// place in formula::All or formula::Updates, and lies at `op`.
struct FormulaKernels {
  /// y = op.forward(x…); all x have y's shape.
  void (&forward)(int formula, const void* op, std::span<const Tensor* const> x, const Tensor& y);
  /// What op.backward makes of dy; gradients that are not wanted are undefined, as are x and y if it takes none.
  void (&backward)(int formula, const void* op, const Tensor& dy, std::span<const Tensor> x, const Tensor& y,
                   std::span<const Tensor> gradients);
  /// A step of an optimiser, see ops/optimizer.h; a PerLaunch of the rule lies at `op`.
  void (&update)(int rule, const void* op, const Tensor& parameter, const Tensor& grad, std::span<const Tensor> state);
};

/// The kernels of the device that x lies on.
const Kernels& kernels(const Tensor& x);
/// The elementwise kernels of the device that x lies on, which is not the CPU.
const FormulaKernels& formula_kernels(const Tensor& x);

/// x itself, or a copy of it if it is not of the given dtype or does not lie row by row. No step is recorded.
Tensor compact(const Tensor& x, Dtype dtype);
inline Tensor compact(const Tensor& x) { return compact(x, x.dtype()); }

}  // namespace gradus
