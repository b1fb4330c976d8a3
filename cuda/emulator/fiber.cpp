#include "fiber.h"

#include <sys/mman.h>

#include <cstdint>
#include <cstdlib>
#include <new>

#include "sanitizer.h"

#if defined(__x86_64__)
// Saves what a called function must preserve on the old stack, and takes the same from the new one.
extern "C" void gradus_switch_stacks(void** save, void* to);
asm(R"(.text
.globl gradus_switch_stacks
.hidden gradus_switch_stacks
.type gradus_switch_stacks,@function
gradus_switch_stacks:
  pushq %rbp
  pushq %rbx
  pushq %r12
  pushq %r13
  pushq %r14
  pushq %r15
  movq %rsp, (%rdi)
  movq %rsi, %rsp
  popq %r15
  popq %r14
  popq %r13
  popq %r12
  popq %rbx
  popq %rbp
  ret
.size gradus_switch_stacks,.-gradus_switch_stacks
)");
#endif

namespace gradus::emulator {
namespace {

constexpr std::size_t page = 4096;
constexpr std::size_t stack_bytes = 256 << 10;  // of address space; memory is taken as it is touched

thread_local Context* left = nullptr;     // by the last switch
thread_local Context* entered = nullptr;  // by the last switch

// The first thing to do on a stack that was switched to. The stack of the operating system's thread is only known to
// the sanitizer, which tells its bounds here.
void arrive([[maybe_unused]] void* fake_stack) {
#ifdef GRADUS_ADDRESS_SANITIZER
  __sanitizer_finish_switch_fiber(fake_stack, &left->stack_begin, &left->stack_size);
#endif
}

}  // namespace

void enter_fiber() {
  arrive(nullptr);
  auto* fiber = static_cast<Fiber*>(entered);
  fiber->entry_(fiber->argument_);
  std::abort();
}

void switch_context(Context& from, Context& to) {
  left = &from;
  entered = &to;
#ifdef GRADUS_ADDRESS_SANITIZER
  __sanitizer_start_switch_fiber(&from.fake_stack, to.stack_begin, to.stack_size);
#endif
#if defined(__x86_64__)
  gradus_switch_stacks(&from.stack_pointer, to.stack_pointer);
#else
  swapcontext(&from.registers, &to.registers);
#endif
  arrive(from.fake_stack);
}

Fiber::Fiber(void (*entry)(void*), void* argument, int number) : entry_(entry), argument_(argument) {
  void* memory = mmap(nullptr, stack_bytes, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE, -1, 0);
  if (memory == MAP_FAILED) throw std::bad_alloc();
  mprotect(memory, page, PROT_NONE);  // an overflow stops the program
  // Stacks lie a power of two apart; begun at the same offset, the hot ends of all would share a few sets of the cache.
  const std::size_t used = stack_bytes - static_cast<std::size_t>(number % 24) * 192;
  stack_begin = memory;
  stack_size = stack_bytes;
#if defined(__x86_64__)
  // As if enter_fiber had called gradus_switch_stacks: six registers, then where to return to. A function expects the
  // stack pointer to be 8 bytes off a multiple of 16 when it starts.
  auto** top = reinterpret_cast<void**>(static_cast<char*>(memory) + used);
  *--top = nullptr;
  *--top = reinterpret_cast<void*>(enter_fiber);
  stack_pointer = top - 6;
#else
  getcontext(&registers);
  registers.uc_stack = {memory, 0, used};
  registers.uc_link = nullptr;
  makecontext(&registers, enter_fiber, 0);
#endif
}

Fiber::~Fiber() {
  allow_access(stack_begin, stack_size);  // locals of a flow that never ended
  munmap(const_cast<void*>(stack_begin), stack_size);
}

}  // namespace gradus::emulator
