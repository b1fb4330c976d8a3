#pragma once
// Sizes and strides: short lists of integers that never touch the heap.

#include <concepts>
#include <cstdint>
#include <initializer_list>
#include <ostream>
#include <span>
#include <string>

namespace gradus {

/// The sizes of a tensor's dimensions, outermost first; `[]` is a scalar. At most 8 dimensions.
class Shape {
 public:
  static constexpr int max_dims = 8;

  constexpr Shape() {}
  constexpr Shape(const Shape& other) { *this = other; }
  // Size by size: copied as one wide word, sizes just written would have to leave the store buffer first (10 ns).
  constexpr Shape& operator=(const Shape& other) {
    dim_ = other.dim_;
    for (int i = 0; i < dim_; ++i) sizes_[i] = other.sizes_[i];
    return *this;
  }
  constexpr Shape(std::initializer_list<int64_t> sizes) : Shape(std::span(sizes.begin(), sizes.size())) {}
  /// From a span, a vector or an array.
  template <std::convertible_to<std::span<const int64_t>> Sizes> constexpr Shape(const Sizes& sizes) {
    for (int64_t size : std::span<const int64_t>(sizes)) push_back(size);
  }

  constexpr int dim() const { return dim_; }
  constexpr int64_t operator[](int i) const { return sizes_[i]; }
  constexpr int64_t& operator[](int i) { return sizes_[i]; }
  constexpr const int64_t* begin() const { return sizes_; }
  constexpr const int64_t* end() const { return sizes_ + dim_; }
  constexpr int64_t back() const { return sizes_[dim_ - 1]; }
  constexpr bool empty() const { return dim_ == 0; }

  constexpr void push_back(int64_t size) {
    if (dim_ == max_dims) too_many();
    sizes_[dim_++] = size;
  }
  void insert(int at, int64_t size);
  void erase(int at);

  /// The number of elements: the product of the sizes, 1 for a scalar.
  constexpr int64_t numel() const {
    int64_t n = 1;
    for (int i = 0; i < dim_; ++i) n = int64_t(uint64_t(n) * uint64_t(sizes_[i]));  // wraps for an absurd shape
    return n;
  }

  constexpr bool operator==(const Shape& other) const {
    if (dim_ != other.dim_) return false;
    for (int i = 0; i < dim_; ++i)
      if (sizes_[i] != other.sizes_[i]) return false;
    return true;
  }

 private:
  [[noreturn, gnu::cold]] static void too_many();
  int dim_ = 0;
  int64_t sizes_[max_dims];
};

/// How many elements apart neighbours along each dimension lie in memory.
using Strides = Shape;

/// "[64, 784]"
std::string to_string(const Shape& shape);
inline std::ostream& operator<<(std::ostream& out, const Shape& shape) { return out << to_string(shape); }

/// Strides of a tensor laid out row by row without gaps.
constexpr Strides contiguous_strides(const Shape& shape) {
  Strides strides = shape;
  int64_t step = 1;
  for (int i = shape.dim() - 1; i >= 0; --i) {
    strides[i] = step;
    step = int64_t(uint64_t(step) * uint64_t(shape[i]));  // wraps for an absurd shape with a zero before it
  }
  return strides;
}

bool is_contiguous(const Shape& shape, const Strides& strides);

/// The shape both broadcast to by NumPy's rule; fails with both shapes and the dimension that does not fit.
Shape broadcast_shapes(const Shape& a, const Shape& b);

/// The index of the element at a position counted row by row.
Shape coordinates(Shape shape, int64_t position);

/// Turns a dimension counted from either end (-1 is the last) into 0 … dim-1; fails if there is no such dimension.
int normalize_dim(int64_t dim, int dims);

}  // namespace gradus
