// Kernels still to be written. Temporary.
#include "core/error.h"
#include "cuda/kernels.h"
#include "cuda/launch.h"
namespace gradus::cuda {
#define MISSING \
  { gradus::fail("no CUDA kernel yet"); }
int64_t first_outside(const Tensor&, int64_t) MISSING
    void select_slices(const Tensor&, int, const Tensor&, const Tensor&) MISSING
    void add_slices(const Tensor&, int, const Tensor&, const Tensor&) MISSING
    void select_elements(const Tensor&, int, const Tensor&, const Tensor&) MISSING
    void add_elements(const Tensor&, int, const Tensor&, const Tensor&) MISSING
    void copy_slices(const Tensor&, int, const Tensor&, int64_t) MISSING
    void conv(const ConvGeometry&, const Tensor&, const Tensor&, const Tensor&, const Tensor&) MISSING
    void conv_input_gradient(const ConvGeometry&, const Tensor&, const Tensor&, const Tensor&) MISSING
    void conv_weight_gradient(const ConvGeometry&, const Tensor&, const Tensor&, const Tensor&) MISSING
    void softmax(bool, const Tensor&, const Tensor&) MISSING
    void softmax_backward(bool, const Tensor&, const Tensor&, const Tensor&) MISSING
    void cross_entropy(const Tensor&, const CrossEntropyTarget&, const Tensor&) MISSING
    void cross_entropy_backward(const Tensor&, const Tensor&, const CrossEntropyTarget&, const Tensor&) MISSING
    void norm(const NormLayout&, const NormStatistics&, const Tensor&, const Tensor&, const Tensor&,
              const Tensor&) MISSING
    void norm_backward(const NormLayout&, const NormStatistics&, const Tensor&, const Tensor&, const Tensor&,
                       const Tensor&, const Tensor&, const Tensor&) MISSING
    void dropout(const Tensor&, double, GeneratorState, const Tensor&) MISSING
    void resample(const Taps&, const Taps&, const Tensor&, const Tensor&) MISSING
    void max_pool(const Taps&, const Taps&, const Tensor&, const Tensor&, const Tensor&) MISSING
    void rotary(const Tensor&, const Tensor&, bool, const Tensor&) MISSING
}  // namespace gradus::cuda
