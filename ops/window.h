#pragma once
// Heights and widths of the windows that convolutions and pooling move over an image.

#include <cstdint>
#include <ostream>

namespace gradus {

/// A height and a width: one number for both, or {height, width}. In one dimension only a single number makes sense.
struct Size2d {
  int64_t height, width;
  constexpr Size2d(int64_t both) : height(both), width(both) {}
  constexpr Size2d(int64_t h, int64_t w) : height(h), width(w) {}
  bool operator==(const Size2d&) const = default;
};

/// How many zeros surround an image: so many on both sides, or as many as make the output as large as the input (if the
/// number is odd, the last goes to the bottom and the right).
struct Padding {
  Size2d size;
  bool is_same = false;
  constexpr Padding(int64_t both) : size(both) {}
  constexpr Padding(int64_t h, int64_t w) : size(h, w) {}
  constexpr Padding(Size2d each) : size(each) {}
  static const Padding same;

 private:
  struct Same {};
  constexpr explicit Padding(Same) : size(0), is_same(true) {}
};
inline constexpr Padding Padding::same{Padding::Same{}};

inline std::ostream& operator<<(std::ostream& out, Size2d size) {
  if (size.height == size.width) return out << size.width;
  return out << '{' << size.height << ", " << size.width << '}';
}
inline std::ostream& operator<<(std::ostream& out, const Padding& padding) {
  return padding.is_same ? out << "same" : out << padding.size;
}

}  // namespace gradus
