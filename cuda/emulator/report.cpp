// The report on memory: the counts of all instructions of a line together, and as a table.

#include "emulator/report.h"

#include <algorithm>
#include <cstdio>
#include <tuple>

#include "emulator/emulator.h"
#include "emulator/occupancy.h"
#include "requests.h"
#include "source.h"

namespace gradus::emulator {

// Instances of a template for different types may have the same name; so may those of a kernel in different libraries.
std::vector<KernelReport> memory_report() {
  std::vector<const void*> instructions, functions;
  for (const auto& [function, kernel] : requests().kernels_) {
    functions.push_back(function);
    for (const auto& [place, counts] : kernel.counts) instructions.push_back(place.first);
  }
  look_up_lines(instructions);
  look_up_functions(functions);
  using Line = std::tuple<std::string, Space, Kind>;
  struct Merged {
    long launches = 0;
    std::pair<std::size_t, std::size_t> block;
    std::map<Line, LineReport> lines;
  };
  std::map<std::string, Merged> merged;
  for (const auto& [function, kernel] : requests().kernels_) {
    auto& [launches, block, lines] = merged[function_name(function)];
    launches += kernel.launches;
    block = std::max(block, kernel.block);
    for (const auto& [place, counts] : kernel.counts) {
      const std::string where = source_line(place.first);
      LineReport& line = lines[{where, counts.space, counts.kind}];
      line.line = where;
      line.space = counts.space;
      line.kind = counts.kind;
      line.requests += counts.requests;
      line.lanes += counts.lanes;
      line.parts += counts.parts;
      line.parts_needed += counts.parts_needed;
      line.bytes_needed += counts.bytes_needed;
    }
  }
  const auto resources = read_resources(settings().registers);
  std::vector<KernelReport> report;
  for (auto& [name, kernel] : merged) {
    report.push_back({name, kernel.launches, {}, {}});
    for (auto& [key, line] : kernel.lines) report.back().lines.push_back(std::move(line));
    if (settings().gpu.empty()) continue;
    const auto found = resources.find(name);
    report.back().occupancy =
        found == resources.end()
            ? "unknown: the file '" + settings().registers + "' does not have the kernel"
            : occupancy(settings().gpu, found->second, static_cast<int>(kernel.block.first), kernel.block.second);
  }
  return report;
}

void clear_memory_report() { requests().kernels_.clear(); }

namespace {

std::string bytes_text(double bytes) {
  const char* unit = "B";
  for (const char* larger : {"KiB", "MiB", "GiB"}) {
    if (bytes < 10000) break;
    bytes /= 1024;
    unit = larger;
  }
  char text[32];
  std::snprintf(text, sizeof text, "%.0f %s", bytes, unit);
  return text;
}

}  // namespace

std::string to_string(const std::vector<KernelReport>& report) {
  static constexpr const char* kinds[] = {"load", "store", "atomic"};
  std::string text;
  char row[512];
  for (const KernelReport& kernel : report) {
    text += "\n" + kernel.kernel + ": " + std::to_string(kernel.launches) +
            (kernel.launches == 1 ? " launch" : " launches") + "\n";
    if (!kernel.occupancy.empty()) text += "  occupancy " + kernel.occupancy + "\n";
    std::snprintf(row, sizeof row, "  %-40s %-14s %9s %21s %7s %7s %10s %10s\n", "line", "access", "requests",
                  "per request", "least", "lanes", "moved", "needed");
    text += row;
    for (const LineReport& line : kernel.lines) {
      const bool global = line.space == Space::global;
      const std::string access = std::string(global ? "global " : "shared ") + kinds[static_cast<int>(line.kind)];
      std::snprintf(row, sizeof row, "  %-40s %-14s %9ld %10.2f %-10s %7.2f %5.1f %% %10s %10s\n", line.line.c_str(),
                    access.c_str(), line.requests, line.parts_per_request(), global ? "sectors" : "wavefronts",
                    line.needed_per_request(), 100 * line.active_lanes(),
                    global ? bytes_text(32.0 * static_cast<double>(line.parts)).c_str() : "",
                    bytes_text(static_cast<double>(line.bytes_needed)).c_str());
      text += row;
    }
  }
  return text;
}

}  // namespace gradus::emulator
