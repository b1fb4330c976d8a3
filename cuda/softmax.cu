// Softmax and cross-entropy over the rows (the last dimension) of tensors: a warp for each row, its lanes over the
// columns, so that neighbours in memory are read together.

#include "cuda/reduce.h"

namespace gradus::cuda {
namespace {

// The largest x of a row, and log Σ exp(x − largest); 0 and −∞ for a row of −∞. Every lane gets both.
template <class T> struct LogSumExp { T largest, log_sum; };
template <class In, class T> __device__ LogSumExp<T> log_sum_exp(const In* x, int64_t n) {
  T largest = Larger::neutral<T>(), sum = 0;
  for (int64_t i = lane(); i < n; i += 32) largest = Larger()(largest, convert<T>(x[i]));
  largest = warp_reduce(largest, Larger());
  if (largest == Larger::neutral<T>()) return {T(0), largest};
  for (int64_t i = lane(); i < n; i += 32) sum += exp(convert<T>(x[i]) - largest);
  return {largest, log(warp_reduce(sum, Sum()))};
}

template <class In, class T> __global__ void softmax_rows(bool log, const In* x, int64_t rows, int64_t n, In* y) {
  for (int64_t row = warp_in_grid(); row < rows; row += warps_in_grid()) {
    const In* from = x + row * n;
    const LogSumExp<T> all = log_sum_exp<In, T>(from, n);
    for (int64_t i = lane(); i < n; i += 32) {
      const T log_probability = convert<T>(from[i]) - all.largest - all.log_sum;
      y[row * n + i] = convert<In>(log ? log_probability : exp(log_probability));
    }
  }
}

template <class In, class T>
__global__ void softmax_gradients(bool log, const In* dy, const In* y, int64_t rows, int64_t n, In* dx) {
  for (int64_t row = warp_in_grid(); row < rows; row += warps_in_grid()) {
    const In *gradient = dy + row * n, *output = y + row * n;
    T sum = 0;
    for (int64_t i = lane(); i < n; i += 32) sum += convert<T>(gradient[i]) * (log ? T(1) : convert<T>(output[i]));
    sum = warp_reduce(sum, Sum());
    for (int64_t i = lane(); i < n; i += 32) {
      const T g = convert<T>(gradient[i]), p = convert<T>(output[i]);
      dx[row * n + i] = convert<In>(log ? g - exp(p) * sum : p * (g - sum));
    }
  }
}

template <class In, class T> __global__ void cross_entropy_rows(const In* logits, const int64_t* classes,
                                                                int64_t ignore_index, T smoothing, int64_t rows,
                                                                int64_t n, In* loss) {
  for (int64_t row = warp_in_grid(); row < rows; row += warps_in_grid()) {
    const In* x = logits + row * n;
    const int64_t label = classes[row];
    const LogSumExp<T> all = log_sum_exp<In, T>(x, n);
    T sum = 0;
    if (smoothing != 0)
      for (int64_t i = lane(); i < n; i += 32) sum += convert<T>(x[i]) - all.largest;
    const T mean = warp_reduce(sum, Sum()) / T(n);
    if (lane() != 0) continue;
    const T chosen = label == ignore_index ? T(0) : convert<T>(x[label]) - all.largest;
    const T value = all.log_sum - (T(1) - smoothing) * chosen - (smoothing != 0 ? smoothing * mean : T(0));
    loss[row] = convert<In>(label == ignore_index ? T(0) : value);
  }
}

template <class In, class T> __global__ void cross_entropy_gradients(const In* grad, const In* logits,
                                                                     const int64_t* classes, int64_t ignore_index,
                                                                     T smoothing, int64_t rows, int64_t n, In* dx) {
  for (int64_t row = warp_in_grid(); row < rows; row += warps_in_grid()) {
    const In* x = logits + row * n;
    const int64_t label = classes[row];
    const bool counts = label != ignore_index;
    const LogSumExp<T> all = log_sum_exp<In, T>(x, n);
    const T g = convert<T>(grad[row]);
    for (int64_t i = lane(); i < n; i += 32) {
      const T p = exp(convert<T>(x[i]) - all.largest - all.log_sum);
      const T q = smoothing / T(n) + (i == label ? T(1) - smoothing : T(0));
      dx[row * n + i] = convert<In>(counts ? g * (p - q) : T(0));
    }
  }
}

int64_t row_length(const Tensor& x) { return x.dim() ? x.shape().back() : 1; }
int64_t row_count(const Tensor& x) { return x.numel() / std::max<int64_t>(row_length(x), 1); }

}  // namespace

void softmax(bool log, const Tensor& x, const Tensor& y) {
  const Tensor in = compact(x);
  visit_floating(y.dtype(), [&]<class In, class T>() {
    launch_warps(row_count(y), y.device(), softmax_rows<In, T>, log, pointer<const In>(in), row_count(y), row_length(y),
                 pointer<In>(y));
  });
}

void softmax_backward(bool log, const Tensor& dy, const Tensor& y, const Tensor& dx) {
  const Tensor gradient = compact(dy), output = compact(y);
  visit_floating(dx.dtype(), [&]<class In, class T>() {
    launch_warps(row_count(dx), dx.device(), softmax_gradients<In, T>, log, pointer<const In>(gradient),
                 pointer<const In>(output), row_count(dx), row_length(dx), pointer<In>(dx));
  });
}

void cross_entropy(const Tensor& logits, const CrossEntropyTarget& target, const Tensor& loss) {
  const Tensor in = compact(logits);
  visit_floating(loss.dtype(), [&]<class In, class T>() {
    launch_warps(loss.numel(), loss.device(), cross_entropy_rows<In, T>, pointer<const In>(in),
                 pointer<const int64_t>(target.classes), target.ignore_index, T(target.smoothing), loss.numel(),
                 row_length(logits), pointer<In>(loss));
  });
}

void cross_entropy_backward(const Tensor& grad, const Tensor& logits, const CrossEntropyTarget& target,
                            const Tensor& dx) {
  const Tensor in = compact(logits), gradient = compact(grad, dx.dtype());
  visit_floating(dx.dtype(), [&]<class In, class T>() {
    launch_warps(row_count(dx), dx.device(), cross_entropy_gradients<In, T>, pointer<const In>(gradient),
                 pointer<const In>(in), pointer<const int64_t>(target.classes), target.ignore_index,
                 T(target.smoothing), row_count(dx), row_length(dx), pointer<In>(dx));
  });
}

}  // namespace gradus::cuda
