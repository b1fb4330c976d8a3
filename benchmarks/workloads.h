#pragma once
// What the benchmarks of Gradus and of libtorch share: the shapes, the way of measuring, and the command line.

#include <benchmark/benchmark.h>

#include <cstdio>
#include <cstdlib>
#include <cstring>
#include <functional>
#include <string>

namespace workloads {

constexpr int chain_length = 1000;  // operations; so microseconds a chain are nanoseconds an operation
constexpr int batch = 64, batches = 16, pixels = 784, hidden1 = 256, hidden2 = 128, classes = 10;

using Work = std::function<void()>;

/// Measures the work that `prepare` returns, under the name of a workload.
inline void add(const std::string& name, std::function<Work()> prepare) {
  auto measure = [prepare](benchmark::State& state) {
    Work work = prepare();
    work();  // the first time touches fresh memory
    for (auto _ : state) work();
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

/// Runs what was added, as Google Benchmark's flags say.
inline int run(int argc, char** argv) {
  benchmark::Initialize(&argc, argv);
  if (benchmark::ReportUnrecognizedArguments(argc, argv)) return 1;
  benchmark::RunSpecifiedBenchmarks();
  benchmark::Shutdown();
  return 0;
}

}  // namespace workloads
