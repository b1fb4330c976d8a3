#pragma once
// Arrays on disk, in NumPy's format: https://numpy.org/doc/stable/reference/generated/numpy.lib.format.html

#include <string>

#include "core/tensor.h"

namespace gradus {

/// Writes a tensor to an .npy file, which appears under its name only when it is complete. NumPy has no bfloat16.
void save_npy(const std::string& path, const Tensor& tensor, Location where = Location::here());

/// Reads an .npy file (versions 1 to 3; rows first or columns first). Floats keep their type; integers become int64.
Tensor load_npy(const std::string& path, Location where = Location::here());

}  // namespace gradus
