#include <numeric>
#include <type_traits>

#include "ops/cpu/eigen.h"
#include "ops/cpu/gather.h"
#include "ops/cpu/kernels.h"
#include "ops/cpu/parallel.h"

namespace gradus::cpu {
namespace {

// Calls line(image, i) for each output row i of each image.
template <class F> void for_rows(const Taps& rows, const Taps& columns, const Tensor& y, F&& line) {
  const int64_t count = y.numel() / columns.outputs(), height = rows.outputs();
  const int64_t work = columns.inputs * int64_t(rows.index.size()) / height + int64_t(columns.index.size());
  parallel_for(count, grain_for(work), [&](int64_t begin, int64_t end) {
    for (int64_t i = begin; i < end; ++i) line(i / height, i % height);
  });
}

}  // namespace

void resample(const Taps& rows, const Taps& columns, const Tensor& x, const Tensor& y) {
  if (y.numel() == 0) return;
  compute_in_float(y, [&]<class T>(const Tensor& result) {
    const Tensor input = compact(x, dtype_of<T>());
    const int64_t width = columns.inputs, out_width = columns.outputs();
    const PooledVector<T> weights(columns.weight.begin(), columns.weight.end());
    for_rows(rows, columns, y, [&](int64_t image, int64_t i) {
      thread_local Array<T> sum;  // of the rows, with their weights
      sum.setZero(width);
      for (int64_t k = rows.start[i]; k < rows.start[i + 1]; ++k)
        sum += T(rows.weight[k]) * In<T>(pointer<T>(input) + (image * rows.inputs + rows.index[k]) * width, width);
      T* out = pointer<T>(result) + (image * rows.outputs() + i) * out_width;
      for (int64_t j = 0; j < out_width; ++j) {
        T value = 0;
        for (int64_t k = columns.start[j]; k < columns.start[j + 1]; ++k) value += weights[k] * sum[columns.index[k]];
        out[j] = value;
      }
    });
  });
}

namespace {

template <class T> using Place = std::conditional_t<sizeof(T) == 4, int32_t, int64_t>;

// Keeps the larger of two values, with its place; of equal ones the first. Without branches: these are unforeseeable.
template <class T> void keep_larger(T& value, Place<T>& place, T other, Place<T> other_place) {
  const bool larger =
      (other > value) | ((other != other) & (value == value)) | ((other == value) & (other_place < place));
  value = larger ? other : value;
  place = larger ? other_place : place;
}

// The inputs of each output, the first of each, then the second of each, and so on; those with fewer repeat their last.
PooledVector<int32_t> side_by_side(const Taps& taps, int64_t most) {
  PooledVector<int32_t> result;
  for (int64_t k = 0; k < most; ++k)
    for (int64_t j = 0; j < taps.outputs(); ++j)
      result.push_back(int32_t(taps.index[std::min(taps.start[j] + k, taps.start[j + 1] - 1)]));
  return result;
}

}  // namespace

// First the largest of each column under the window, then of these.
void max_pool(const Taps& rows, const Taps& columns, const Tensor& x, const Tensor& y, const Tensor& index) {
  if (y.numel() == 0) return;
  compute_in_float(y, [&]<class T>(const Tensor& result) {
    const Tensor input = compact(x, dtype_of<T>());
    const int64_t width = columns.inputs, out_width = columns.outputs();
    int64_t most = 0;
    for (int64_t j = 0; j < out_width; ++j) most = std::max(most, columns.start[j + 1] - columns.start[j]);
    const PooledVector<int32_t> column = side_by_side(columns, most);
    for_rows(rows, columns, y, [&](int64_t image, int64_t i) {
      thread_local std::vector<T> value_buffer;
      thread_local std::vector<Place<T>> place_buffer;
      value_buffer.resize(size_t(width + out_width));
      place_buffer.resize(size_t(width + 2 * out_width));
      T *largest = value_buffer.data(), *candidates = largest + width;
      Place<T>*places = place_buffer.data(), *out_places = places + width, *candidate_places = out_places + out_width;
      const T* from = pointer<T>(input) + image * rows.inputs * width;
      for (int64_t k = rows.start[i]; k < rows.start[i + 1]; ++k) {
        const int64_t start = rows.index[k] * width;
        if (k == rows.start[i]) {
          std::copy_n(from + start, width, largest);
          std::iota(places, places + width, Place<T>(start));
          continue;
        }
        for (int64_t j = 0; j < width; ++j) keep_larger(largest[j], places[j], from[start + j], Place<T>(start + j));
      }
      T* out = pointer<T>(result) + (image * rows.outputs() + i) * out_width;
      for (int64_t k = 0; k < most; ++k) {  // gathered first, so that the comparisons become vector instructions
        T* values = k == 0 ? out : candidates;
        Place<T>* from_places = k == 0 ? out_places : candidate_places;
        for (int64_t j = 0; j < out_width; ++j) {
          values[j] = largest[column[k * out_width + j]];
          from_places[j] = places[column[k * out_width + j]];
        }
        if (k == 0) continue;
        for (int64_t j = 0; j < out_width; ++j) keep_larger(out[j], out_places[j], values[j], from_places[j]);
      }
      std::copy_n(out_places, out_width, pointer<int64_t>(index) + (image * rows.outputs() + i) * out_width);
    });
  });
}

}  // namespace gradus::cpu
