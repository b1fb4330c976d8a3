#pragma once
// All that training needs to go on exactly where it stopped, in one safetensors file.

#include <string>

#include "core/random.h"
#include "nn/module.h"

namespace gradus {

/// The contents of a checkpoint file.
struct Checkpoint {
  StateDict model, optimizer;
  int64_t epoch = 0;  ///< how many epochs are done
  GeneratorState generator = default_generator().state();
};

void save_checkpoint(const std::string& path, const Checkpoint& checkpoint, Location where = Location::here());
Checkpoint load_checkpoint(const std::string& path, Location where = Location::here());

/// Writes the state of a model, its optimiser and the default generator after `epoch` epochs.
template <class Optimizer> void save_checkpoint(const std::string& path, const nn::AllOf& net,
                                                const Optimizer& optimizer, int64_t epoch,
                                                Location where = Location::here()) {
  save_checkpoint(path, {state_dict(net), optimizer.state_dict(), epoch}, where);
}

/// Takes the state over again; returns how many epochs are done. Everything must fit.
template <class Optimizer> int64_t load_checkpoint(const std::string& path, const nn::AllOf& net, Optimizer& optimizer,
                                                   Location where = Location::here()) {
  const Checkpoint checkpoint = load_checkpoint(path, where);
  load_state_dict(net, checkpoint.model, {}, where);
  optimizer.load_state_dict(checkpoint.optimizer, where);
  default_generator().set_state(checkpoint.generator);
  return checkpoint.epoch;
}

}  // namespace gradus
