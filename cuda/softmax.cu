// Softmax and cross-entropy over the rows (the last dimension) of tensors: a warp or a block for each row, its threads
// over the columns, so that neighbours in memory are read together. A row is read from memory once, and then again from
// the cache.

#include "cuda/reduce.h"

namespace gradus::cuda {
namespace {

// The largest x of a row, and Σ exp(x − largest), NaN if all are −∞. Every thread of the team gets both.
template <class T> struct ExpSum { T largest, sum; };
template <class In, class T> __device__ ExpSum<T> exp_sum(const Team& team, const In* x, int64_t n) {
  T largest = Larger::neutral<T>(), sum = 0;
  for (int64_t i = team.rank(); i < n; i += team.size) largest = Larger()(largest, convert<T>(x[i]));
  largest = team.reduce(largest, Larger());
  for (int64_t i = team.rank(); i < n; i += team.size) sum += exp(convert<T>(x[i]) - largest);
  return {largest, team.reduce(sum, Sum())};
}

template <class In, class T>
__global__ void softmax_rows(Team team, bool logarithm, const In* x, int64_t rows, int64_t n, In* y) {
  for (int64_t row = team.first_row(); row < rows; row += team.row_step()) {
    const In* from = x + row * n;
    const ExpSum<T> all = exp_sum<In, T>(team, from, n);
    const T log_sum = log(all.sum), factor = T(1) / all.sum;
    for (int64_t i = team.rank(); i < n; i += team.size) {
      const T distance = convert<T>(from[i]) - all.largest;
      y[row * n + i] = convert<In>(logarithm ? distance - log_sum : exp(distance) * factor);
    }
  }
}

template <class In, class T> __global__ void softmax_gradients(Team team, bool logarithm, const In* dy, const In* y,
                                                               int64_t rows, int64_t n, In* dx) {
  for (int64_t row = team.first_row(); row < rows; row += team.row_step()) {
    const In *gradient = dy + row * n, *output = y + row * n;
    T sum = 0;
    for (int64_t i = team.rank(); i < n; i += team.size)
      sum += convert<T>(gradient[i]) * (logarithm ? T(1) : convert<T>(output[i]));
    sum = team.reduce(sum, Sum());
    for (int64_t i = team.rank(); i < n; i += team.size) {
      const T g = convert<T>(gradient[i]), p = convert<T>(output[i]);
      dx[row * n + i] = convert<In>(logarithm ? g - exp(p) * sum : p * (g - sum));
    }
  }
}

template <class In, class T> __global__ void cross_entropy_rows(Team team, const In* logits, const int64_t* classes,
                                                                int64_t ignore_index, T smoothing, int64_t rows,
                                                                int64_t n, In* loss) {
  for (int64_t row = team.first_row(); row < rows; row += team.row_step()) {
    const In* x = logits + row * n;
    const int64_t label = classes[row];
    T value = 0;
    if (label != ignore_index) {
      const ExpSum<T> all = exp_sum<In, T>(team, x, n);
      value = log(all.sum) - (T(1) - smoothing) * (convert<T>(x[label]) - all.largest);
      if (smoothing != 0) {
        T sum = 0;
        for (int64_t i = team.rank(); i < n; i += team.size) sum += convert<T>(x[i]) - all.largest;
        value -= smoothing * team.reduce(sum, Sum()) / T(n);
      }
    }
    if (team.rank() == 0) loss[row] = convert<In>(value);
  }
}

template <class In, class T> __global__ void cross_entropy_gradients(Team team, const In* grad, const In* logits,
                                                                     const int64_t* classes, int64_t ignore_index,
                                                                     T smoothing, int64_t rows, int64_t n, In* dx) {
  for (int64_t row = team.first_row(); row < rows; row += team.row_step()) {
    const In* x = logits + row * n;
    const int64_t label = classes[row];
    const bool counts = label != ignore_index;
    const ExpSum<T> all = exp_sum<In, T>(team, x, n);
    const T g = convert<T>(grad[row]), factor = T(1) / all.sum;
    for (int64_t i = team.rank(); i < n; i += team.size) {
      const T p = exp(convert<T>(x[i]) - all.largest) * factor;
      const T q = smoothing / T(n) + (i == label ? T(1) - smoothing : T(0));
      dx[row * n + i] = convert<In>(counts ? g * (p - q) : T(0));
    }
  }
}

int64_t row_length(const Tensor& x) { return x.dim() ? x.shape().back() : 1; }
int64_t row_count(const Tensor& x) { return x.numel() / std::max<int64_t>(row_length(x), 1); }

}  // namespace

void softmax(bool logarithm, const Tensor& x, const Tensor& y) {
  const Tensor in = compact(x, y.dtype());
  visit_floating(y.dtype(), [&]<class In, class T>() {
    launch_rows(row_count(y), row_length(y), y.device(), softmax_rows<In, T>, logarithm, pointer<const In>(in),
                row_count(y), row_length(y), pointer<In>(y));
  });
}

void softmax_backward(bool logarithm, const Tensor& dy, const Tensor& y, const Tensor& dx) {
  const Tensor gradient = compact(dy, dx.dtype()), output = compact(y, dx.dtype());
  visit_floating(dx.dtype(), [&]<class In, class T>() {
    launch_rows(row_count(dx), row_length(dx), dx.device(), softmax_gradients<In, T>, logarithm,
                pointer<const In>(gradient), pointer<const In>(output), row_count(dx), row_length(dx), pointer<In>(dx));
  });
}

void cross_entropy(const Tensor& logits, const CrossEntropyTarget& target, const Tensor& loss) {
  const Tensor in = compact(logits, loss.dtype());
  visit_floating(loss.dtype(), [&]<class In, class T>() {
    launch_rows(loss.numel(), row_length(logits), loss.device(), cross_entropy_rows<In, T>, pointer<const In>(in),
                pointer<const int64_t>(target.classes), target.ignore_index, T(target.smoothing), loss.numel(),
                row_length(logits), pointer<In>(loss));
  });
}

void cross_entropy_backward(const Tensor& grad, const Tensor& logits, const CrossEntropyTarget& target,
                            const Tensor& dx) {
  const Tensor in = compact(logits, dx.dtype()), gradient = compact(grad, dx.dtype());
  visit_floating(dx.dtype(), [&]<class In, class T>() {
    launch_rows(row_count(dx), row_length(dx), dx.device(), cross_entropy_gradients<In, T>, pointer<const In>(gradient),
                pointer<const In>(in), pointer<const int64_t>(target.classes), target.ignore_index, T(target.smoothing),
                row_count(dx), row_length(dx), pointer<In>(dx));
  });
}

}  // namespace gradus::cuda
