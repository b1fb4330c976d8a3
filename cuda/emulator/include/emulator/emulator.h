#pragma once
// What a program may ask of the emulator itself: how to run kernels, what errors it throws.

#include <stdexcept>
#include <string>

namespace gradus::emulator {

/// How kernels run; at the start as the environment says.
struct Settings {
  unsigned shuffle =
      0;  // GRADUS_CUDA_EMULATOR_SHUFFLE: threads and blocks run in an order drawn from this seed; 0: in turn
  bool lazy = false;      // GRADUS_CUDA_EMULATOR_LAZY: work in a stream is done only when somebody waits for it
  int threads = 1;        // GRADUS_CUDA_EMULATOR_THREADS: threads of the operating system that run blocks
  bool report = false;    // GRADUS_CUDA_REPORT: traced kernels are counted for memory_report()
  std::string gpu;        // GRADUS_CUDA_GPU: the report has the occupancy of this one; see occupancy.h
  std::string registers;  // GRADUS_CUDA_REGISTERS: the file with the registers of kernels
};
Settings& settings();

/// A defect in a kernel: an operation that CUDA leaves undefined. Thrown where the host launches the kernel or, if
/// lazy, where it waits for it. what() is `kernel: block (0, 0, 0), thread (5, 0, 0): what happened (file.cu:12)`.
class KernelError : public std::runtime_error {
  using std::runtime_error::runtime_error;
};

}  // namespace gradus::emulator
