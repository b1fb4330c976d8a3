// Reductions over any dimensions, deterministic: a result is always summed in the same order.

#include "cuda/reduce.h"
#include "cuda/view.h"

namespace gradus::cuda {
namespace {

// What is reduced: x[kept(o) + reduced(r)], for each output o over all r.
struct Split {
  int64_t outputs, count;
  Layout kept, reduced;
};

// One thread for each output and part of what is reduced: for outputs that are neighbours in memory. Results of the
// parts stand behind each other: [parts, outputs].
template <class In, class T, class F>
__global__ void reduce_columns(const In* x, Split split, int64_t parts, F f, T scale, Target y) {
  const int64_t length = (split.count + parts - 1) / parts;
  for (int64_t i = thread_in_grid(); i < split.outputs * parts; i += threads_in_grid()) {
    const int64_t output = i % split.outputs, begin = i / split.outputs * length;
    const In* from = x + split.kept(output);
    T value = F::template neutral<T>();
    for (int64_t r = begin; r < min(begin + length, split.count); ++r)
      value = f(value, convert<T>(from[split.reduced(r)]));
    y.store(i, value * scale);
  }
}

// One block for each output and part: for what is reduced along memory.
template <class In, class T, class F>
__global__ void reduce_rows(const In* x, Split split, int64_t parts, F f, T scale, Target y) {
  const int64_t length = (split.count + parts - 1) / parts;
  for (int64_t i = blockIdx.x; i < split.outputs * parts; i += gridDim.x) {
    const int64_t output = i % split.outputs, begin = i / split.outputs * length;
    const In* from = x + split.kept(output);
    T value = F::template neutral<T>();
    for (int64_t r = begin + threadIdx.x; r < min(begin + length, split.count); r += blockDim.x)
      value = f(value, convert<T>(from[split.reduced(r)]));
    value = block_reduce(value, f);
    if (threadIdx.x == 0) y.store(i, value * scale);
  }
}

template <class In, class T, class F>
void reduce_once(const Tensor& x, const Split& split, int64_t parts, bool along_rows, T scale, const Tensor& y) {
  const In* from = pointer<const In>(x);
  if (along_rows)
    launch_blocks(split.outputs * parts, 256, x.device(), reduce_rows<In, T, F>, from, split, parts, F{}, scale,
                  Target(y));
  else
    launch_for(split.outputs * parts, x.device(), reduce_columns<In, T, F>, from, split, parts, F{}, scale, Target(y));
}

// Enough parts to occupy a GPU if the outputs alone do not; their results are reduced by a second launch.
template <class In, class T, class F>
void reduce_typed(const Tensor& x, const Split& split, bool along_rows, T scale, const Tensor& y) {
  constexpr int64_t enough_threads = 1 << 16, shortest_part = 1024;
  const int64_t threads = split.outputs * (along_rows ? 256 : 1);
  const int64_t parts = std::clamp(enough_threads / std::max<int64_t>(threads, 1), int64_t(1),
                                   std::max<int64_t>(split.count / shortest_part, 1));
  if (parts == 1) return reduce_once<In, T, F>(x, split, 1, along_rows, scale, y);
  const Tensor partial = Tensor::empty({parts, split.outputs}, dtype_of<T>(), x.device());
  reduce_once<In, T, F>(x, split, parts, along_rows, T(1), partial);
  const Split rest{split.outputs, parts, Layout({split.outputs}, {1}), Layout({parts}, {split.outputs})};
  reduce_once<T, T, F>(partial, rest, 1, false, scale, y);
}

}  // namespace

void reduce(Reduction reduction, const Tensor& x, unsigned dims, double scale, const Tensor& y) {
  Shape kept, reduced;
  Strides kept_strides, reduced_strides;
  for (int i = 0; i < x.dim(); ++i) {
    const bool is_reduced = dims >> i & 1;
    (is_reduced ? reduced : kept).push_back(x.shape()[i]);
    (is_reduced ? reduced_strides : kept_strides).push_back(x.strides()[i]);
  }
  const Split split{kept.numel(), reduced.numel(), Layout(kept, kept_strides), Layout(reduced, reduced_strides)};
  const bool along_rows =
      split.count >= 32 && (split.reduced.dims == 0 || split.kept.dims == 0 ||
                            split.reduced.strides[split.reduced.dims - 1] <= split.kept.strides[split.kept.dims - 1]);
  visit(x.dtype(), [&]<class In>() {
    using T = std::conditional_t<std::is_same_v<In, BFloat16>, float,
                                 std::conditional_t<std::is_same_v<In, bool>, int64_t, In>>;
    if (reduction == Reduction::sum) reduce_typed<In, T, Sum>(x, split, along_rows, T(scale), y);
    else if (reduction == Reduction::maximum) reduce_typed<In, T, Larger>(x, split, along_rows, T(scale), y);
    else reduce_typed<In, T, Smaller>(x, split, along_rows, T(scale), y);
  });
}

namespace {

// The better of two candidates; of equal ones the first. NaN is better than anything.
template <class T> __device__ bool is_better(bool largest, T value, int64_t at, T best, int64_t best_at) {
  const bool nan = value != value, best_nan = best != best;
  if (nan != best_nan) return nan;
  if (nan || value == best) return at < best_at;
  return largest ? value > best : value < best;
}

// A warp for each row.
template <class T> __global__ void find_extremes(bool largest, const T* x, int64_t rows, int64_t n, int64_t* y) {
  for (int64_t row = warp_in_grid(); row < rows; row += warps_in_grid()) {
    using Compared =
        std::conditional_t<std::is_same_v<T, BFloat16>, float, std::conditional_t<std::is_same_v<T, bool>, int, T>>;
    int64_t at = min(int64_t(lane()), n - 1);
    Compared best = Compared(x[row * n + at]);
    for (int64_t i = lane() + 32; i < n; i += 32) {
      const Compared value = Compared(x[row * n + i]);
      if (is_better(largest, value, i, best, at)) best = value, at = i;
    }
    for (int distance = 16; distance > 0; distance /= 2) {
      const Compared other = __shfl_xor_sync(all_lanes, best, distance);
      const int64_t other_at = __shfl_xor_sync(all_lanes, at, distance);
      if (is_better(largest, other, other_at, best, at)) best = other, at = other_at;
    }
    if (lane() == 0) y[row] = at;
  }
}

}  // namespace

void arg_extreme(bool largest, const Tensor& x, int64_t n, const Tensor& y) {
  const int64_t rows = y.numel();
  visit(x.dtype(), [&]<class T>() {
    launch_warps(rows, x.device(), find_extremes<T>, largest, pointer<const T>(x), rows, n, pointer<int64_t>(y));
  });
}

}  // namespace gradus::cuda
