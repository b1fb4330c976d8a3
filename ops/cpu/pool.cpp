#include "ops/cpu/pool.h"

#include <type_traits>

#include "ops/cpu/eigen.h"
#include "ops/cpu/gather.h"
#include "ops/cpu/parallel.h"

namespace gradus::cpu {
namespace {

// Calls line(image, i) for each output row i of each image.
template <class F> void for_rows(const Taps& rows, const Taps& columns, const Tensor& y, F&& line) {
  const int64_t count = y.numel() / columns.outputs(), height = rows.outputs();
  const int64_t work = columns.inputs * int64_t(rows.index.size()) / height + int64_t(columns.index.size());
  parallel_for(count, std::max<int64_t>(1, parallel_grain / work), [&](int64_t begin, int64_t end) {
    for (int64_t i = begin; i < end; ++i) line(i / height, i % height);
  });
}

}  // namespace

void Taps::add_output(int64_t first, int64_t step, int64_t count, double each_weight) {
  for (int64_t i = 0; i < count; ++i) {
    index.push_back(first + i * step);
    weight.push_back(each_weight);
  }
  start.push_back(int64_t(index.size()));
}

Taps Taps::transposed() const {
  Taps result{outputs(), std::vector<int64_t>(size_t(inputs) + 1), std::vector<int64_t>(index.size()),
              std::vector<double>(index.size())};
  for (int64_t i : index) ++result.start[size_t(i) + 1];
  for (size_t i = 1; i < result.start.size(); ++i) result.start[i] += result.start[i - 1];
  std::vector<int64_t> next(result.start.begin(), result.start.end() - 1);
  for (int64_t o = 0; o < outputs(); ++o)
    for (int64_t k = start[size_t(o)]; k < start[size_t(o) + 1]; ++k) {
      const size_t place = size_t(next[size_t(index[size_t(k)])]++);
      result.index[place] = o;
      result.weight[place] = weight[size_t(k)];
    }
  return result;
}

void resample(const Taps& rows, const Taps& columns, const Tensor& x, const Tensor& y) {
  if (y.numel() == 0) return;
  compute_in_float(y, [&]<class T>(const Tensor& result) {
    const Tensor input = plain(x, dtype_of<T>());
    const int64_t width = columns.inputs, out_width = columns.outputs();
    const std::vector<T> weights(columns.weight.begin(), columns.weight.end());
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

// First the largest of each column, which the compiler turns into vector instructions, then of the columns.
void max_pool(const Taps& rows, const Taps& columns, const Tensor& x, const Tensor& y, const Tensor& index) {
  if (y.numel() == 0) return;
  compute_in_float(y, [&]<class T>(const Tensor& result) {
    using Row = std::conditional_t<sizeof(T) == 4, int32_t, int64_t>;
    const Tensor input = plain(x, dtype_of<T>());
    const int64_t width = columns.inputs, out_width = columns.outputs();
    for_rows(rows, columns, y, [&](int64_t image, int64_t i) {
      thread_local std::vector<T> largest;
      thread_local std::vector<Row> row_of;
      const T* from = pointer<T>(input) + image * rows.inputs * width;
      const int64_t* row = rows.index.data() + rows.start[i];
      largest.assign(from + *row * width, from + (*row + 1) * width);
      row_of.assign(size_t(width), Row(*row));
      T* best = largest.data();
      Row* best_row = row_of.data();
      for (int64_t k = 1; k < rows.start[i + 1] - rows.start[i]; ++k) {
        const T* values = from + row[k] * width;
        const Row number = Row(row[k]);
        for (int64_t j = 0; j < width; ++j) {
          const T value = values[j], before = best[j];
          const bool larger = (value > before) | ((value != value) & (before == before));
          best[j] = larger ? value : before;
          best_row[j] = larger ? number : best_row[j];
        }
      }
      const int64_t at = (image * rows.outputs() + i) * out_width;
      T* out = pointer<T>(result) + at;
      int64_t* place = pointer<int64_t>(index) + at;
      for (int64_t j = 0; j < out_width; ++j) {
        const int64_t* column = columns.index.data() + columns.start[j];
        T value = best[*column];
        int64_t found = best_row[*column] * width + *column;
        for (int64_t k = 1; k < columns.start[j + 1] - columns.start[j]; ++k) {
          const T other = best[column[k]];
          const int64_t other_place = best_row[column[k]] * width + column[k];
          const bool larger =
              (other > value) | ((other != other) & (value == value)) | ((other == value) & (other_place < found));
          value = larger ? other : value;
          found = larger ? other_place : found;
        }
        out[j] = value;
        place[j] = found;
      }
    });
  });
}

}  // namespace gradus::cpu
