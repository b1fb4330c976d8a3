#pragma once
// For every cell of memory, who wrote and who read it last.

#include <algorithm>
#include <bit>
#include <cstddef>
#include <cstdint>
#include <unordered_map>
#include <vector>

namespace gradus::emulator {

struct Access {
  const void* instruction = nullptr;  // its return address; null: there was none
  std::uint32_t block = 0;            // its number in the grid
  std::uint32_t time = 0;             // of the thread, see Order
  std::uint16_t thread = 0;
  bool is_atomic = false;
};

struct Cell {
  Access write;
  Access reads[2];  // by two warps or blocks if there were two, for a thread's own read hides no race with others
};

/// A cell is 4 bytes or, where memory is accessed in smaller parts, as few as these.
class Shadow {
 public:
  /// Calls f(cell) for every cell of the bytes. What was noted in an earlier era is forgotten.
  template <class F> void for_cells(const void* memory, std::size_t bytes, std::uint64_t era, F&& f) {
    const auto begin = reinterpret_cast<std::uintptr_t>(memory), end = begin + bytes;
    const auto bits = static_cast<unsigned>(std::countr_zero(begin | end | 4));
    for (std::uintptr_t at = begin; at < end;) {
      Page& page = pages_[at / page_bytes];
      if (page.era != era) page.cells.assign(page_bytes >> page.bits, {}), page.era = era;
      if (bits < page.bits) refine(page, bits);
      const std::uintptr_t stop = std::min(end, (at / page_bytes + 1) * page_bytes);
      for (; at < stop; at += std::uintptr_t{1} << page.bits) f(page.cells[at % page_bytes >> page.bits]);
    }
  }

  /// Lets go of what is kept about memory that is freed.
  void forget(const void* memory, std::size_t bytes) {
    const auto begin = reinterpret_cast<std::uintptr_t>(memory);
    for (std::uintptr_t page = begin / page_bytes; page * page_bytes < begin + bytes; ++page) pages_.erase(page);
  }

 private:
  static constexpr std::uintptr_t page_bytes = 1024;
  struct Page {
    std::uint64_t era = 0;
    unsigned bits = 2;  // a cell has 1 << bits bytes
    std::vector<Cell> cells;
  };

  static void refine(Page& page, unsigned bits) {
    std::vector<Cell> cells(page_bytes >> bits);
    for (std::size_t i = 0; i < cells.size(); ++i) cells[i] = page.cells[i >> (page.bits - bits)];
    page.cells = std::move(cells);
    page.bits = bits;
  }

  std::unordered_map<std::uintptr_t, Page> pages_;
};

}  // namespace gradus::emulator
