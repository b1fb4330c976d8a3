#pragma once
// Copies and sums at indexed places. The index is a contiguous int64 tensor, every one of which was checked; y is
// contiguous, of the dtype of x. Results do not depend on the number of threads.

#include "core/tensor.h"

namespace gradus::cpu {

/// The position (counted row by row) of the first index that is not in 0 … size-1; -1 if there is none.
int64_t first_outside(const Tensor& index, int64_t size);
/// The index of the element at such a position.
Shape coordinates(Shape shape, int64_t position);

/// y[o, i, …] = x[o, index[i], …], with o standing for the dimensions before `dim`.
void select_slices(const Tensor& x, int dim, const Tensor& index, const Tensor& y);
/// Its adjoint: y[o, index[i], …] += x[o, i, …]; float32, float64 or int64.
void add_slices(const Tensor& x, int dim, const Tensor& index, const Tensor& y);

/// y[i] = x[i, but index[i] in dimension dim], for each i of the index's shape; y has that shape.
void select_elements(const Tensor& x, int dim, const Tensor& index, const Tensor& y);
/// Its adjoint: y[i, but index[i] in dimension dim] += x[i]; float32, float64 or int64.
void add_elements(const Tensor& x, int dim, const Tensor& index, const Tensor& y);

/// Copies x to slices start, start + 1, … of dimension `dim` of y. Both contiguous.
void copy_slices(const Tensor& x, int dim, const Tensor& y, int64_t start);

}  // namespace gradus::cpu
