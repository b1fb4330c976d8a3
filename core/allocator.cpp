#include "core/allocator.h"

#include <sys/mman.h>

#include <bit>
#include <cstdlib>
#include <cstring>
#include <mutex>
#include <new>
#include <string>

#include "core/error.h"
#include "core/ref.h"

namespace gradus {
namespace {

constexpr size_t alignment = 64;
constexpr size_t huge_page = size_t(1) << 21;
constexpr int class_count = 200;
constexpr int small_classes = 28;          // up to 8 KiB: cached per thread, without a lock
constexpr int64_t thread_limit = 1 << 14;  // cached blocks of one class before half of them go to the shared lists

// Class 0 holds up to 64 bytes; from there four classes to each doubling.
int class_of(size_t bytes) {
  if (bytes <= alignment) return 0;
  const int octave = int(std::bit_width(bytes - 1)) - 1;  // 2^octave < bytes <= 2^(octave+1)
  const size_t quarter = (bytes - 1 - (size_t(1) << octave)) >> (octave - 2);
  return (octave - 6) * 4 + int(quarter) + 1;
}

size_t class_bytes(int size_class) {
  if (size_class == 0) return alignment;
  const int octave = (size_class - 1) / 4 + 6;
  const size_t quarter = size_t(size_class - 1) % 4 + 1;
  const size_t bytes = (size_t(1) << octave) + (quarter << (octave - 2));
  return (bytes + alignment - 1) & ~(alignment - 1);
}

struct FreeBlock {
  FreeBlock* next;
};

struct FreeList {
  FreeBlock* head = nullptr;
  int64_t length = 0;
  void push(void* block) {
    head = new (block) FreeBlock{head};
    ++length;
  }
  void* pop() {
    FreeBlock* block = head;
    head = block->next;
    --length;
    return block;
  }
};

void* from_system(size_t bytes, size_t align) {
  void* block = std::aligned_alloc(align, (bytes + align - 1) / align * align);
  if (!block) fail("out of memory: cannot allocate " + std::to_string(bytes) + " bytes");
  return block;
}

// The lists that all threads share. Never destroyed: tensors with static storage may outlive everything else.
struct SharedPool {
  std::mutex mutex;
  FreeList lists[class_count];
  char* slab = nullptr;  // small blocks are cut from slabs of a huge page
  size_t slab_left = 0;
  Counter system_allocations;
  int64_t reserved = 0;
  const bool use_system = [] {
    const char* choice = std::getenv("GRADUS_ALLOCATOR");
    return choice && std::strcmp(choice, "system") == 0;
  }();

  void* get(int size_class) {
    const std::lock_guard lock(mutex);
    if (lists[size_class].head) return lists[size_class].pop();
    const size_t bytes = class_bytes(size_class);
    if (bytes >= huge_page / 4) {
      system_allocations.add(1);
      reserved += int64_t(bytes);
      void* block = from_system(bytes, bytes >= huge_page ? huge_page : 4096);
      if (bytes >= huge_page) madvise(block, bytes, MADV_HUGEPAGE);
      return block;
    }
    if (slab_left < bytes) {
      system_allocations.add(1);
      reserved += int64_t(huge_page);
      slab = static_cast<char*>(from_system(huge_page, huge_page));
      madvise(slab, huge_page, MADV_HUGEPAGE);
      slab_left = huge_page;
    }
    void* block = slab;
    slab += bytes;
    slab_left -= bytes;
    return block;
  }

  void put(void* block, int size_class) {
    const std::lock_guard lock(mutex);
    lists[size_class].push(block);
  }
};

SharedPool& shared_pool() {
  static SharedPool* pool = new SharedPool;
  return *pool;
}

struct ThreadCache {
  FreeList lists[small_classes];
  ~ThreadCache();
  void give_back(int size_class, int64_t keep) {
    while (lists[size_class].length > keep) shared_pool().put(lists[size_class].pop(), size_class);
  }
};

constinit thread_local bool cache_gone = false;  // set when this thread is past its destructors
thread_local ThreadCache thread_cache;
ThreadCache::~ThreadCache() {
  for (int i = 0; i < small_classes; ++i) give_back(i, 0);
  cache_gone = true;
}

}  // namespace

void* allocate(size_t bytes) {
  SharedPool& pool = shared_pool();
  if (bytes > size_t(1) << 46) fail("out of memory: cannot allocate " + std::to_string(bytes) + " bytes");
  const int size_class = class_of(bytes);
  if (pool.use_system) {
    pool.system_allocations.add(1);
    return from_system(bytes ? bytes : 1, alignment);
  }
  if (size_class < small_classes && !cache_gone) {
    FreeList& list = thread_cache.lists[size_class];
    if (list.head) return list.pop();
  }
  return pool.get(size_class);
}

void deallocate(void* block, size_t bytes) {
  SharedPool& pool = shared_pool();
  const int size_class = class_of(bytes);
  if (pool.use_system) return std::free(block);
  if (size_class < small_classes && !cache_gone) {
    thread_cache.lists[size_class].push(block);
    if (thread_cache.lists[size_class].length > thread_limit) thread_cache.give_back(size_class, thread_limit / 2);
    return;
  }
  pool.put(block, size_class);
}

AllocatorStatistics allocator_statistics() {
  SharedPool& pool = shared_pool();
  const std::lock_guard lock(pool.mutex);
  int64_t cached = int64_t(pool.slab_left);
  for (int i = 0; i < class_count; ++i) {
    const int64_t here = i < small_classes && !cache_gone ? thread_cache.lists[i].length : 0;
    cached += (pool.lists[i].length + here) * int64_t(class_bytes(i));
  }
  return {pool.reserved, pool.reserved - cached, pool.system_allocations.value()};
}

}  // namespace gradus
