#include "ops/cpu/gather.h"

#include <algorithm>

#include "ops/cpu/kernels.h"
#include "ops/cpu/parallel.h"
#include "ops/cpu/transpose.h"

namespace gradus::cpu {
namespace {

// Walks elements [begin, begin + n) of a strided tensor as runs along its last dimension, after merging dimensions that
// lie behind each other in memory: run(position in memory, stride, length, how many came before).
template <class F> void for_runs(const Tensor& x, int64_t begin, int64_t n, F&& run) {
  Shape shape;
  Strides strides;
  for (int i = 0; i < x.dim(); ++i) {
    if (x.shape()[i] == 1) continue;
    const int last = shape.dim() - 1;
    if (last >= 0 && strides[last] == x.strides()[i] * x.shape()[i]) {
      shape[last] *= x.shape()[i];
      strides[last] = x.strides()[i];
    } else {
      shape.push_back(x.shape()[i]);
      strides.push_back(x.strides()[i]);
    }
  }
  if (shape.empty()) return run(x.offset(), int64_t(1), n, int64_t(0));
  const int last = shape.dim() - 1;
  int64_t index[Shape::max_dims], position = x.offset();
  for (int i = last; i >= 0; --i) {
    index[i] = begin % shape[i];
    begin /= shape[i];
    position += index[i] * strides[i];
  }
  for (int64_t done = 0; done < n;) {
    const int64_t length = std::min(n - done, shape[last] - index[last]);
    run(position, strides[last], length, done);
    done += length;
    index[last] += length;
    position += length * strides[last];
    for (int i = last; i > 0 && index[i] == shape[i]; --i) {
      position += strides[i - 1] - shape[i] * strides[i];
      index[i] = 0;
      ++index[i - 1];
    }
  }
}

}  // namespace

template <class T> void gather(const Tensor& x, int64_t begin, int64_t n, T* out) {
  visit(x.dtype(), [&]<class S>() {
    const S* memory = static_cast<const S*>(x.storage()->data());
    for_runs(x, begin, n, [&](int64_t position, int64_t stride, int64_t length, int64_t done) {
      const S* from = memory + position;
      T* to = out + done;
      if (stride == 0) std::fill_n(to, length, convert<T>(*from));
      else if (stride == 1) std::transform(from, from + length, to, [](S v) { return convert<T>(v); });
      else
        for (int64_t i = 0; i < length; ++i) to[i] = convert<T>(from[i * stride]);
    });
  });
}

template <class T> void scatter(const T* values, const Tensor& y, int64_t begin, int64_t n) {
  visit(y.dtype(), [&]<class S>() {
    S* memory = static_cast<S*>(y.storage()->data());
    for_runs(y, begin, n, [&](int64_t position, int64_t stride, int64_t length, int64_t done) {
      for (int64_t i = 0; i < length; ++i) memory[position + i * stride] = convert<S>(values[done + i]);
    });
  });
}

namespace {

// to[r][c] = from[c][r]. Squares of two registers' width are done one after the other: so whole cache lines are read
// and written before others need their place.
template <class T>
void transpose(const T* from, int64_t from_stride, int64_t rows, int64_t columns, T* to, int64_t to_stride) {
  constexpr int64_t size = lanes<T>, together = 2 * size;
  for (int64_t column = 0; column < columns; column += together)
    for (int64_t r = 0; r < rows; r += size)
      for (int64_t c = column; c < std::min(columns, column + together); c += size) {
        if (r + size <= rows && c + size <= columns) {
          transpose_square(from + c * from_stride + r, from_stride, size, to + r * to_stride + c, to_stride);
          continue;
        }
        for (int64_t i = r; i < std::min(rows, r + size); ++i)
          for (int64_t j = c; j < std::min(columns, c + size); ++j) to[i * to_stride + j] = from[j * from_stride + i];
      }
}

// Copies a tensor whose last dimension is not the one without gaps, but another one is: plane by plane, without
// striding through memory. Returns whether it is one; `to` has no gaps.
template <class T> bool copy_transposed(const Tensor& from, const Tensor& to) {
  const int last = from.dim() - 1;
  int first = last - 1;
  while (first >= 0 && from.strides()[first] != 1) --first;
  constexpr int64_t least = 8, band = 256;
  if (first < 0 || from.strides()[last] < least || from.shape()[first] < least || from.shape()[last] < least)
    return false;
  const int64_t rows = from.shape()[first], columns = from.shape()[last], bands = divide_up(rows, band);
  Shape planes = from.shape();
  planes[first] = planes[last] = 1;
  const int64_t grain = grain_for(band * columns);
  parallel_for(planes.numel() * bands, grain, [&](int64_t begin, int64_t end) {
    for (int64_t i = begin; i < end; ++i) {
      const Shape at = coordinates(planes, i / bands);
      const int64_t row = i % bands * band;
      int64_t source = row, target = row * to.strides()[first];
      for (int d = 0; d <= last; ++d) source += at[d] * from.strides()[d], target += at[d] * to.strides()[d];
      transpose(pointer<const T>(from) + source, from.strides()[last], std::min(band, rows - row), columns,
                pointer<T>(to) + target, to.strides()[first]);
    }
  });
  return true;
}

}  // namespace

void copy(const Tensor& from, const Tensor& to) {
  if (from.dtype() == to.dtype() && to.is_contiguous()) {
    if (from.dtype() == float32 && copy_transposed<float>(from, to)) return;
    if (from.dtype() == float64 && copy_transposed<double>(from, to)) return;
  }
  const auto run = [&]<class T>() {
    parallel_for(from.numel(), parallel_grain, [&](int64_t begin, int64_t end) {
      T buffer[chunk];
      for (int64_t i = begin; i < end; i += chunk) {
        const int64_t n = std::min(chunk, end - i);
        if (to.is_contiguous() && to.dtype() == dtype_of<T>()) {
          gather(from, i, n, pointer<T>(to) + i);
        } else {
          gather(from, i, n, buffer);
          scatter(buffer, to, i, n);
        }
      }
    });
  };
  const Dtype wider = promote(from.dtype(), to.dtype());
  if (wider == float64 || (is_floating_point(wider) && (from.dtype() == int64 || to.dtype() == int64))) {
    run.template operator()<double>();
  } else if (is_floating_point(wider)) {
    run.template operator()<float>();
  } else {
    run.template operator()<int64_t>();
  }
}

void fill(const Tensor& y, double value) {
  if (y.is_contiguous())
    return visit(y.dtype(), [&]<class T>() {
      parallel_for(y.numel(), parallel_grain, [&](int64_t begin, int64_t end) {
        std::fill(pointer<T>(y) + begin, pointer<T>(y) + end, convert<T>(value));
      });
    });
  copy(Tensor(value, y.dtype() == int64 ? int64 : float64).repeated(y.shape()), y);
}

template void gather(const Tensor&, int64_t, int64_t, float*);
template void gather(const Tensor&, int64_t, int64_t, double*);
template void gather(const Tensor&, int64_t, int64_t, int64_t*);
template void scatter(const float*, const Tensor&, int64_t, int64_t);
template void scatter(const double*, const Tensor&, int64_t, int64_t);
template void scatter(const int64_t*, const Tensor&, int64_t, int64_t);

}  // namespace gradus::cpu
