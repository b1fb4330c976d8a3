#pragma once
// Shuffles, votes and reductions: the lanes named in a mask meet, and each sees what the others brought.

#include <bit>
#include <cstdint>
#include <cstring>
#include <type_traits>

#include "thread.h"

namespace gradus::emulator {

/// The value that lane `source` of this warp brought; the lane's own if `source` lies outside [first, first + width).
std::uint64_t shuffle(unsigned mask, std::uint64_t value, int source, int width, const char* operation, Site where);
/// One bit for every lane in `mask` whose predicate holds.
unsigned ballot(unsigned mask, bool predicate, const char* operation, Site where);
/// One bit for every lane in `mask` that brought the same value.
unsigned match_any(unsigned mask, std::uint64_t value, Site where);
/// The values that the lanes in `mask` brought; `values` has room for 32. Returns how many.
int gather(unsigned mask, std::uint64_t value, std::uint64_t* values, const char* operation, Site where);
int lane();

/// A value of at most 8 bytes as 8 bytes, and back.
template <class T> std::uint64_t to_bits(T value) {
  static_assert(sizeof(T) <= 8 && std::is_trivially_copyable_v<T>, "lanes exchange numbers of at most 8 bytes");
  std::uint64_t bits = 0;
  std::memcpy(&bits, &value, sizeof value);
  return bits;
}
template <class T> T from_bits(std::uint64_t bits) {
  T value;
  std::memcpy(static_cast<void*>(&value), &bits, sizeof value);
  return value;
}

template <class T, class F> T warp_reduce(unsigned mask, T value, F f, const char* operation, Site where) {
  std::uint64_t values[32];
  const int count = gather(mask, to_bits(value), values, operation, where);
  T result = from_bits<T>(values[0]);
  for (int i = 1; i < count; ++i) result = f(result, from_bits<T>(values[i]));
  return result;
}

}  // namespace gradus::emulator

#define GRADUS_SHUFFLE(name, Distance, source)                                                           \
  template <class T> T name(unsigned mask, T value, Distance distance, int width = 32,                   \
                            gradus::emulator::Site where = gradus::emulator::Site::here()) {             \
    const int lane = gradus::emulator::lane();                                                           \
    return gradus::emulator::from_bits<T>(                                                               \
        gradus::emulator::shuffle(mask, gradus::emulator::to_bits(value), source, width, #name, where)); \
  }
// Where a shuffle would leave the segment of `width` lanes, CUDA gives the lane its own value back.
GRADUS_SHUFFLE(__shfl_sync, int, (lane & ~(width - 1)) + (distance & (width - 1)))
GRADUS_SHUFFLE(__shfl_up_sync, unsigned, lane - static_cast<int>(distance))
GRADUS_SHUFFLE(__shfl_down_sync, unsigned, lane + static_cast<int>(distance))
GRADUS_SHUFFLE(__shfl_xor_sync, int, lane ^ distance)
#undef GRADUS_SHUFFLE

inline unsigned __ballot_sync(unsigned mask, int predicate,
                              gradus::emulator::Site where = gradus::emulator::Site::here()) {
  return gradus::emulator::ballot(mask, predicate != 0, "__ballot_sync", where);
}
inline int __any_sync(unsigned mask, int predicate, gradus::emulator::Site where = gradus::emulator::Site::here()) {
  return gradus::emulator::ballot(mask, predicate != 0, "__any_sync", where) != 0;
}
inline int __all_sync(unsigned mask, int predicate, gradus::emulator::Site where = gradus::emulator::Site::here()) {
  return gradus::emulator::ballot(mask, predicate == 0, "__all_sync", where) == 0;
}
template <class T>
unsigned __match_any_sync(unsigned mask, T value, gradus::emulator::Site where = gradus::emulator::Site::here()) {
  return gradus::emulator::match_any(mask, gradus::emulator::to_bits(value), where);
}
template <class T>
T __reduce_add_sync(unsigned mask, T value, gradus::emulator::Site where = gradus::emulator::Site::here()) {
  static_assert(std::is_integral_v<T>, "CUDA reduces integers only");
  return gradus::emulator::warp_reduce(
      mask, value, [](T a, T b) { return a + b; }, "__reduce_add_sync", where);
}
template <class T>
T __reduce_max_sync(unsigned mask, T value, gradus::emulator::Site where = gradus::emulator::Site::here()) {
  static_assert(std::is_integral_v<T>, "CUDA reduces integers only");
  return gradus::emulator::warp_reduce(
      mask, value, [](T a, T b) { return a < b ? b : a; }, "__reduce_max_sync", where);
}
template <class T>
T __reduce_min_sync(unsigned mask, T value, gradus::emulator::Site where = gradus::emulator::Site::here()) {
  static_assert(std::is_integral_v<T>, "CUDA reduces integers only");
  return gradus::emulator::warp_reduce(
      mask, value, [](T a, T b) { return b < a ? b : a; }, "__reduce_min_sync", where);
}
