#pragma once
// Element types. A dtype is a runtime value; code that needs the C++ type gets it from visit().

#include <bit>
#include <cstddef>
#include <cstdint>
#include <limits>
#include <ostream>
#include <string>
#include <type_traits>
#include <utility>

#include "core/host_device.h"

namespace gradus {

/// The upper half of a float: 8 bits of exponent, 7 of mantissa. For storage; arithmetic is done in float.
struct BFloat16 {
  uint16_t bits = 0;
  BFloat16() = default;
  GRADUS_FN BFloat16(float value) {  // round to nearest, ties to even; NaN stays NaN
    const uint32_t word = std::bit_cast<uint32_t>(value);
    bits = value != value ? uint16_t((word >> 16) | 0x40) : uint16_t((word + 0x7fff + ((word >> 16) & 1)) >> 16);
  }
  GRADUS_FN operator float() const { return std::bit_cast<float>(uint32_t(bits) << 16); }
};

enum class Dtype : uint8_t { float32, float64, bfloat16, int64, boolean };

inline constexpr Dtype float32 = Dtype::float32;
inline constexpr Dtype float64 = Dtype::float64;
inline constexpr Dtype bfloat16 = Dtype::bfloat16;
inline constexpr Dtype int64 = Dtype::int64;
inline constexpr Dtype boolean = Dtype::boolean;

/// Calls `f.template operator()<T>()` with the C++ type of `dtype`: `visit(x.dtype(), [&]<class T>() { ... })`.
template <class F> constexpr decltype(auto) visit(Dtype dtype, F&& f) {
  switch (dtype) {
    case Dtype::float32: return f.template operator()<float>();
    case Dtype::float64: return f.template operator()<double>();
    case Dtype::bfloat16: return f.template operator()<BFloat16>();
    case Dtype::int64: return f.template operator()<int64_t>();
    case Dtype::boolean: return f.template operator()<bool>();
  }
  __builtin_unreachable();
}

/// The dtype of a C++ type; every integer type but bool counts as int64.
template <class T> GRADUS_FN constexpr Dtype dtype_of() {
  if constexpr (std::is_same_v<T, float>) return float32;
  else if constexpr (std::is_same_v<T, double>) return float64;
  else if constexpr (std::is_same_v<T, BFloat16>) return bfloat16;
  else if constexpr (std::is_same_v<T, bool>) return boolean;
  else {
    static_assert(std::is_integral_v<T>, "tensors hold float, double, BFloat16, int64_t or bool");
    return int64;
  }
}

/// A value of one element type as another; bfloat16 goes by way of float. A number that no int64 can hold, or a NaN,
/// becomes the smallest int64.
template <class To, class From> GRADUS_FN To convert(From value) {
  if constexpr (std::is_same_v<From, BFloat16>) return convert<To>(float(value));
  else if constexpr (std::is_same_v<To, BFloat16>) return BFloat16(float(value));
  else if constexpr (std::is_same_v<To, bool>) return value != From(0);
  else if constexpr (std::is_same_v<To, int64_t> && std::is_floating_point_v<From>)
    return value >= From(-0x1p63) && value < From(0x1p63) ? static_cast<To>(value) : std::numeric_limits<To>::min();
  else return static_cast<To>(value);
}

constexpr size_t item_size(Dtype dtype) {
  return visit(dtype, [&]<class T>() { return sizeof(T); });
}

GRADUS_FN constexpr bool is_floating_point(Dtype dtype) { return dtype <= Dtype::bfloat16; }

inline std::string to_string(Dtype dtype) {
  constexpr const char* names[] = {"float32", "float64", "bfloat16", "int64", "bool"};
  return names[size_t(dtype)];
}

inline std::ostream& operator<<(std::ostream& out, Dtype dtype) { return out << to_string(dtype); }

/// The dtype that holds the values of both (bool < int64 < bfloat16 < float32 < float64), as in PyTorch.
constexpr Dtype promote(Dtype a, Dtype b) {
  constexpr int rank[] = {3, 4, 2, 1, 0};
  return rank[size_t(a)] >= rank[size_t(b)] ? a : b;
}

}  // namespace gradus
