#pragma once
// From the accesses of single threads to the requests of warps.

#include <array>
#include <cstdint>
#include <map>
#include <vector>

#include "emulator/report.h"

namespace gradus::emulator {

/// Threads run one after another here, and on a GPU the lanes of a warp at the same time: the k-th execution of one
/// instruction by each of its lanes, since all of them met last, is one request.
class Requests {
 public:
  struct Access {
    const void* instruction;
    Space space;
    Kind kind;
    const void* address;
    std::size_t bytes;
  };

  void begin_launch(const void* kernel, std::size_t threads, std::size_t dynamic_shared);
  void begin_block(std::size_t threads);
  void add(unsigned thread, const Access& access);
  /// The lanes in `mask` meet; all that have not left the kernel start to count again.
  void meet(unsigned warp, unsigned mask);
  void barrier();
  void leave(unsigned thread);

 private:
  struct Request {
    unsigned lanes = 0;  // a mask
    std::size_t bytes = 0;
    std::array<std::uintptr_t, 32> addresses{};
  };
  struct Instruction {
    Kind kind{};
    std::vector<Request> requests;
    std::array<std::uint32_t, 32> executed{};  // by lane
  };
  using Place = std::pair<const void*, Space>;
  struct Warp {
    unsigned lanes = 0;  // that have not left, a mask
    std::map<Place, Instruction> instructions;
  };
  struct Kernel {
    long launches = 0;
    std::pair<std::size_t, std::size_t> block;  // threads and bytes of dynamic shared memory of the largest
    std::map<Place, LineReport> counts;
  };

  void count_and_clear(Warp& warp);
  static void count_sectors(const Request& request, LineReport& counts);
  static void count_wavefronts(const Request& request, LineReport& counts);

  friend std::vector<KernelReport> memory_report();
  friend void clear_memory_report();
  std::vector<Warp> warps_;
  std::map<const void*, Kernel> kernels_;  // by function
  Kernel* kernel_ = nullptr;               // that runs
};

Requests& requests();

}  // namespace gradus::emulator
