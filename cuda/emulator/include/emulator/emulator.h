#pragma once
// What a program may ask of the emulator itself: how to run kernels, what errors it throws, what the tracer counted.

#include <cstddef>
#include <iosfwd>
#include <stdexcept>
#include <string>
#include <vector>

namespace gradus::emulator {

/// How kernels run; at the start as the environment says.
struct Settings {
  unsigned shuffle =
      0;  // GRADUS_CUDA_EMULATOR_SHUFFLE: threads and blocks run in an order drawn from this seed; 0: in turn
  bool lazy = false;  // GRADUS_CUDA_EMULATOR_LAZY: work in a stream is done only when somebody waits for it
  int threads = 1;    // GRADUS_CUDA_EMULATOR_THREADS: threads of the operating system that run blocks
};
Settings& settings();

/// A defect in a kernel: an operation that CUDA leaves undefined. Thrown where the host launches the kernel or, if
/// lazy, where it waits for it. what() is `kernel: block (0, 0, 0), thread (5, 0, 0): what happened (file.cu:12)`.
class KernelError : public std::runtime_error {
  using std::runtime_error::runtime_error;
};

/// True in a program whose kernels are traced: compiled with gradus_add_emulated_kernels(… TRACED).
bool traced();

enum class Space { global, shared };
enum class Access { load, store, atomic };

/// What the loads, stores or atomics of one source line of one kernel did to memory. A request is what the lanes of a
/// warp do together by one instruction.
struct LineReport {
  std::string kernel, line;  // "saxpy", "kernels.cu:12"
  Space space;
  Access access;
  long launches = 0;      // of the kernel
  long requests = 0;      // by warps
  long lanes = 0;         // active in them, of 32 each
  long transactions = 0;  // global: sectors of 32 bytes; shared: wavefronts, more than the least on bank conflicts
  long least = 0;         // transactions, had the same bytes lain side by side
  long bytes_needed = 0;  // different bytes in each request
  /// 4 for 32 lanes that load neighbouring floats from global memory, 1 from shared memory.
  double transactions_per_request() const { return static_cast<double>(transactions) / static_cast<double>(requests); }
  double least_per_request() const { return static_cast<double>(least) / static_cast<double>(requests); }
};

/// What was counted since the program began or clear_memory_report(); empty unless traced().
std::vector<LineReport> memory_report();
void clear_memory_report();
/// Writes it as a table, as GRADUS_CUDA_REPORT=1 does when the program ends.
void print_memory_report(std::ostream& out);

}  // namespace gradus::emulator
