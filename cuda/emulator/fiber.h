#pragma once
// Many flows of control on one thread of the operating system: each has a stack of its own, and runs until it switches
// to another.

#include <cstddef>

#if !defined(__x86_64__)
#include <ucontext.h>
#endif

namespace gradus::emulator {

/// Where a flow of control stopped.
struct Context {
#if defined(__x86_64__)
  void* stack_pointer = nullptr;
#else
  ucontext_t registers;
#endif
  // AddressSanitizer is told on which stack the program runs.
  const void* stack_begin = nullptr;
  std::size_t stack_size = 0;
  void* fake_stack = nullptr;
};

/// Stops the running flow, which is kept in `from`, and goes on with `to`; returns when somebody switches back.
void switch_context(Context& from, Context& to);

/// A flow of control with its own stack. Switched to for the first time it calls entry(argument), which must not
/// return.
class Fiber : public Context {
 public:
  Fiber(void (*entry)(void*), void* argument, int number);
  ~Fiber();
  Fiber(const Fiber&) = delete;
  Fiber& operator=(const Fiber&) = delete;
  bool owns(const void* address) const { return address >= stack_begin && address < top(); }

 private:
  friend void enter_fiber();
  const void* top() const { return static_cast<const char*>(stack_begin) + stack_size; }
  void (*entry_)(void*);
  void* argument_;
};

}  // namespace gradus::emulator
