#include "derive/document.h"

#include <fmt/format.h>

#include <algorithm>
#include <cmath>
#include <sstream>

#include "core/file.h"
#include "derive/markup.h"

namespace gradus {
namespace {

double tolerance_of(Dtype dtype) { return dtype == float64 ? 1e-12 : dtype == bfloat16 ? 1e-3 : 1e-6; }

/// The numbers of a tensor as LaTeX: a matrix, or for more dimensions a list of them. Large ones are shown by their
/// edges.
class Numbers {
 public:
  explicit Numbers(const Tensor& tensor) : tensor_(tensor), edge_(tensor.dim() <= 2 ? 3 : 1) {
    if (!is_floating_point(tensor.dtype())) return;
    double largest = 0;
    for (const double each : tensor.to_vector<double>())
      if (std::isfinite(each)) largest = std::max(largest, std::fabs(each));
    smallest_ = largest * tolerance_of(tensor.dtype());
  }

  std::string to_latex() const {
    if (tensor_.numel() == 0) return "[\\,]" + shape();
    bool whole = true;
    for (const int64_t size : tensor_.shape()) whole &= !is_cut(size);
    return block(0, 0) + (whole ? "" : shape());
  }

 private:
  std::string shape() const { return "\\ \\text{ of shape }" + to_string(tensor_.shape()); }

  bool is_cut(int64_t size) const { return size > 8 || (tensor_.numel() > 64 && size > 2 * edge_); }

  std::string number(int64_t i) const {
    if (tensor_.dtype() == int64) return std::to_string(tensor_.at<int64_t>(i));
    const double value = tensor_.at(i);
    if (tensor_.dtype() == boolean) return value != 0 ? "\\text{true}" : "\\text{false}";
    if (std::isnan(value)) return "\\text{nan}";
    if (std::isinf(value)) return value > 0 ? "\\infty" : "-\\infty";
    // A little more than the number, so that rounding error does not decide how a 5 is rounded.
    const double shown = std::fabs(value) <= smallest_ ? 0 : value * (1 + 1e-6);
    return gradus::to_latex({Formula::Kind::number, fmt::format("{:.4g}", shown)});
  }

  // What stands in the places along a dimension, `dots` for those left out.
  template <class F> std::string along(int dim, const char* separator, const char* dots, const F& f) const {
    const int64_t size = tensor_.shape()[dim];
    std::string result;
    for (int64_t i = 0; i < size; ++i) {
      if (i > 0) result += separator;
      if (i == edge_ && is_cut(size)) {
        result += dots + std::string(separator);
        i = size - edge_;
      }
      result += f(i);
    }
    return result;
  }

  std::string row(int dim, int64_t index) const {
    return along(dim, " & ", "\\cdots", [&](int64_t i) { return number(index * tensor_.shape()[dim] + i); });
  }

  std::string block(int dim, int64_t index) const {
    const auto matrix = [](const std::string& rows) { return "\\begin{bmatrix} " + rows + " \\end{bmatrix}"; };
    switch (tensor_.dim() - dim) {
      case 0: return number(index);
      case 1: return matrix(row(dim, index));
      case 2:
        return matrix(
            along(dim, " \\\\ ", "\\vdots", [&](int64_t i) { return row(dim + 1, index * tensor_.shape()[dim] + i); }));
      default:
        return "\\left[ " +
               along(dim, ",\\; ", "\\cdots",
                     [&](int64_t i) { return block(dim + 1, index * tensor_.shape()[dim] + i); }) +
               " \\right]";
    }
  }

  const Tensor tensor_;
  const int64_t edge_;   // how many are shown at each end of a dimension that is cut
  double smallest_ = 0;  // what is smaller is rounding error
};

class Document {
 public:
  Document(const Derivation& derivation, const Markup& markup) : derivation_(derivation), markup_(markup) {}

  std::string write() {
    const auto& quantities = derivation_.quantities();
    text_ = markup_.begin() + markup_.heading(1, "Derivation of " + symbol(quantities[derivation_.result()].symbol));
    text_ += markup_.paragraph(
        fmt::format("{} steps forward and {} backward. Numbers have four significant digits; what is only rounding "
                    "error beside the largest number of its tensor is shown as 0.",
                    derivation_.forward().size(), derivation_.backward().size()));
    write_table();
    text_ += markup_.heading(2, "Given");
    for (const Quantity& each : quantities)
      if (each.step == Quantity::leaf && !each.is_number)
        text_ += markup_.display(to_latex(each.symbol) + " = " + Numbers(each.value).to_latex());
    text_ += markup_.heading(2, "Forward");
    for (size_t i = 0; i < derivation_.forward().size(); ++i) write_forward(i);
    text_ += markup_.heading(2, "Backward");
    for (size_t i = 0; i < derivation_.backward().size(); ++i) write_backward(i);
    text_ += markup_.heading(2, "Gradients");
    for (size_t i = 0; i < quantities.size(); ++i)
      if (quantities[i].step == Quantity::leaf && quantities[i].gradient.defined()) write_gradient(i);
    while (text_.ends_with("\n\n")) text_.pop_back();
    return text_ + markup_.end();
  }

 private:
  std::string symbol(const Formula& formula) const { return markup_.math(to_latex(formula)); }

  // left = formula = numbers
  void display(const std::string& left, const Formula& formula, const Tensor& value) {
    const std::string right = to_latex(formula), numbers = Numbers(value).to_latex();
    if (right == numbers) text_ += markup_.display(left + " = " + right);
    else if (size_of(formula) <= 12 || value.dim() == 0)
      text_ += markup_.display(left + " = " + right + " = " + numbers);
    else
      text_ += markup_.display("\\begin{aligned} " + left + " &= " + right + " \\\\ &= " + numbers + " \\end{aligned}");
  }

  void write_table() {
    std::vector<std::vector<std::string>> rows{{"step", "operation", "formula", "shape", "where"}};
    for (const ForwardStep& step : derivation_.forward()) {
      const Quantity& result = derivation_.quantities()[step.result];
      rows.push_back({std::to_string(rows.size()), markup_.code(step.operation),
                      markup_.math(to_latex(result.symbol) + " = " + to_latex(step.formula)),
                      to_string(result.value.shape()), markup_.code(to_string(step.where))});
    }
    text_ += markup_.table(rows);
  }

  void write_forward(size_t i) {
    const ForwardStep& step = derivation_.forward()[i];
    const Quantity& result = derivation_.quantities()[step.result];
    text_ += markup_.heading(3, fmt::format("{}. {}{}", i + 1, markup_.code(step.operation),
                                            step.module.empty() ? "" : " in " + markup_.code(step.module)));
    const bool same_line = i > 0 && to_string(step.where) == to_string(derivation_.forward()[i - 1].where);
    if (!step.source.empty() && !same_line)
      text_ += markup_.paragraph(markup_.code(to_string(step.where)) + ": " + markup_.code(step.source));
    display(to_latex(result.symbol), step.formula, result.value);
  }

  void write_backward(size_t i) {
    const BackwardStep& step = derivation_.backward()[i];
    const ForwardStep& forward = derivation_.forward()[step.forward];
    text_ += markup_.heading(3, fmt::format("{}. {}, step {} backward", derivation_.forward().size() + i + 1,
                                            markup_.code(forward.operation), step.forward + 1));
    for (const Contribution& each : step.contributions) {
      const Formula& gradient = derivation_.quantities()[each.to].gradient_symbol;
      if (!each.first) text_ += markup_.paragraph("Added to what came before:");
      display(to_latex(gradient) + (each.first ? "" : " \\mathrel{+}"), each.rule, each.value);
    }
    write_check([&] { return derivation_.check_step(step.forward); },
                derivation_.quantities()[forward.result].value.dtype());
  }

  void write_gradient(size_t quantity) {
    const Quantity& of = derivation_.quantities()[quantity];
    text_ += markup_.heading(3, symbol(of.gradient_symbol));
    const Expansion expansion = expand(of.name);
    display(to_latex(expansion.symbol), expansion.formula, of.gradient);
    if (!expansion.parts.empty()) text_ += markup_.paragraph("where");
    for (const Expansion::Part& part : expansion.parts)
      text_ += markup_.display(to_latex(part.symbol) + " = " + to_latex(part.formula));
    write_check([&] { return derivation_.check_gradient(quantity); }, of.value.dtype());
  }

  // In parts that fit on a line.
  Expansion expand(const std::string& name) const {
    Expansion expansion;
    size_t longest = 0;
    for (int depth = ExpandOptions().depth; depth > 0; --depth) {
      expansion = derivation_.expand(name, {.depth = depth});
      longest = size_of(expansion.formula);
      for (const Expansion::Part& part : expansion.parts) longest = std::max(longest, size_of(part.formula));
      if (longest <= 40) break;
    }
    return expansion;
  }

  // Errors are rounded up to a power of ten and not told below the precision of the numbers compared: they would differ
  // from one compiler to the next.
  template <class F> void write_check(const F& check, Dtype dtype) {
    std::string said;
    try {
      const GradcheckResult result = check();
      const double exponent = std::ceil(std::log10(std::max(result.relative_error, 10 * tolerance_of(dtype))));
      if (result)
        said = fmt::format("Agrees with central differences: relative error at most {}, {} compared, {} skipped.",
                           markup_.math(fmt::format("10^{{{}}}", exponent)), result.compared, result.skipped);
      else said = "Differs from central differences: " + markup_.code((std::ostringstream() << result).str());
    } catch (const Error& error) {
      said = "Not checked: " + markup_.code(error.what());
    }
    text_ += markup_.paragraph(said);
  }

  const Derivation& derivation_;
  const Markup& markup_;
  std::string text_;
};

}  // namespace

std::string to_markdown(const Derivation& derivation) { return Document(derivation, markdown()).write(); }
std::string to_latex(const Derivation& derivation) { return Document(derivation, latex()).write(); }

void write_markdown(const Derivation& derivation, const std::string& path, Location where) {
  const Scope scope("write_markdown", where);
  write_file(path, to_markdown(derivation));
}

void write_latex(const Derivation& derivation, const std::string& path, Location where) {
  const Scope scope("write_latex", where);
  write_file(path, to_latex(derivation));
}

void write_dot(const Derivation& derivation, const std::string& path, Location where) {
  const Scope scope("write_dot", where);
  write_file(path, to_dot(derivation));
}

}  // namespace gradus
