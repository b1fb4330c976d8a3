#pragma once
// Kernels over the rows (the last dimension) of contiguous tensors: softmax, cross-entropy; and dropout.

#include "core/random.h"
#include "core/tensor.h"

namespace gradus::cpu {

/// y = softmax(x), or its logarithm, along the last dimension.
void softmax(bool log, const Tensor& x, const Tensor& y);
/// dx, given y = softmax(x): y·(dy − Σ dy·y); given y = log softmax(x): dy − exp(y)·Σ dy.
void softmax_backward(bool log, const Tensor& dy, const Tensor& y, const Tensor& dx);

struct CrossEntropyTarget {
  const int64_t* classes;  // one a row
  int64_t ignore_index;
  double smoothing;
};
/// loss[row] = (1 − smoothing)·(−log p[class]) + smoothing·mean(−log p), with p = softmax(logits); 0 for ignored rows.
void cross_entropy(const Tensor& logits, const CrossEntropyTarget& target, const Tensor& loss);
/// Its gradient: (p − (1 − smoothing)·onehot − smoothing/C) times grad[row]; `grad` may be expanded.
void cross_entropy_backward(const Tensor& grad, const Tensor& logits, const CrossEntropyTarget& target,
                            const Tensor& dx);

/// y = x / (1 − p) where the element's random number is at least p, else 0.
void dropout(const Tensor& x, double p, GeneratorState state, const Tensor& y);

}  // namespace gradus::cpu
