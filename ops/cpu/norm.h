#pragma once
// The kernels behind batch, layer, group, instance and RMS normalisation, which differ only in who shares what.

#include "core/tensor.h"

namespace gradus::cpu {

/// x, row by row, is [outer, groups, inner]. The outer·inner elements of a group share a mean and a variance; elements
/// of a channel share a weight and a bias: channels change every `run` elements and repeat after `channels` of them.
struct NormLayout {
  int64_t outer, groups, inner, run, channels;
  double eps;
  bool center = true;  ///< false: the mean is taken to be 0 (RMS)
  bool given = false;  ///< the statistics are constants, not those of x
};

/// Per group the mean and the variance: [groups], in the type in which is computed, as weight and bias: [channels].
struct NormStatistics {
  Tensor mean, variance;
};

/// y = (x − mean) / √(variance + eps) · weight + bias; computes the statistics first unless they are given. Reads x
/// once for them, block by block twice from the cache: no difference of large sums is ever taken.
void norm(const NormLayout& layout, const NormStatistics& statistics, const Tensor& x, const Tensor& weight,
          const Tensor& bias, const Tensor& y);
/// With x̂ = (x − mean) / √(variance + eps) and g = dy·weight: dx = (g − mean(g) − x̂·mean(g·x̂)) / √(variance + eps), the
/// means taken per group; dweight = Σ dy·x̂ and dbias = Σ dy per channel.
void norm_backward(const NormLayout& layout, const NormStatistics& statistics, const Tensor& dy, const Tensor& x,
                   const Tensor& weight, const Tensor& dx, const Tensor& dweight, const Tensor& dbias);

}  // namespace gradus::cpu
