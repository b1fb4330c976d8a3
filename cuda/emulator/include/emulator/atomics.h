#pragma once
// Atomic operations. They are real ones, for blocks may run on several threads of the operating system. Always inlined,
// they count as accesses of the line that calls them.

#include <cstdint>
#include <cstring>
#include <type_traits>

namespace gradus::emulator {

/// Replaces *address by f(*address) and returns what was there.
template <class T, class F> [[gnu::always_inline]] inline T replace(T* address, F f) {
  using Word = std::conditional_t<sizeof(T) == 8, std::uint64_t,
                                  std::conditional_t<sizeof(T) == 4, std::uint32_t, std::uint16_t>>;
  static_assert(sizeof(T) == sizeof(Word), "CUDA has atomics of 2, 4 and 8 bytes");
  Word* word = reinterpret_cast<Word*>(address);
  Word before = __atomic_load_n(word, __ATOMIC_RELAXED);
  for (;;) {
    T value;
    std::memcpy(static_cast<void*>(&value), &before, sizeof value);
    const T result = f(value);
    Word after;
    std::memcpy(&after, &result, sizeof after);
    if (__atomic_compare_exchange_n(word, &before, after, false, __ATOMIC_RELAXED, __ATOMIC_RELAXED)) return value;
  }
}

// Every operation but addition and exchange is for integers only, as in CUDA.
template <class T> using IfInteger = std::enable_if_t<std::is_integral_v<T>, T>;

}  // namespace gradus::emulator

// The value converts to the type at the address, as it does for CUDA's overloads.
template <class T> [[gnu::always_inline]] inline T atomicAdd(T* address, std::type_identity_t<T> value) {
  return gradus::emulator::replace(address, [value](T old) { return static_cast<T>(old + value); });
}
template <class T> [[gnu::always_inline]] inline T atomicExch(T* address, std::type_identity_t<T> value) {
  return gradus::emulator::replace(address, [value](T) { return value; });
}
template <class T>
[[gnu::always_inline]] inline gradus::emulator::IfInteger<T> atomicSub(T* address, std::type_identity_t<T> value) {
  return gradus::emulator::replace(address, [value](T old) { return static_cast<T>(old - value); });
}
template <class T>
[[gnu::always_inline]] inline gradus::emulator::IfInteger<T> atomicMax(T* address, std::type_identity_t<T> value) {
  return gradus::emulator::replace(address, [value](T old) { return old < value ? value : old; });
}
template <class T>
[[gnu::always_inline]] inline gradus::emulator::IfInteger<T> atomicMin(T* address, std::type_identity_t<T> value) {
  return gradus::emulator::replace(address, [value](T old) { return value < old ? value : old; });
}
template <class T>
[[gnu::always_inline]] inline gradus::emulator::IfInteger<T> atomicAnd(T* address, std::type_identity_t<T> value) {
  return gradus::emulator::replace(address, [value](T old) { return static_cast<T>(old & value); });
}
template <class T>
[[gnu::always_inline]] inline gradus::emulator::IfInteger<T> atomicOr(T* address, std::type_identity_t<T> value) {
  return gradus::emulator::replace(address, [value](T old) { return static_cast<T>(old | value); });
}
template <class T>
[[gnu::always_inline]] inline gradus::emulator::IfInteger<T> atomicXor(T* address, std::type_identity_t<T> value) {
  return gradus::emulator::replace(address, [value](T old) { return static_cast<T>(old ^ value); });
}
template <class T>
[[gnu::always_inline]] inline gradus::emulator::IfInteger<T> atomicCAS(T* address, std::type_identity_t<T> expected,
                                                                       std::type_identity_t<T> value) {
  return gradus::emulator::replace(address, [expected, value](T old) { return old == expected ? value : old; });
}
