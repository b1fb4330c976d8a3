#pragma once
// Elements chosen by int64 indices or bool masks. An index is counted from 0; one that is negative or too large is an
// error that names it.

#include "core/arg.h"

namespace gradus {

/// The slices of dimension `dim` that index: [n] names, in its order: y[i, …] = x[index[i], …] for dim 0.
Tensor index_select(const Arg& x, int64_t dim, const Tensor& index);
/// x with slice i of `source`, which is shaped as x but for size n in dimension `dim`, added to slice index[i] of that
/// dimension. Several to the same slice add up, always in the order of the index.
Tensor index_add(const Arg& x, int64_t dim, const Tensor& index, const Tensor& source);
/// The rows of weight: [count, dim] that an index: [...] names: [..., dim].
Tensor embedding(const Arg& index, const Tensor& weight);

/// One element for each of the index, which has as many dimensions as x, and sizes no larger but in dimension `dim`:
/// y[i, j] = x[i, index[i, j]] for dim 1. The result is shaped as the index.
Tensor gather(const Arg& x, int64_t dim, const Tensor& index);
/// x with elements of `source`, at least as large as the index, added at the places from which gather would take:
/// y[i, index[i, j]] += source[i, j] for dim 1. Several to the same place add up, always in the same order.
Tensor scatter_add(const Arg& x, int64_t dim, const Tensor& index, const Tensor& source);

/// For each class of index: [...] a row of int64 zeros with a 1 in its place, [..., classes]. With -1, `classes` is the
/// largest index plus 1.
Tensor one_hot(const Arg& index, int64_t classes = -1);

/// x with `value` where the mask (bool, of a shape that broadcasts with x) holds.
Tensor masked_fill(const Arg& x, const Tensor& mask, double value);
/// The lower triangle of matrices x: [..., n, m]: zero above the diagonal, or above the one `diagonal` places to its
/// right.
Tensor tril(const Arg& x, int64_t diagonal = 0);
/// The upper triangle: zero below the diagonal, or below the one `diagonal` places to its right.
Tensor triu(const Arg& x, int64_t diagonal = 0);

}  // namespace gradus
