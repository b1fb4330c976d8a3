#include "ops/resample.h"

#include <memory>

#include "ops/apply.h"

namespace gradus {
namespace {

using Map = std::shared_ptr<const cpu::Taps>;

struct Resample {
  static constexpr Info info{"resample"};
  const char* name;
  int dims;
  Map rows, columns;
  bool is_transposed = false;

  Tensor forward(const Tensor& x) const {
    Shape shape = x.shape();
    shape[x.dim() - 1] = columns->outputs();
    if (dims == 2) shape[x.dim() - 2] = rows->outputs();
    const Tensor y = Tensor::empty(shape, x.dtype(), x.device());
    cpu::resample(*rows, *columns, x, y);
    return y;
  }
  Tensor backward(const Tensor& dy) const {
    const auto transposed = [](const Map& map) { return std::make_shared<const cpu::Taps>(map->transposed()); };
    return apply(Resample{name, dims, transposed(rows), transposed(columns), !is_transposed}, dy);
  }
  std::string formula(std::span<const std::string> names) const {
    return name + std::string(is_transposed ? "ᵀ(" : "(") + names[0] + ")";
  }
};

}  // namespace

Tensor resample(const char* name, const Tensor& x, int dims, cpu::Taps rows, cpu::Taps columns) {
  return apply(Resample{name, dims, std::make_shared<const cpu::Taps>(std::move(rows)),
                        std::make_shared<const cpu::Taps>(std::move(columns))},
               x);
}

void require_images(const Tensor& x, int dims) {
  if (!is_floating_point(x.dtype()))
    fail("x holds " + std::string(to_string(x.dtype())) + "; convert it first: to(x, float32)");
  const int64_t size = x.dim() >= dims ? (dims == 2 ? x.size(-2) : 1) * x.size(-1) : 0;
  if (size == 0)
    fail("x is " + to_string(x.shape()) + "; it must be " +
         (dims == 2 ? "[..., H, W], with H and W" : "[..., L], with L") + " at least 1");
}

cpu::Taps one_to_one() {
  cpu::Taps taps{1};
  taps.add_output(0, 1, 1, 1);
  return taps;
}

}  // namespace gradus
