#pragma once
// Reductions over some or all dimensions. With `keepdim` the reduced dimensions stay, with size 1.

#include <initializer_list>

#include "core/arg.h"

namespace gradus {

/// Which dimensions to reduce: one, several, or (by default) all.
struct Dims {
  Dims() = default;
  Dims(int64_t dim) : list{dim}, all(false) {}
  Dims(int dim) : Dims(int64_t(dim)) {}
  Dims(std::initializer_list<int64_t> dims) : list(dims), all(false) {}
  Shape list;
  bool all = true;
};

/// The sum; of int64 and bool tensors in int64. Summed pairwise in blocks: the same at any number of threads.
Tensor sum(const Arg& x, const Dims& dims = {}, bool keepdim = false);
/// The mean; of floating-point tensors.
Tensor mean(const Arg& x, const Dims& dims = {}, bool keepdim = false);
/// The largest and the smallest element; NaN if there is one. Elements that tie share the gradient equally.
Tensor amax(const Arg& x, const Dims& dims = {}, bool keepdim = false);
Tensor amin(const Arg& x, const Dims& dims = {}, bool keepdim = false);
/// The variance; `correction` 1 (Bessel's) estimates that of a population, 0 is that of the values themselves.
Tensor var(const Arg& x, const Dims& dims = {}, bool keepdim = false, double correction = 1);
/// The standard deviation, √var.
Tensor std(const Arg& x, const Dims& dims = {}, bool keepdim = false, double correction = 1);
/// log(Σ eˣ), without overflow.
Tensor logsumexp(const Arg& x, const Dims& dims = {}, bool keepdim = false);
/// The Euclidean length √Σx²; its gradient at 0 is 0.
Tensor norm(const Arg& x, const Dims& dims = {}, bool keepdim = false);
/// Whether any, or every, element is not 0; a bool tensor.
Tensor any(const Arg& x, const Dims& dims = {}, bool keepdim = false);
Tensor all(const Arg& x, const Dims& dims = {}, bool keepdim = false);
/// The index (int64) of the first largest or smallest element along one dimension.
Tensor argmax(const Arg& x, int64_t dim = -1, bool keepdim = false);
Tensor argmin(const Arg& x, int64_t dim = -1, bool keepdim = false);

}  // namespace gradus
