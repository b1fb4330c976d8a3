#include "ops/resample.h"

#include "ops/apply.h"

namespace gradus {
namespace {

struct Resample {
  static constexpr Info info{"resample"};
  const char* name;
  int dims;
  kernel::Taps rows, columns;
  bool is_transposed = false;

  Tensor forward(const Tensor& x) const {
    Shape shape = x.shape();
    shape[x.dim() - 1] = columns.outputs();
    if (dims == 2) shape[x.dim() - 2] = rows.outputs();
    const Tensor y = Tensor::empty(shape, x.dtype(), x.device());
    kernels(x).resample(rows, columns, x, y);
    return y;
  }
  Tensor backward(const Tensor& dy) const {
    return apply(Resample{name, dims, rows.transposed(), columns.transposed(), !is_transposed}, dy);
  }
  std::string formula(std::span<const std::string> names) const {
    return name + std::string(is_transposed ? "ᵀ(" : "(") + names[0] + ")";
  }
};

}  // namespace

Tensor resample(const char* name, const Tensor& x, int dims, kernel::Taps rows, kernel::Taps columns) {
  return apply(Resample{name, dims, std::move(rows), std::move(columns)}, x);
}

void require_images(const Tensor& x, int dims) {
  if (!is_floating_point(x.dtype())) fail("x holds " + to_string(x.dtype()) + "; convert it first: to(x, float32)");
  const int64_t size = x.dim() >= dims ? (dims == 2 ? x.size(-2) : 1) * x.size(-1) : 0;
  if (size == 0)
    fail("x is " + to_string(x.shape()) + "; it must be " +
         (dims == 2 ? "[..., H, W], with H and W" : "[..., L], with L") + " at least 1");
}

void kernel::Taps::add_output(int64_t first, int64_t step, int64_t count, double each_weight) {
  for (int64_t i = 0; i < count; ++i) {
    index.push_back(first + i * step);
    weight.push_back(each_weight);
  }
  start.push_back(int64_t(index.size()));
}

kernel::Taps kernel::Taps::transposed() const {
  Taps result{outputs(), PooledVector<int64_t>(size_t(inputs) + 1), PooledVector<int64_t>(index.size()),
              PooledVector<double>(index.size())};
  for (int64_t i : index) ++result.start[size_t(i) + 1];
  for (size_t i = 1; i < result.start.size(); ++i) result.start[i] += result.start[i - 1];
  PooledVector<int64_t> next(result.start.begin(), result.start.end() - 1);
  for (int64_t o = 0; o < outputs(); ++o)
    for (int64_t k = start[size_t(o)]; k < start[size_t(o) + 1]; ++k) {
      const size_t place = size_t(next[size_t(index[size_t(k)])]++);
      result.index[place] = o;
      result.weight[place] = weight[size_t(k)];
    }
  return result;
}

kernel::Taps one_to_one() {
  kernel::Taps taps{1};
  taps.add_output(0, 1, 1, 1);
  return taps;
}

}  // namespace gradus
