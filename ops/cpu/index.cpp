#include <algorithm>

#include "ops/cpu/eigen.h"
#include "ops/cpu/gather.h"
#include "ops/cpu/kernels.h"
#include "ops/cpu/parallel.h"

namespace gradus::cpu {
namespace {

// What lies before, in and behind one dimension of a contiguous tensor.
struct Split {
  int64_t outer = 1, size, inner = 1;
  Split(const Shape& shape, int dim) : size(shape[dim]) {
    for (int i = 0; i < shape.dim(); ++i) (i < dim ? outer : inner) *= i == dim ? 1 : shape[i];
  }
};

template <class F> void with_summable_type(Dtype dtype, F&& run) {
  if (dtype == float32) return run.template operator()<float>();
  if (dtype == float64) return run.template operator()<double>();
  run.template operator()<int64_t>();
}

// Calls one(i, at) for each position i of a contiguous index of this shape, where `at` is where the place with the same
// coordinates, but 0 in dimension `dim`, lies in a tensor of the given strides. Lines along `dim`, the only places that
// can share an element, stay in one piece and in order.
template <class F> void for_each_index(const Shape& shape, int dim, const Strides& strides, F&& one) {
  const Split split(shape, dim);
  const int64_t length = split.size, step = split.inner;
  const auto run = [&](int64_t begin, int64_t end) {
    constexpr int64_t most = 64;  // lines taken together, since neighbours along them may lie far apart
    int64_t first[most], at[most];
    for (int64_t line = begin, count; line < end; line += count) {
      count = step == 1 ? 1 : std::min(most, end - line);
      for (int64_t l = 0; l < count; ++l) {
        int64_t rest = line + l;
        first[l] = rest / step * step * length + rest % step;
        at[l] = 0;
        for (int d = shape.dim() - 1; d >= 0; --d) {
          if (d == dim) continue;
          at[l] += rest % shape[d] * strides[d];
          rest /= shape[d];
        }
      }
      for (int64_t k = 0; k < length; ++k)
        for (int64_t l = 0; l < count; ++l) one(first[l] + k * step, at[l]);
    }
  };
  parallel_for(split.outer * step, grain_for(length), run);
}

}  // namespace

int64_t first_outside(const Tensor& index, int64_t size) {
  const int64_t* begin = pointer<const int64_t>(index);
  const int64_t* end = begin + index.numel();
  const int64_t* found = std::find_if(begin, end, [&](int64_t i) { return i < 0 || i >= size; });
  return found == end ? -1 : found - begin;
}

void select_slices(const Tensor& x, int dim, const Tensor& index, const Tensor& y) {
  const Split split(x.shape(), dim);
  const int64_t* chosen = pointer<const int64_t>(index);
  const int64_t count = index.numel(), inner = split.inner;
  visit(x.dtype(), [&]<class T>() {
    const T* from = pointer<const T>(x);
    T* to = pointer<T>(y);
    const auto slice = [&](int64_t row) { return from + (row / count * split.size + chosen[row % count]) * inner; };
    parallel_for(split.outer * count, grain_for(inner), [&](int64_t begin, int64_t end) {
      if (inner == 1) {
        for (int64_t row = begin; row < end; ++row) to[row] = *slice(row);
        return;
      }
      // The processor cannot foresee where the next slices begin: they are asked for in time.
      constexpr int64_t ahead = 4, most = 1024 / sizeof(T);
      for (int64_t row = begin; row < end; ++row) {
        if (row + ahead < end) prefetch(slice(row + ahead), std::min(inner, most));
        std::copy_n(slice(row), inner, to + row * inner);
      }
    });
  });
}

// Threads share out the slices of y; each looks through the whole index for its own.
void add_slices(const Tensor& x, int dim, const Tensor& index, const Tensor& y) {
  const Split split(y.shape(), dim);
  const int64_t* chosen = pointer<const int64_t>(index);
  const int64_t count = index.numel(), size = split.size, inner = split.inner;
  if (y.numel() == 0) return;
  with_summable_type(x.dtype(), [&]<class T>() {
    const T* from = pointer<const T>(x);
    T* to = pointer<T>(y);
    parallel_for(split.outer * size, grain_for(x.numel() / (split.outer * size)), [&](int64_t begin, int64_t end) {
      for (int64_t o = begin / size; o * size < end; ++o) {
        const int64_t first = std::max<int64_t>(0, begin - o * size), last = std::min(size, end - o * size);
        for (int64_t i = 0; i < count; ++i) {
          if (chosen[i] < first || chosen[i] >= last) continue;
          const T* slice = from + (o * count + i) * inner;
          T* sum = to + (o * size + chosen[i]) * inner;
          for (int64_t j = 0; j < inner; ++j) sum[j] += slice[j];
        }
      }
    });
  });
}

void select_elements(const Tensor& x, int dim, const Tensor& index, const Tensor& y) {
  const int64_t* chosen = pointer<const int64_t>(index);
  const int64_t stride = x.strides()[dim];
  visit(x.dtype(), [&]<class T>() {
    const T* from = pointer<const T>(x);
    T* to = pointer<T>(y);
    for_each_index(index.shape(), dim, x.strides(),
                   [=](int64_t i, int64_t at) { to[i] = from[at + chosen[i] * stride]; });
  });
}

void add_elements(const Tensor& x, int dim, const Tensor& index, const Tensor& y) {
  const int64_t* chosen = pointer<const int64_t>(index);
  const int64_t stride = y.strides()[dim];
  with_summable_type(x.dtype(), [&]<class T>() {
    const T* from = pointer<const T>(x);
    T* to = pointer<T>(y);
    for_each_index(index.shape(), dim, y.strides(),
                   [=](int64_t i, int64_t at) { to[at + chosen[i] * stride] += from[i]; });
  });
}

void copy_slices(const Tensor& x, int dim, const Tensor& y, int64_t start) {
  const Split from(x.shape(), dim), to(y.shape(), dim);
  const int64_t item = int64_t(item_size(x.dtype())), length = from.size * from.inner * item;
  const std::byte* source = static_cast<const std::byte*>(x.storage()->data()) + x.offset() * item;
  std::byte* target = static_cast<std::byte*>(y.storage()->data()) + (y.offset() + start * to.inner) * item;
  parallel_for(from.outer, grain_for(from.size * from.inner), [&](int64_t begin, int64_t end) {
    for (int64_t o = begin; o < end; ++o)
      std::copy_n(source + o * length, length, target + o * to.size * to.inner * item);
  });
}

}  // namespace gradus::cpu
