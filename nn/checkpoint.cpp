#include "nn/checkpoint.h"

#include <charconv>
#include <string_view>

#include "nn/safetensors.h"

namespace gradus {
namespace {

constexpr std::string_view model_prefix = "model.", optimizer_prefix = "optimizer.";

}  // namespace

void save_checkpoint(const std::string& path, const Checkpoint& checkpoint, Location where) {
  const Scope scope("save_checkpoint", where);
  TensorFile file;
  for (const auto& [name, tensor] : checkpoint.model) file.tensors[std::string(model_prefix) + name] = tensor;
  for (const auto& [name, tensor] : checkpoint.optimizer) file.tensors[std::string(optimizer_prefix) + name] = tensor;
  file.metadata = {{"epoch", std::to_string(checkpoint.epoch)},
                   {"generator.seed", std::to_string(checkpoint.generator.seed)},
                   {"generator.offset", std::to_string(checkpoint.generator.offset)}};
  save_safetensors(path, file);
}

Checkpoint load_checkpoint(const std::string& path, Location where) {
  const Scope scope("load_checkpoint", where);
  const TensorFile file = load_safetensors(path);
  const auto number = [&](const char* name, auto& value) {
    const auto found = file.metadata.find(name);
    if (found == file.metadata.end()) fail(path + ": this is not a checkpoint, for its metadata have no " + name);
    const std::string& text = found->second;
    const auto [end, error] = std::from_chars(text.data(), text.data() + text.size(), value);
    if (error != std::errc() || end != text.data() + text.size())
      fail(path + ": " + name + " is \"" + text + "\", not a number");
  };
  Checkpoint checkpoint;
  number("epoch", checkpoint.epoch);
  number("generator.seed", checkpoint.generator.seed);
  number("generator.offset", checkpoint.generator.offset);
  for (const auto& [name, tensor] : file.tensors) {
    const bool is_model = name.starts_with(model_prefix);
    if (!is_model && !name.starts_with(optimizer_prefix))
      fail(path + ": " + name + " belongs neither to the model nor to the optimizer");
    const size_t prefix_length = is_model ? model_prefix.size() : optimizer_prefix.size();
    (is_model ? checkpoint.model : checkpoint.optimizer)[name.substr(prefix_length)] = tensor;
  }
  return checkpoint;
}

}  // namespace gradus
