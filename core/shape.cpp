#include "core/shape.h"

#include <algorithm>

#include "core/error.h"

namespace gradus {

void Shape::too_many() { fail("a tensor has at most " + std::to_string(max_dims) + " dimensions"); }

void Shape::insert(int at, int64_t size) {
  push_back(size);
  std::rotate(sizes_ + at, sizes_ + dim_ - 1, sizes_ + dim_);
}

void Shape::erase(int at) {
  std::copy(sizes_ + at + 1, sizes_ + dim_, sizes_ + at);
  --dim_;
}

std::string to_string(const Shape& shape) {
  std::string text = "[";
  for (int i = 0; i < shape.dim(); ++i) text += (i ? ", " : "") + std::to_string(shape[i]);
  return text + ']';
}

bool is_contiguous(const Shape& shape, const Strides& strides) {
  int64_t step = 1;
  for (int i = shape.dim() - 1; i >= 0; --i) {
    if (shape[i] == 0) return true;
    if (shape[i] != 1 && strides[i] != step) return false;
    step *= shape[i];
  }
  return true;
}

Shape broadcast_shapes(const Shape& a, const Shape& b) {
  Shape result = a.dim() >= b.dim() ? a : b;
  const int shift_a = result.dim() - a.dim(), shift_b = result.dim() - b.dim();
  for (int i = 0; i < result.dim(); ++i) {
    const int64_t size_a = i < shift_a ? 1 : a[i - shift_a], size_b = i < shift_b ? 1 : b[i - shift_b];
    if (size_a != size_b && size_a != 1 && size_b != 1)
      fail("cannot broadcast " + to_string(a) + " with " + to_string(b) + "; dimension " + std::to_string(i) + " is " +
           std::to_string(size_a) + " on the left and " + std::to_string(size_b) + " on the right");
    result[i] = size_a == 1 ? size_b : size_a;
  }
  return result;
}

Shape coordinates(Shape shape, int64_t position) {
  for (int i = shape.dim() - 1; i >= 0; --i) {
    const int64_t size = shape[i];
    shape[i] = position % size;
    position /= size;
  }
  return shape;
}

int normalize_dim(int64_t dim, int dims) {
  if (dim < -dims || dim >= dims)
    fail("there is no dimension " + std::to_string(dim) + " in a tensor of " + std::to_string(dims) +
         (dims == 1 ? " dimension" : " dimensions"));
  return int(dim < 0 ? dim + dims : dim);
}

}  // namespace gradus
