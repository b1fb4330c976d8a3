#include "emulator/warp.h"

#include <algorithm>

#include "block.h"

namespace gradus::emulator {

int lane() { return static_cast<int>(current->number % 32); }

void warp_barrier(unsigned mask, Site where) { current->block->meet(mask, 0, "__syncwarp", where); }

std::uint64_t shuffle(unsigned mask, std::uint64_t value, int source, int width, const char* operation, Site where) {
  const std::uint64_t* values = current->block->meet(mask, value, operation, where);
  const int first = lane() & ~(width - 1);
  if (source < first || source >= first + width) return value;
  if (!(mask >> source & 1)) {
    std::string what = operation;
    what += " reads lane " + std::to_string(source) + ", which is not in the mask " + hexadecimal(mask) + " (" +
            to_string(where) + ")";
    current->block->fail(std::move(what));
  }
  return values[source];
}

int gather(unsigned mask, std::uint64_t value, std::uint64_t* gathered, const char* operation, Site where) {
  const std::uint64_t* values = current->block->meet(mask, value, operation, where);
  int count = 0;
  for (int i = 0; i < 32; ++i)
    if (mask >> i & 1) gathered[count++] = values[i];
  return count;
}

unsigned ballot(unsigned mask, bool predicate, const char* operation, Site where) {
  const std::uint64_t* values = current->block->meet(mask, predicate, operation, where);
  unsigned result = 0;
  for (int i = 0; i < 32; ++i)
    if (mask >> i & 1 && values[i]) result |= 1u << i;
  return result;
}

unsigned match_any(unsigned mask, std::uint64_t value, Site where) {
  const std::uint64_t* values = current->block->meet(mask, value, "__match_any_sync", where);
  unsigned result = 0;
  for (int i = 0; i < 32; ++i)
    if (mask >> i & 1 && values[i] == value) result |= 1u << i;
  return result;
}

}  // namespace gradus::emulator
