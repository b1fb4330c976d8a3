#pragma once
// The tracer: it sees every access to memory of kernels that were compiled with the hooks of trace_hooks.cpp, ends a
// kernel that does what CUDA leaves undefined, and counts for the report on memory. Here is what it is told.

#include <cstddef>

#include "block.h"
#include "emulator/report.h"

namespace gradus::emulator::trace {

/// Whether kernels are traced; if not, nothing below needs to be called.
extern bool enabled;

/// The running thread's access. `instruction` is the return address of the hook that the compiler put before it.
void access(const void* instruction, const void* memory, std::size_t bytes, Kind kind, bool must_be_aligned);

void begin_launch(const Launch& launch);
void begin_block(const Launch& launch, uint3 index);
/// All threads of the block are at a barrier; the lanes in `mask` of a warp are at a warp's operation; a thread ends.
void barrier();
void meet(unsigned warp, unsigned mask);
void leave(unsigned thread);

void allocated(const void* memory, std::size_t bytes);
void freed(const void* memory);
/// Device memory got values: from elsewhere or, by a copy, those of other memory, of which some may be missing.
void written(const void* memory, std::size_t bytes);
void copied(const void* to, const void* from, std::size_t bytes);

}  // namespace gradus::emulator::trace
