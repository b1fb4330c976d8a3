#pragma once
// Pooling and interpolation kernels: along each of the two dimensions of an image, an output is made of a few inputs.

#include <vector>

#include "core/tensor.h"

namespace gradus::cpu {

/// A sparse matrix [outputs, inputs] by rows: output i is made of inputs index[start[i]] … index[start[i + 1] - 1].
struct Taps {
  int64_t inputs;
  std::vector<int64_t> start{0}, index{};
  std::vector<double> weight{};

  int64_t outputs() const { return int64_t(start.size()) - 1; }
  /// Appends an output made of inputs first, first + step, … (`count` of them), each with the same weight.
  void add_output(int64_t first, int64_t step, int64_t count, double each_weight);
  Taps transposed() const;
};

/// y = R·x·Cᵀ for each image of x: [..., R.inputs, C.inputs], of any strides, and of y: [..., R.outputs, C.outputs].
void resample(const Taps& rows, const Taps& columns, const Tensor& x, const Tensor& y);

/// The largest of the inputs of each output, and where in its image it lies (the first such place, counted row by row;
/// int64, of y's shape). NaN counts as the largest. Every output must have inputs.
void max_pool(const Taps& rows, const Taps& columns, const Tensor& x, const Tensor& y, const Tensor& index);

}  // namespace gradus::cpu
