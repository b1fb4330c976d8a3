#pragma once
// Running cuDNN's graphs.

#include "core/tensor.h"
#include "cuda/cudnn.h"
#include "cuda/view.h"

namespace gradus::cuda {

/// Computes a task on the current thread's stream; false where cuDNN has no engine for it. A thread keeps the plans
/// that it has made.
template <class Task> bool run_cudnn(const Task& task, Device device, std::span<const Operand> operands);

/// Whether cuDNN's engines can begin where the tensor does.
inline bool is_aligned(const Tensor& x) { return reinterpret_cast<uintptr_t>(Target(x).data) % 16 == 0; }
/// x, contiguous, of that dtype, and beginning where cuDNN's engines want it.
Tensor prepared(const Tensor& x, Dtype dtype);

}  // namespace gradus::cuda
