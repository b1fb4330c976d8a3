#include "core/allocator.h"

#include <doctest/doctest.h>

#include <algorithm>
#include <cstdlib>
#include <cstring>
#include <set>
#include <thread>

#include "ops/activation.h"
#include "ops/arithmetic.h"
#include "ops/assign.h"
#include "ops/create.h"
#include "ops/matmul.h"
#include "ops/reduce.h"
#include "ops/view.h"
#include "tests/checks.h"

using namespace gradus;

namespace {

// With GRADUS_ALLOCATOR=system nothing is kept for reuse.
bool caching() { return !std::getenv("GRADUS_ALLOCATOR"); }

const std::vector<size_t> sizes = {0,    1,    63,    64,      65,      100,           128,     129,    1000,
                                   4096, 8191, 10000, 1 << 16, 1 << 18, (1 << 21) - 1, 1 << 21, 5000000};

}  // namespace

TEST_CASE("allocator: blocks are aligned, large enough, and do not overlap") {
  std::vector<unsigned char*> blocks;
  for (int round = 0; round < 3; ++round)
    for (size_t bytes : sizes) {
      auto* block = static_cast<unsigned char*>(allocate(bytes));
      CHECK(reinterpret_cast<uintptr_t>(block) % 64 == 0);
      std::memset(block, int(blocks.size()), bytes);
      blocks.push_back(block);
    }
  for (size_t i = 0; i < blocks.size(); ++i) {
    const size_t bytes = sizes[i % sizes.size()];
    CHECK(std::all_of(blocks[i], blocks[i] + bytes, [&](unsigned char c) { return c == i; }));
    deallocate(blocks[i], bytes);
  }
}

TEST_CASE("allocator: a freed block is used again for a similar size") {
  if (!caching()) return;
  for (size_t bytes : sizes) {
    void* block = allocate(bytes);
    deallocate(block, bytes);
    const AllocatorStatistics before = allocator_statistics();
    void* again = allocate(bytes);
    CHECK(again == block);
    CHECK(allocator_statistics().system_allocations == before.system_allocations);
    CHECK(allocator_statistics().bytes_in_use > before.bytes_in_use);
    deallocate(again, bytes);
    CHECK(allocator_statistics().bytes_in_use == before.bytes_in_use);
    CHECK(allocator_statistics().bytes_reserved == before.bytes_reserved);
  }
}

TEST_CASE("allocator: blocks are freed by other threads than those that asked for them") {
  for (int round = 0; round < 20; ++round) {
    std::vector<void*> blocks(1000);
    std::jthread([&] {
      for (size_t i = 0; i < blocks.size(); ++i) std::memset(blocks[i] = allocate(1 + 20 * i), 1, 1 + 20 * i);
    }).join();
    std::vector<std::jthread> threads;
    for (size_t part = 0; part < 2; ++part)
      threads.emplace_back([&, part] {
        for (size_t i = part; i < blocks.size(); i += 2) deallocate(blocks[i], 1 + 20 * i);
      });
    threads.clear();
    const std::set<void*> distinct(blocks.begin(), blocks.end());
    CHECK(distinct.size() == blocks.size());
    if (round == 0) continue;
    static int64_t steady = allocator_statistics().system_allocations;
    if (caching()) CHECK(allocator_statistics().system_allocations <= steady + 1);
  }
}

TEST_CASE("allocator: a steady training loop asks the system for nothing") {
  if (!caching()) return;
  const checks::NoLeaks no_leaks;
  const Tensor x = rand({64, 100}), w = rand({100, 30}).requires_grad();
  int64_t asked = 0, in_use = 0;
  for (int step = 0; step < 30; ++step) {
    mean(square(tanh(matmul(x, w)))).backward();
    {
      const NoGrad off;
      assign(w, w - w.grad() * 0.1);
    }
    w.set_grad({});
    if (step == 2) asked = allocator_statistics().system_allocations, in_use = allocator_statistics().bytes_in_use;
  }
  CHECK(allocator_statistics().system_allocations == asked);
  CHECK(allocator_statistics().bytes_in_use == in_use);
}

TEST_CASE("allocator: absurd sizes are errors, not crashes") {
  using checks::error_here;
  CHECK(error_here([] { allocate(size_t(1) << 60); }) == "out of memory: cannot allocate 1152921504606846976 bytes");
  CHECK(error_here([] {
          zeros({int64_t(1) << 40, int64_t(1) << 40});
        }) == "out of memory: cannot allocate a tensor of shape [1099511627776, 1099511627776]");
  const Tensor repeated = expand(zeros({1, 1}), {int64_t(1) << 31, int64_t(1) << 31});  // takes no memory
  CHECK(error_here([&] { clone(repeated); }) ==
        "clone: out of memory: cannot allocate a tensor of shape [2147483648, 2147483648] (here)");
  CHECK(error_here([] { zeros({int64_t(1) << 45}); }) == "out of memory: cannot allocate 140737488355392 bytes");
}
