// Compiled with -fsanitize=thread, a kernel calls one of these functions before every access to memory. They are the
// thread sanitizer's own; here they lead to the tracer. The linker takes this file only into programs and libraries
// that call them.

#include <cstdio>
#include <cstdlib>
#include <cstring>

#include "trace.h"

#if !defined(__SANITIZE_THREAD__)  // else the sanitizer itself is linked

using gradus::emulator::Kind;
namespace trace = gradus::emulator::trace;

namespace {

struct Tracing {
  Tracing() { trace::enabled = true; }
  ~Tracing() {  // when the program ends
    const char* target = std::getenv("GRADUS_CUDA_REPORT");
    if (!target) return;
    const auto report = gradus::emulator::memory_report();
    if (report.empty()) return;
    std::FILE* file = std::strcmp(target, "1") == 0 ? stderr : std::fopen(target, "w");
    if (!file) std::perror(target);
    else std::fputs(gradus::emulator::to_string(report).c_str(), file);
    if (file && file != stderr) std::fclose(file);
  }
} tracing;

}  // namespace

#define CALLER __builtin_return_address(0)
#define HOOK extern "C" __attribute__((visibility("hidden")))

#define ACCESSES(bytes)                                                                                     \
  HOOK void __tsan_read##bytes(void* p) { trace::access(CALLER, p, bytes, Kind::load, true); }              \
  HOOK void __tsan_write##bytes(void* p) { trace::access(CALLER, p, bytes, Kind::store, true); }            \
  HOOK void __tsan_unaligned_read##bytes(void* p) { trace::access(CALLER, p, bytes, Kind::load, false); }   \
  HOOK void __tsan_unaligned_write##bytes(void* p) { trace::access(CALLER, p, bytes, Kind::store, false); } \
  HOOK void __tsan_volatile_read##bytes(void* p) { trace::access(CALLER, p, bytes, Kind::load, true); }     \
  HOOK void __tsan_volatile_write##bytes(void* p) { trace::access(CALLER, p, bytes, Kind::store, true); }
ACCESSES(1)
ACCESSES(2)
ACCESSES(4)
ACCESSES(8)
ACCESSES(16)

HOOK void __tsan_read_range(void* p, std::size_t bytes) { trace::access(CALLER, p, bytes, Kind::load, false); }
HOOK void __tsan_write_range(void* p, std::size_t bytes) { trace::access(CALLER, p, bytes, Kind::store, false); }
HOOK void* __tsan_memcpy(void* to, const void* from, std::size_t bytes) {
  trace::access(CALLER, from, bytes, Kind::load, false);
  trace::access(CALLER, to, bytes, Kind::store, false);
  return std::memcpy(to, from, bytes);
}
HOOK void* __tsan_memmove(void* to, const void* from, std::size_t bytes) {
  trace::access(CALLER, from, bytes, Kind::load, false);
  trace::access(CALLER, to, bytes, Kind::store, false);
  return std::memmove(to, from, bytes);
}
HOOK void* __tsan_memset(void* to, int value, std::size_t bytes) {
  trace::access(CALLER, to, bytes, Kind::store, false);
  return std::memset(to, value, bytes);
}

// Atomic operations take the place of the instruction. Those of kernels (emulator/atomics.h) load, and then compare and
// exchange: the load is a part of that, and not counted. Host code has others, in std::shared_ptr for one.
#define UPDATE(bits, Word, name, operation)                                        \
  HOOK Word __tsan_atomic##bits##_##name(volatile Word* p, Word value, int) {      \
    trace::access(CALLER, const_cast<Word*>(p), sizeof(Word), Kind::atomic, true); \
    return operation(p, value, __ATOMIC_SEQ_CST);                                  \
  }
#define EXCHANGE(bits, Word, name, weak)                                                              \
  HOOK int __tsan_atomic##bits##_##name(volatile Word* p, Word* expected, Word value, int, int) {     \
    trace::access(CALLER, const_cast<Word*>(p), sizeof(Word), Kind::atomic, true);                    \
    return __atomic_compare_exchange_n(p, expected, value, weak, __ATOMIC_SEQ_CST, __ATOMIC_SEQ_CST); \
  }
#define ATOMICS(bits, Word)                                                                                          \
  HOOK Word __tsan_atomic##bits##_load(const volatile Word* p, int) { return __atomic_load_n(p, __ATOMIC_SEQ_CST); } \
  HOOK void __tsan_atomic##bits##_store(volatile Word* p, Word value, int) {                                         \
    trace::access(CALLER, const_cast<Word*>(p), sizeof(Word), Kind::atomic, true);                                   \
    __atomic_store_n(p, value, __ATOMIC_SEQ_CST);                                                                    \
  }                                                                                                                  \
  HOOK Word __tsan_atomic##bits##_compare_exchange_val(volatile Word* p, Word expected, Word value, int, int) {      \
    trace::access(CALLER, const_cast<Word*>(p), sizeof(Word), Kind::atomic, true);                                   \
    __atomic_compare_exchange_n(p, &expected, value, false, __ATOMIC_SEQ_CST, __ATOMIC_SEQ_CST);                     \
    return expected;                                                                                                 \
  }                                                                                                                  \
  EXCHANGE(bits, Word, compare_exchange_strong, false)                                                               \
  EXCHANGE(bits, Word, compare_exchange_weak, true)                                                                  \
  UPDATE(bits, Word, exchange, __atomic_exchange_n)                                                                  \
  UPDATE(bits, Word, fetch_add, __atomic_fetch_add)                                                                  \
  UPDATE(bits, Word, fetch_sub, __atomic_fetch_sub)                                                                  \
  UPDATE(bits, Word, fetch_and, __atomic_fetch_and)                                                                  \
  UPDATE(bits, Word, fetch_or, __atomic_fetch_or)                                                                    \
  UPDATE(bits, Word, fetch_xor, __atomic_fetch_xor)
ATOMICS(8, unsigned char)
ATOMICS(16, unsigned short)
ATOMICS(32, unsigned)
ATOMICS(64, unsigned long)

HOOK void __tsan_atomic_thread_fence(int) { __atomic_thread_fence(__ATOMIC_SEQ_CST); }
HOOK void __tsan_atomic_signal_fence(int) {}
HOOK void __tsan_init() {}
HOOK void __tsan_func_entry(void*) {}
HOOK void __tsan_func_exit() {}
HOOK void __tsan_vptr_update(void**, void*) {}
HOOK void __tsan_vptr_read(void**) {}

#endif
