// What the machine allows: its peak of multiplications and additions, the bandwidth of each level of its memory, and
// from these the shortest time that each workload can take. Prints JSON.
//   gradus_limits [--threads N]

#include <algorithm>
#include <atomic>
#include <chrono>
#include <cstddef>
#include <fstream>
#include <iostream>
#include <memory>
#include <new>
#include <thread>

#include "benchmarks/costs.h"

namespace {

/// Runs `work` on so many threads, which start together; the seconds from the first start to the last end.
template <class Work> double seconds(int threads, const Work& work) {
  using Clock = std::chrono::steady_clock;
  std::atomic<int> ready{0};
  std::vector<Clock::time_point> start(static_cast<size_t>(threads)), end(start);
  auto body = [&](int thread) {
    ++ready;
    while (ready.load(std::memory_order_relaxed) < threads) continue;
    start[size_t(thread)] = Clock::now();
    work(thread);
    end[size_t(thread)] = Clock::now();
  };
  {
    std::vector<std::jthread> others;
    for (int thread = 1; thread < threads; ++thread) others.emplace_back(body, thread);
    body(0);
  }
  return std::chrono::duration<double>(*std::ranges::max_element(end) - *std::ranges::min_element(start)).count();
}

template <class Work> double shortest_seconds(int threads, int repetitions, const Work& work) {
  double best = seconds(threads, work);
  for (int i = 1; i < repetitions; ++i) best = std::min(best, seconds(threads, work));
  return best;
}

#if defined(__AVX512F__)
constexpr size_t vector_bytes = 64;
#elif defined(__AVX__)
constexpr size_t vector_bytes = 32;
#else
constexpr size_t vector_bytes = 16;
#endif
using Vector [[gnu::vector_size(vector_bytes)]] = float;
constexpr int lanes = vector_bytes / sizeof(float), chains = 12;  // enough to hide how long one operation takes

[[gnu::noinline]] float multiply_add(int64_t count) {
  Vector sums[chains], factor = Vector{} + 1.0000001f, term = Vector{} + 1e-9f;
  for (int i = 0; i < chains; ++i) sums[i] = Vector{} + float(i);
  for (int64_t k = 0; k < count; ++k)
    for (Vector& sum : sums) sum = sum * factor + term;
  for (int i = 1; i < chains; ++i) sums[0] += sums[i];
  return sums[0][0];
}

/// Operations a second, an addition and a multiplication counted as two.
double peak(int threads) {
  constexpr int64_t count = 2'000'000;
  std::atomic<float> result;
  const double time = shortest_seconds(threads, 15, [&](int) { result = multiply_add(count); });
  return threads * count * chains * lanes * 2. / time;
}

[[gnu::noinline]] void triad(float* a, const float* b, const float* c, size_t count) {
  for (size_t i = 0; i < count; ++i) a[i] = b[i] + 3 * c[i];
}

/// The bytes a second of `a = b + 3c` (McCalpin's STREAM), on so many bytes for each thread.
double bandwidth(int threads, double bytes_each, int repetitions, int passes) {
  constexpr auto alignment = std::align_val_t(64);
  struct Free {
    void operator()(float* memory) const { ::operator delete[](memory, alignment); }
  };
  const size_t count = size_t(bytes_each) / (3 * sizeof(float));
  std::vector<std::unique_ptr<float[], Free>> arrays;
  for (int i = 0; i < 3 * threads; ++i) arrays.emplace_back(new (alignment) float[count]);
  auto array = [&](int thread, int i) { return arrays[size_t(3 * thread + i)].get(); };
  seconds(threads, [&](int thread) {
    for (int i = 0; i < 3; ++i) std::fill_n(array(thread, i), count, float(i));
  });
  const double time = shortest_seconds(threads, repetitions, [&](int thread) {
    for (int pass = 0; pass < passes; ++pass) {
      triad(array(thread, 0), array(thread, 1), array(thread, 2), count);
      asm volatile("" : : : "memory");
    }
  });
  return threads * double(count) * 3 * sizeof(float) * passes / time;
}

/// The size of a cache as Linux tells it ("512K").
double cache_bytes(int level, double otherwise) {
  for (int index = 0; index < 8; ++index) {
    const std::string folder = "/sys/devices/system/cpu/cpu0/cache/index" + std::to_string(index) + "/";
    std::ifstream level_file(folder + "level"), size_file(folder + "size");
    int found = 0;
    double kilobytes = 0;
    if (level_file >> found && found == level && size_file >> kilobytes) return kilobytes * 1024;
  }
  return otherwise;
}

}  // namespace

int main(int argc, char** argv) {
  const int threads = argc == 3 && std::string(argv[1]) == "--threads" ? std::max(1, std::atoi(argv[2])) : 1;
  const double second = threads * cache_bytes(2, 1 << 20), third = cache_bytes(3, 32 << 20);
  const double operations = peak(threads);
  // A part of each cache, so that it stays there; of DRAM, far more than the caches hold.
  const double from_second = bandwidth(threads, 0.75 * second / threads, 15, 400),
               from_third = bandwidth(threads, std::min(0.3 * third, 9. * (1 << 20)) / threads, 15, 20),
               from_memory = bandwidth(threads, 768. * (1 << 20) / threads, 7, 1);
  std::cout << "{\"threads\": " << threads << ", \"gflops\": " << operations / 1e9
            << ", \"l2_gbs\": " << from_second / 1e9 << ", \"l3_gbs\": " << from_third / 1e9
            << ", \"dram_gbs\": " << from_memory / 1e9 << ",\n \"limit_us\": {";
  const char* separator = "\n";
  for (const workloads::Cost& cost : workloads::costs()) {
    const double rate = cost.working_set <= second ? from_second : cost.working_set <= third ? from_third : from_memory;
    std::cout << separator << "  \"" << cost.name
              << "\": " << 1e6 * std::max(cost.operations / operations, cost.bytes / rate);
    separator = ",\n";
  }
  std::cout << "}}\n";
}
