#pragma once
// What the benchmarks of Gradus and of libtorch share: the shapes, the way of measuring, and the command line.

#include <benchmark/benchmark.h>

#include <cstdint>
#include <cstdio>
#include <cstdlib>
#include <cstring>
#include <fstream>
#include <functional>
#include <string>

#include "benchmarks/shapes.h"

namespace workloads {

/// What is measured, ready to run.
struct Work {
  std::function<double()> step;  ///< does it once; returns its loss, or 0 if it has none
  int64_t parameters = 0;        ///< how many numbers are trained
};

/// A figure of /proc/self/status in megabytes: "VmRSS", the memory in use, or "VmHWM", the most since it was reset.
inline double memory_mb(const std::string& name) {
  std::ifstream status("/proc/self/status");
  for (std::string line; std::getline(status, line);)
    if (line.starts_with(name + ":")) return std::atof(line.c_str() + name.size() + 1) / 1024;
  return 0;
}
inline void reset_most_memory() { std::ofstream("/proc/self/clear_refs") << 5; }

/// The work that is being measured; the repetitions of a measurement share it.
struct Current {
  std::string name;
  Work work;
  double memory_before = 0, first_loss = 0;
};
inline Current& current() {
  static Current one;
  return one;
}

/// Measures the work that `prepare` returns, under the name of a workload. Beside the time stand the number of
/// parameters, the first loss, and by how many megabytes the process had grown at most (grown_mb).
inline void add(const std::string& name, std::function<Work()> prepare) {
  auto measure = [=](benchmark::State& state) {
    Current& now = current();
    if (now.name != name) {
      now = {};
      now = {name, prepare()};
      now.memory_before = memory_mb("VmRSS");
      reset_most_memory();
      now.first_loss = now.work.step();  // touches fresh memory
      now.work.step();
    }
    for (auto _ : state) now.work.step();
    state.counters["grown_mb"] = memory_mb("VmHWM") - now.memory_before;
    if (now.work.parameters == 0) return;
    state.counters["parameters"] = double(now.work.parameters);
    state.counters["first_loss"] = now.first_loss;
  };
  benchmark::RegisterBenchmark(name.c_str(), measure)->Unit(benchmark::kMicrosecond)->UseRealTime();
}

/// Removes `--threads N` or `--threads=N` from the arguments. The default is 1.
inline int take_threads(int& argc, char** argv) {
  int threads = 1, kept = 1;
  for (int i = 1; i < argc; ++i) {
    if (!std::strcmp(argv[i], "--threads") && i + 1 < argc) {
      threads = std::atoi(argv[++i]);
    } else if (!std::strncmp(argv[i], "--threads=", 10)) {
      threads = std::atoi(argv[i] + 10);
    } else {
      argv[kept++] = argv[i];
    }
  }
  argc = kept;
  return threads;
}

// Each side defines these.
void add_dispatch();
void add_networks();
void add_recurrent();
void add_gpt();
void add_operations();

/// Measures every workload, or those that Google Benchmark's flags choose.
inline int run(int argc, char** argv) {
  add_dispatch();
  add_networks();
  add_recurrent();
  add_gpt();
  add_operations();
  benchmark::Initialize(&argc, argv);
  if (benchmark::ReportUnrecognizedArguments(argc, argv)) return 1;
  benchmark::RunSpecifiedBenchmarks();
  current() = {};
  benchmark::Shutdown();
  return 0;
}

}  // namespace workloads
