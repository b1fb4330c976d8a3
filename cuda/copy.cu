// Copies between layouts and dtypes.

#include "cuda/device.h"
#include "cuda/kernels.h"
#include "cuda/view.h"

namespace gradus::cuda {
namespace {

template <class T> __global__ void copy_elements(int64_t count, Source from, Target to) {
  for (int64_t i = thread_in_grid(); i < count; i += threads_in_grid()) to.store(i, from.load<T>(i));
}

template <class T> __global__ void fill_elements(int64_t count, T value, Target to) {
  for (int64_t i = thread_in_grid(); i < count; i += threads_in_grid()) to.store(i, value);
}

}  // namespace

void copy(const Tensor& from, const Tensor& to) {
  const int64_t count = from.numel();
  if (count == 0) return;
  if (from.dtype() == to.dtype() && from.is_contiguous() && to.is_contiguous()) {
    const size_t item = item_size(from.dtype());
    void* target = static_cast<std::byte*>(to.storage()->data()) + size_t(to.offset()) * item;
    const void* source = static_cast<const std::byte*>(from.storage()->data()) + size_t(from.offset()) * item;
    const DeviceGuard guard(to.device());
    return check(cudaMemcpyAsync(target, source, size_t(count) * item, cudaMemcpyDeviceToDevice, cudaStreamPerThread),
                 "cudaMemcpyAsync");
  }
  // By way of a type that holds both: as on the CPU.
  const Dtype wider = promote(from.dtype(), to.dtype());
  const bool has_integers = from.dtype() == int64 || to.dtype() == int64;
  const auto kernel = wider == float64 || (is_floating_point(wider) && has_integers) ? copy_elements<double>
                      : is_floating_point(wider)                                     ? copy_elements<float>
                                                                                     : copy_elements<int64_t>;
  launch_for(count, to.device(), kernel, count, Source(from), Target(to));
}

void fill(const Tensor& y, double value) {
  if (y.dtype() == int64)
    launch_for(y.numel(), y.device(), fill_elements<int64_t>, y.numel(), convert<int64_t>(value), Target(y));
  else launch_for(y.numel(), y.device(), fill_elements<double>, y.numel(), value, Target(y));
}

}  // namespace gradus::cuda
