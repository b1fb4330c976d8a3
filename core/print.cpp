#include <algorithm>
#include <cmath>
#include <cstdio>
#include <string>

#include "core/tensor.h"

namespace gradus {

PrintOptions& print_options() {
  static thread_local PrintOptions options;
  return options;
}

namespace {

// Prints in NumPy's layout: columns aligned, rows of inner dimensions below each other, long dimensions by their edges.
class Printer {
 public:
  Printer(std::ostream& out, const Tensor& tensor)
      : out_(out), tensor_(tensor), shortened_(tensor.numel() > print_options().threshold) {
    visit_shown(0, 0, [&](int64_t index) { choose_style(tensor_.at(index)); });
    visit_shown(0, 0, [&](int64_t index) { width_ = std::max(width_, format(index).size()); });
  }

  void print(int dim, int64_t index) {
    if (dim == tensor_.dim()) {
      const std::string text = format(index);
      out_ << std::string(width_ - text.size(), ' ') << text;
      return;
    }
    out_ << '[';
    bool first = true;
    for_shown(dim, [&](int64_t i) {
      if (!first) separate(dim);
      first = false;
      if (i < 0) out_ << "...";
      else print(dim + 1, index * tensor_.shape()[dim] + i);
    });
    out_ << ']';
  }

 private:
  template <class F> void for_shown(int dim, F&& f) const {  // f(-1) stands for what is left out
    const int64_t size = tensor_.shape()[dim], edge = print_options().edge_items;
    for (int64_t i = 0; i < size; ++i) {
      if (shortened_ && i == edge && size > 2 * edge) {
        f(int64_t(-1));
        i = size - edge;
      }
      f(i);
    }
  }

  template <class F> void visit_shown(int dim, int64_t index, F&& f) const {
    if (dim == tensor_.dim()) return f(index);
    for_shown(dim, [&](int64_t i) {
      if (i >= 0) visit_shown(dim + 1, index * tensor_.shape()[dim] + i, f);
    });
  }

  void choose_style(double value) {
    if (!std::isfinite(value) || value == 0) return;
    if (value != std::trunc(value)) all_integers_ = false;
    const double magnitude = std::fabs(value);
    if (magnitude >= 1e8 || magnitude < 1e-4) scientific_ = true;
  }

  std::string format(int64_t index) const {
    if (tensor_.dtype() == int64) return std::to_string(tensor_.at<int64_t>(index));
    const double value = tensor_.at(index);
    if (tensor_.dtype() == boolean) return value != 0 ? "true" : "false";
    char text[64];
    if (std::isnan(value)) return "nan";
    else if (std::isinf(value)) return value > 0 ? "inf" : "-inf";
    else if (scientific_) std::snprintf(text, sizeof text, "%.*e", print_options().precision, value);
    else if (all_integers_) std::snprintf(text, sizeof text, "%.0f.", value);
    else std::snprintf(text, sizeof text, "%.*f", print_options().precision, value);
    return text;
  }

  void separate(int dim) {
    const int inner = tensor_.dim() - dim - 1;
    out_ << ',';
    if (inner == 0) out_ << ' ';
    else out_ << std::string(size_t(inner), '\n') << std::string(size_t(dim) + 1, ' ');
  }

  std::ostream& out_;
  const Tensor tensor_;
  bool shortened_, all_integers_ = true, scientific_ = false;
  size_t width_ = 0;
};

}  // namespace

std::ostream& operator<<(std::ostream& out, const Tensor& tensor) {
  if (!tensor.defined()) return out << "undefined";
  Printer(out, tensor.copied_to(Device::cpu())).print(0, 0);
  const bool shape_shows = tensor.numel() > 0 && tensor.numel() <= print_options().threshold;
  if (!shape_shows) out << ", shape " << to_string(tensor.shape());
  if (tensor.dtype() == float64 || tensor.dtype() == bfloat16) out << ", " << tensor.dtype();
  if (!tensor.device().is_cpu()) out << ", " << tensor.device();
  return out;
}

}  // namespace gradus
