#pragma once
// Softmax and dropout.

#include "core/arg.h"
#include "core/random.h"

namespace gradus {

/// exp(x) / Σ exp(x) along dimension `dim`.
Tensor softmax(const Arg& x, int64_t dim);
/// log(softmax(x)), without overflow.
Tensor log_softmax(const Arg& x, int64_t dim);

/// Sets each element to 0 with probability p and divides the others by 1 − p; x itself if not `training`
/// (Srivastava et al., "Dropout: a simple way to prevent neural networks from overfitting", 2014).
Tensor dropout(const Arg& x, double p = 0.5, bool training = true, Generator& generator = default_generator());

namespace detail {
/// The same with numbers that were set aside.
Tensor dropout(const Arg& x, double p, const cuda::PerLaunch<GeneratorState>& state);
}  // namespace detail

}  // namespace gradus
