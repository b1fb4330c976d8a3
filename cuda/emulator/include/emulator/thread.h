#pragma once
// A thread of a kernel, and what it knows about itself.

#include "vector_types.h"

namespace gradus::emulator {

class Block;
class Fiber;

/// A place in a .cu file; as a default argument, the place of the caller.
struct Site {
  const char* file = nullptr;
  int line = 0;
  static constexpr Site here(const char* file = __builtin_FILE(), int line = __builtin_LINE()) { return {file, line}; }
  bool operator==(const Site&) const = default;
};

enum class ThreadState { fresh, ready, at_barrier, at_warp_operation, left };

struct Thread {
  uint3 index{};        // threadIdx
  unsigned number = 0;  // in the block, x fastest; lane number % 32 of warp number / 32
  Block* block = nullptr;
  Fiber* fiber = nullptr;
  ThreadState state = ThreadState::fresh;
  const char* operation = nullptr;  // that it waits at, by the lanes in `mask`
  unsigned mask = 0;
  Site where;
};

/// The thread of a kernel that runs now on this thread of the operating system; null in host code.
extern constinit thread_local Thread* current;

}  // namespace gradus::emulator

// Set before a thread goes on; plain variables, so that a debugger shows them.
extern constinit thread_local uint3 threadIdx, blockIdx;
extern constinit thread_local dim3 blockDim, gridDim;
inline constexpr int warpSize = 32;
