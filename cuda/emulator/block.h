#pragma once
// The threads of one block. Each is a fiber; all take turns on one thread of the operating system, and only a thread
// that waits for others gives its turn away.

#include <cstdint>
#include <deque>
#include <memory>
#include <random>
#include <string>
#include <vector>

#include "cuda_runtime.h"
#include "fiber.h"

namespace gradus::emulator {

/// The lanes of a warp that meet under one mask. What they bring is kept until all have seen it: a lane may go on to
/// the next round while others still look at the values of the last, so there are two sets.
struct Meeting {
  unsigned mask = 0;
  unsigned round = 0;
  std::uint64_t values[2][32] = {};
  std::vector<Thread*> arrived;
};

class Block {
 public:
  /// Runs all threads of block `index` to their end. Throws KernelError.
  void run(const Launch& launch, unsigned launch_number, uint3 index);

  // For a thread of the block, see emulator/synchronization.h and emulator/warp.h.
  int barrier(bool predicate, Site where);
  const std::uint64_t* meet(unsigned& mask, std::uint64_t value, const char* operation, Site where);
  /// Ends the kernel with an error: what the current thread did.
  [[noreturn]] void fail(std::string what);
  void* shared_memory() { return shared_.get(); }

  const Launch& launch() const { return *launch_; }
  bool shares(const void* address) const {
    return address >= shared_.get() && address < shared_.get() + launch_->shared;
  }

 private:
  void prepare(uint3 index);
  static void run_threads(void* block);
  Thread* next_ready();
  void go_on(Context& from, Thread* next);
  void wait();
  void release(std::vector<Thread*>& waiting);
  Meeting& meeting_of(unsigned warp, unsigned mask);
  [[noreturn]] void stuck();
  [[noreturn]] void give_up(std::string what, Thread* culprit);
  std::string who_waits_where() const;

  const Launch* launch_ = nullptr;
  std::vector<Thread> threads_;
  std::deque<Thread*> ready_;
  std::vector<Thread*> at_barrier_;
  int predicates_ = 0, predicates_held_ = 0;    // at the barrier being reached, at the last one passed
  std::size_t left_ = 0;                        // threads that ended
  std::vector<std::deque<Meeting>> meetings_;   // by warp
  std::unique_ptr<char[]> shared_;              // dynamic shared memory
  std::vector<std::unique_ptr<Fiber>> fibers_;  // as many as had to wait at the same time
  std::vector<Fiber*> idle_;                    // of them
  Context host_;                                // that called run()
  std::minstd_rand random_;                     // draws the order of threads
  std::string error_;
  Thread* failed_ = nullptr;  // whose error it is, unless it is everybody's
};

std::string to_string(Site where);
std::string to_string(uint3 index);
std::string hexadecimal(unsigned mask);

}  // namespace gradus::emulator
