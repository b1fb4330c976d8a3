#include "core/allocator.h"

#include <sys/mman.h>

#include <cstdlib>
#include <cstring>
#include <mutex>
#include <string>

#include "core/error.h"
#include "core/ref.h"

namespace gradus::detail {
namespace {

constexpr size_t huge_page = size_t(1) << 21;
constinit bool use_system_allocator = false;  // decided by the first request

size_t class_bytes(int size_class) {
  if (size_class < 8) return size_t(size_class + 1) * block_alignment;
  const int octave = (size_class - 8) / 4 + 9;
  const size_t quarter = size_t(size_class) % 4 + 1;
  return (size_t(1) << octave) + (quarter << (octave - 2));
}

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
  SharedPool() {
    const char* choice = std::getenv("GRADUS_ALLOCATOR");
    use_system_allocator = choice && std::strcmp(choice, "system") == 0;
  }

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

void share(int size_class, int64_t keep) {
  FreeList& list = thread_lists[size_class];
  while (list.length > keep) shared_pool().put(list.pop(), size_class);
}

// Lets this thread keep blocks, and give them back when it ends.
void start_thread_lists() {
  struct ThreadLists {
    ThreadLists() { thread_limit = use_system_allocator ? 0 : 1 << 14; }
    ~ThreadLists() {
      thread_limit = 0;
      for (int i = 0; i < small_classes; ++i) share(i, 0);
    }
  };
  static thread_local ThreadLists lists;
  (void)lists;
}

}  // namespace

void* allocate_slowly(size_t bytes) {
  SharedPool& pool = shared_pool();
  start_thread_lists();
  if (bytes > size_t(1) << 46) fail("out of memory: cannot allocate " + std::to_string(bytes) + " bytes");
  if (!use_system_allocator) return pool.get(size_class_of(bytes));
  pool.system_allocations.add(1);
  return from_system(bytes ? bytes : 1, block_alignment);
}

void deallocate_slowly(void* block, size_t bytes) {
  if (use_system_allocator) return std::free(block);
  const int size_class = size_class_of(bytes);
  start_thread_lists();  // a thread may free blocks without ever asking for one
  if (size_class < small_classes && thread_limit > 0) {
    share(size_class, thread_limit / 2);
    thread_lists[size_class].push(block);
  } else {
    shared_pool().put(block, size_class);
  }
}

}  // namespace gradus::detail

namespace gradus {

AllocatorStatistics allocator_statistics() {
  using namespace detail;
  SharedPool& pool = shared_pool();
  const std::lock_guard lock(pool.mutex);
  int64_t cached = int64_t(pool.slab_left);
  for (int i = 0; i < class_count; ++i) {
    const int64_t here = i < small_classes ? thread_lists[i].length : 0;
    cached += (pool.lists[i].length + here) * int64_t(class_bytes(i));
  }
  return {pool.reserved, pool.reserved - cached, pool.system_allocations.value()};
}

}  // namespace gradus
