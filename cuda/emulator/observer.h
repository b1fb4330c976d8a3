#pragma once
// How the emulator tells the tracer, where a program has one, what happens.

#include "emulator/launch.h"

namespace gradus::emulator {

class Block;

struct Observer {
  virtual ~Observer() = default;
  virtual void launch_begins(const Launch& launch) = 0;
  virtual void launch_ends() = 0;
  virtual void block_begins(const Block& block) = 0;
  virtual void block_ends() = 0;
  /// All threads of the block have reached a barrier.
  virtual void threads_meet() = 0;
};
extern constinit Observer* observer;

}  // namespace gradus::emulator
