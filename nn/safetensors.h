#pragma once
// Weights on disk, in the safetensors format: https://huggingface.co/docs/safetensors. Python reads and writes the same
// files.

#include <map>
#include <string>

#include "core/tensor.h"
#include "nn/module.h"

namespace gradus {

/// What a safetensors file holds: tensors by name, and remarks.
struct TensorFile {
  StateDict tensors;
  std::map<std::string, std::string> metadata;
};

/// Writes the tensors to a safetensors file, which appears under its name only when it is complete.
void save_safetensors(const std::string& path, const TensorFile& file, Location where = Location::here());

/// Reads a safetensors file whole. Everything in the file is checked before it is believed; an error names the file and
/// what is wrong with it. Tensors may be F32, F64, BF16, I64 and BOOL.
TensorFile load_safetensors(const std::string& path, Location where = Location::here());

/// Writes the parameters and buffers of a module (see state_dict) to a safetensors file.
void save(const nn::AllOf& net, const std::string& path, Location where = Location::here());
/// Reads the parameters and buffers of a module from a safetensors file (see load_state_dict).
LoadResult load(const nn::AllOf& net, const std::string& path, LoadOptions options = {},
                Location where = Location::here());

}  // namespace gradus
