#pragma once
// Memory for tensors and for the small objects around them.

#include <cstddef>
#include <cstdint>

namespace gradus {

/// A block of at least `bytes`, aligned to 64 bytes. Freed blocks are kept for the next request of a similar size (size
/// classes, four to an octave; large ones on huge pages), since a first touch of a fresh page costs more than most
/// operations. Thread-safe. The environment variable GRADUS_ALLOCATOR=system hands every request to the system instead,
/// so that sanitizers and valgrind see each block.
void* allocate(size_t bytes);

/// Gives back a block; `bytes` as in the request.
void deallocate(void* block, size_t bytes);

struct AllocatorStatistics {
  int64_t bytes_reserved;      ///< taken from the system and never given back
  int64_t bytes_in_use;        ///< of those, in blocks handed out (what other threads keep for reuse counts, too)
  int64_t system_allocations;  ///< requests passed on to the system; constant in a steady training loop
};
AllocatorStatistics allocator_statistics();

/// Base of small objects that come from the allocator.
struct Pooled {
  static void* operator new(size_t bytes) { return allocate(bytes); }
  static void* operator new(size_t, void* place) { return place; }
  static void operator delete(void* object, size_t bytes) { deallocate(object, bytes); }
};

}  // namespace gradus
