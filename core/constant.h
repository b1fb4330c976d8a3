#pragma once
// Tensors that follow from a few numbers: tables of angles, the windows of a pooling. Not part of the public interface.

#include <functional>
#include <vector>

#include "core/tensor.h"

namespace gradus {

/// What `make` gives, on the device. It depends on what it is, `what`, and on the key alone: on a GPU it is copied only
/// once for each thread, and stays there as long as the constants of the thread, the last used first, come to 64 MiB at
/// most. Nobody may change it. A CUDA graph keeps those that it uses.
Tensor constant(const char* what, std::vector<double> key, Device device, const std::function<Tensor()>& make);

}  // namespace gradus
