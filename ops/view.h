#pragma once
// Views: other shapes and orders of the same memory, and the copies that make memory plain again.

#include <vector>

#include "core/arg.h"

namespace gradus {

/// The same elements, row by row, in another shape; one size may be -1 and follows from the others. A view where the
/// strides allow, a copy otherwise.
Tensor reshape(const Arg& x, const Shape& shape);
/// Dimensions start … end merged into one: flatten(x, 1) turns [N, C, H, W] into [N, C·H·W].
Tensor flatten(const Arg& x, int64_t start = 0, int64_t end = -1);
/// Without the dimensions of size 1, or without dimension `dim`, which must have size 1.
Tensor squeeze(const Arg& x);
Tensor squeeze(const Arg& x, int64_t dim);
/// With a new dimension of size 1 at `dim`.
Tensor unsqueeze(const Arg& x, int64_t dim);
/// Dimension i of the result is dimension order[i] of x.
Tensor permute(const Arg& x, const Shape& order);
/// Two dimensions exchanged.
Tensor transpose(const Arg& x, int64_t dim0, int64_t dim1);
/// The transpose of a matrix.
Tensor t(const Arg& x);
/// Repeated along new dimensions and along those of size 1, without a copy (NumPy's broadcasting); -1 keeps a size.
Tensor expand(const Arg& x, const Shape& shape);
Tensor expand_as(const Arg& x, const Tensor& other);
/// The adjoint of expand: sums x over what was repeated, down to `shape`.
Tensor sum_to(const Arg& x, const Shape& shape);

/// Elements start, start + step, … before `end` of one dimension, as Python's x[start:end:step]: negative positions
/// count from the end, positions beyond the ends are cut off. `step` is positive; see flip.
Tensor slice(const Arg& x, int64_t dim, int64_t start, int64_t end = INT64_MAX, int64_t step = 1);
/// `length` elements of one dimension from `start`; fails beyond the ends.
Tensor narrow(const Arg& x, int64_t dim, int64_t start, int64_t length);
/// One index of a dimension, which disappears.
Tensor select(const Arg& x, int64_t dim, int64_t index);
/// The order of some dimensions reversed.
Tensor flip(const Arg& x, const Shape& dims);
/// Parts of `size` (the last may be smaller), or of the given sizes, along one dimension.
std::vector<Tensor> split(const Arg& x, int64_t size, int64_t dim = 0);
std::vector<Tensor> split(const Arg& x, const std::vector<int64_t>& sizes, int64_t dim = 0);
/// `count` parts of nearly equal size.
std::vector<Tensor> chunk(const Arg& x, int64_t count, int64_t dim = 0);

/// A copy in memory of its own.
Tensor clone(const Arg& x);
/// x itself if it lies row by row without gaps, otherwise a copy that does.
Tensor contiguous(const Arg& x);
/// The values in another dtype; x itself if it has it. To int64, fractions are cut off.
Tensor to(const Arg& x, Dtype dtype);
/// The values on another device; x itself if it is there.
Tensor to(const Arg& x, Device device);

}  // namespace gradus
