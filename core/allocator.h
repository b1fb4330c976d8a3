#pragma once
// Memory for tensors and for the small objects around them.

#include <bit>
#include <cstddef>
#include <cstdint>
#include <new>
#include <vector>

namespace gradus {

namespace detail {

constexpr size_t block_alignment = 64;
constexpr int class_count = 200;
constexpr int small_classes = 24;  // up to 8 KiB: kept per thread, without a lock

// Multiples of 64 bytes up to 512; from there four classes to each doubling.
constexpr int size_class_of(size_t bytes) {
  if (bytes <= 8 * block_alignment) return int((bytes - (bytes > 0)) / block_alignment);
  const int octave = int(std::bit_width(bytes - 1)) - 1;  // 2^octave < bytes <= 2^(octave+1)
  const size_t quarter = (bytes - 1 - (size_t(1) << octave)) >> (octave - 2);
  return (octave - 9) * 4 + int(quarter) + 8;
}

struct FreeList {
  struct Block {
    Block* next;
  };
  Block* head = nullptr;
  int64_t length = 0;
  void push(void* block) {
    head = new (block) Block{head};
    ++length;
  }
  void* pop() {
    Block* block = head;
    head = block->next;
    --length;
    return block;
  }
};

inline constinit thread_local FreeList thread_lists[small_classes];
// Blocks of one class that a thread keeps before it shares half of them; 0 before its first request and at its end.
inline constinit thread_local int64_t thread_limit = 0;
void* allocate_slowly(size_t bytes);
void deallocate_slowly(void* block, size_t bytes);

}  // namespace detail

/// A block of at least `bytes`, aligned to 64 bytes. Freed blocks are kept for the next request of a similar size (size
/// classes, four to an octave; large ones on huge pages), since a first touch of a fresh page costs more than most
/// operations. Thread-safe. The environment variable GRADUS_ALLOCATOR=system hands every request to the system instead,
/// so that sanitizers and valgrind see each block.
inline void* allocate(size_t bytes) {
  const int size_class = detail::size_class_of(bytes);
  if (size_class < detail::small_classes && detail::thread_lists[size_class].head)
    return detail::thread_lists[size_class].pop();
  return detail::allocate_slowly(bytes);
}

/// Gives back a block; `bytes` as in the request.
inline void deallocate(void* block, size_t bytes) {
  const int size_class = detail::size_class_of(bytes);
  if (size_class < detail::small_classes && detail::thread_lists[size_class].length < detail::thread_limit)
    detail::thread_lists[size_class].push(block);
  else detail::deallocate_slowly(block, bytes);
}

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

/// The same for the containers of the standard library.
template <class T> struct PoolAllocator {
  using value_type = T;
  PoolAllocator() = default;
  template <class U> PoolAllocator(const PoolAllocator<U>&) {}
  T* allocate(size_t count) { return static_cast<T*>(gradus::allocate(count * sizeof(T))); }
  void deallocate(T* block, size_t count) { gradus::deallocate(block, count * sizeof(T)); }
  bool operator==(const PoolAllocator&) const = default;
};
template <class T> using PooledVector = std::vector<T, PoolAllocator<T>>;

}  // namespace gradus
