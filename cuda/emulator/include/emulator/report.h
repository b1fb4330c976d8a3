#pragma once
// What kernels asked of the memory system, line by line. Counted while settings().report is set, for kernels that are
// compiled to be traced.

#include <string>
#include <vector>

namespace gradus::emulator {

enum class Space : unsigned char { global, shared };
enum class Kind : unsigned char { load, store, atomic };

/// Of all requests of one kind in one line; a request is one instruction of a warp. Global memory moves sectors of 32
/// bytes. Shared memory has 32 banks, which give 4 bytes each in a wavefront.
struct LineReport {
  std::string line;  // "kernels.cu:12"
  Space space = Space::global;
  Kind kind = Kind::load;
  long requests = 0;
  long lanes = 0;         // that took part: 32 a request if none was idle
  long parts = 0;         // sectors moved, or wavefronts
  long parts_needed = 0;  // had the bytes lain side by side
  long bytes_needed = 0;  // different ones, of each request
  double parts_per_request() const { return static_cast<double>(parts) / static_cast<double>(requests); }
  double needed_per_request() const { return static_cast<double>(parts_needed) / static_cast<double>(requests); }
  double active_lanes() const { return static_cast<double>(lanes) / (32 * static_cast<double>(requests)); }
};

struct KernelReport {
  std::string kernel;  // "transpose<0>"
  long launches = 0;
  std::vector<LineReport> lines;
  std::string occupancy;  // see occupancy.h; empty unless GRADUS_CUDA_GPU is set
};

std::vector<KernelReport> memory_report();
void clear_memory_report();
/// The report as a table; with GRADUS_CUDA_REPORT in the environment it is printed when the program ends.
std::string to_string(const std::vector<KernelReport>& report);

}  // namespace gradus::emulator
