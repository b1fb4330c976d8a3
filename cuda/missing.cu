// Kernels still to be written. Temporary.
#include "core/error.h"
#include "cuda/kernels.h"
#include "cuda/launch.h"
namespace gradus::cuda {
#define MISSING \
  { gradus::fail("no CUDA kernel yet"); }
    void recurrence(const Sequence&, const Tensor&) MISSING
    void recurrence_backward(const Sequence&, const Tensor&, const SequenceGradients&) MISSING
    void attention(const AttentionSettings&, const Tensor&, const Tensor&, const Tensor&, const Tensor&) MISSING
    void attention_backward(const AttentionSettings&, const Tensor&, const Tensor&, const Tensor&, const Tensor&,
                            const Tensor&, const Tensor&, const Tensor&, const Tensor&) MISSING
}  // namespace gradus::cuda
