#include "requests.h"

#include <algorithm>
#include <bit>
#include <numeric>

namespace gradus::emulator {

Requests& requests() {
  static Requests& requests = *new Requests;  // never destroyed: the report is printed when all else is
  return requests;
}

void Requests::begin_launch(const void* kernel, std::size_t threads, std::size_t dynamic_shared) {
  kernel_ = &kernels_[kernel];
  ++kernel_->launches;
  kernel_->block = std::max(kernel_->block, {threads, dynamic_shared});
}

void Requests::begin_block(std::size_t threads) {
  warps_.assign((threads + 31) / 32, {});
  for (std::size_t i = 0; i < threads; ++i) warps_[i / 32].lanes |= 1u << i % 32;
}

void Requests::add(unsigned thread, const Access& access) {
  Instruction& instruction = warps_[thread / 32].instructions[{access.instruction, access.space}];
  instruction.kind = access.kind;
  const std::uint32_t k = instruction.executed[thread % 32]++;
  if (k >= instruction.requests.size()) instruction.requests.resize(k + 1);
  Request& request = instruction.requests[k];
  request.lanes |= 1u << thread % 32;
  request.bytes = access.bytes;
  request.addresses[thread % 32] = reinterpret_cast<std::uintptr_t>(access.address);
}

void Requests::meet(unsigned warp, unsigned mask) {
  if ((warps_[warp].lanes & ~mask) == 0) count_and_clear(warps_[warp]);
}

void Requests::barrier() {
  for (Warp& warp : warps_) count_and_clear(warp);
}

void Requests::leave(unsigned thread) {
  Warp& warp = warps_[thread / 32];
  warp.lanes &= ~(1u << thread % 32);
  if (warp.lanes == 0) count_and_clear(warp);
}

void Requests::count_and_clear(Warp& warp) {
  for (auto& [place, instruction] : warp.instructions) {
    LineReport& counts = kernel_->counts[place];
    counts.space = place.second;
    counts.kind = instruction.kind;
    for (const Request& request : instruction.requests) {
      ++counts.requests;
      counts.lanes += std::popcount(request.lanes);
      if (counts.space == Space::global) count_sectors(request, counts);
      else count_wavefronts(request, counts);
    }
  }
  warp.instructions.clear();
}

namespace {

struct Bytes {
  std::uintptr_t begin, end;
};

// What lanes begin, …, end - 1 of a request access, in the order of addresses and each byte once.
template <class Request> std::vector<Bytes> bytes_of(const Request& request, unsigned begin, unsigned end) {
  std::vector<Bytes> all;
  for (unsigned lane = begin; lane < end; ++lane)
    if (request.lanes >> lane & 1) all.push_back({request.addresses[lane], request.addresses[lane] + request.bytes});
  std::sort(all.begin(), all.end(), [](Bytes a, Bytes b) { return a.begin < b.begin; });
  std::uintptr_t covered = 0;
  for (Bytes& bytes : all) {
    bytes.begin = std::max(bytes.begin, covered);
    covered = bytes.end = std::max(bytes.end, covered);
  }
  std::erase_if(all, [](Bytes bytes) { return bytes.begin == bytes.end; });
  return all;
}

long sum_of(const std::vector<Bytes>& all) {
  return std::accumulate(all.begin(), all.end(), 0L,
                         [](long sum, Bytes bytes) { return sum + static_cast<long>(bytes.end - bytes.begin); });
}

// Calls f(i) once for each unit of `size` bytes that is touched.
template <class F> void for_units(const std::vector<Bytes>& all, std::uintptr_t size, F&& f) {
  std::uintptr_t next = 0;
  for (const Bytes bytes : all)
    for (next = std::max(next, bytes.begin / size); next * size < bytes.end; ++next) f(next);
}

}  // namespace

void Requests::count_sectors(const Request& request, LineReport& counts) {
  const auto bytes = bytes_of(request, 0, 32);
  for_units(bytes, 32, [&](std::uintptr_t) { ++counts.parts; });
  counts.bytes_needed += sum_of(bytes);
  counts.parts_needed += (sum_of(bytes) + 31) / 32;
}

// All lanes are served at once if each accesses 4 bytes at most; else half of a warp at a time, or a quarter. A bank
// gives one word in a wavefront, to as many lanes as want that.
void Requests::count_wavefronts(const Request& request, LineReport& counts) {
  const unsigned together = request.bytes <= 4 ? 32 : request.bytes <= 8 ? 16 : 8;
  for (unsigned lane = 0; lane < 32; lane += together) {
    const auto bytes = bytes_of(request, lane, lane + together);
    if (bytes.empty()) continue;
    std::array<long, 32> words{};  // of each bank
    for_units(bytes, 4, [&](std::uintptr_t word) { ++words[word % 32]; });
    counts.parts += *std::max_element(words.begin(), words.end());
    counts.parts_needed += 1;
    counts.bytes_needed += sum_of(bytes);
  }
}

}  // namespace gradus::emulator
