#pragma once
// Tensors put together from others, or from copies of one.

#include <initializer_list>
#include <span>
#include <vector>

#include "core/arg.h"

namespace gradus {

/// The tensors one after the other along dimension `dim`; all other sizes must be equal. Different dtypes are promoted.
Tensor cat(std::span<const Tensor> tensors, int64_t dim = 0, Location where = Location::here());
inline Tensor cat(std::initializer_list<Tensor> tensors, int64_t dim = 0, Location where = Location::here()) {
  return cat(std::span(tensors.begin(), tensors.size()), dim, where);
}
/// Tensors of one shape side by side along a new dimension `dim`.
Tensor stack(std::span<const Tensor> tensors, int64_t dim = 0, Location where = Location::here());
inline Tensor stack(std::initializer_list<Tensor> tensors, int64_t dim = 0, Location where = Location::here()) {
  return stack(std::span(tensors.begin(), tensors.size()), dim, where);
}
/// x surrounded by `value`. How many elements go before and after each dimension is listed from the last dimension on,
/// as in PyTorch: pad(x, {left, right, top, bottom}).
Tensor pad(const Arg& x, const std::vector<int64_t>& padding, double value = 0);
/// Copies of x beside each other, counts[i] along dimension i: repeat(x, {2, 3}) turns [n, m] into [2n, 3m]. More
/// counts than dimensions add dimensions in front.
Tensor repeat(const Arg& x, const Shape& counts);
/// x moved by `shift` places along a dimension; what leaves at one end enters at the other.
Tensor roll(const Arg& x, int64_t shift, int64_t dim);

}  // namespace gradus
