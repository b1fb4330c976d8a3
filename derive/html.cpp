#include "derive/html.h"

#include <fmt/format.h>

#include <algorithm>
#include <cmath>
#include <cstdlib>
#include <nlohmann/json.hpp>
#include <sstream>

#include "core/file.h"
#include "derive/page.h"

namespace gradus {
namespace {

using nlohmann::json;

constexpr int64_t checked_numbers = 256;  // in the inputs of a step that is checked
constexpr size_t opened_steps = 60;       // in a fused step that can be opened on the page

// With six digits. JSON has no numbers that are not finite: those become strings.
json number(double value) {
  if (std::isfinite(value)) return std::strtod(fmt::format("{:.6g}", value).c_str(), nullptr);
  return std::isnan(value) ? "nan" : value > 0 ? "∞" : "−∞";
}

json sizes(const Shape& shape) { return std::vector<int64_t>(shape.begin(), shape.end()); }

// The part of a tensor that is shown: at most `corner` rows and columns, and no more numbers in all than one such
// matrix has.
Shape shown_part(const Shape& shape, int64_t corner) {
  Shape shown = shape;
  int64_t numbers = 1;
  for (int i = shape.dim() - 1; i >= 0; --i) {
    const int64_t limit = i >= shape.dim() - 2 ? corner : std::max<int64_t>(1, corner * corner / numbers);
    shown[i] = std::min(shape[i], limit);
    numbers *= std::max<int64_t>(1, shown[i]);
  }
  return shown;
}

// Minimum, maximum, mean and Euclidean norm of what is finite, and how much is not.
json statistics(const std::vector<double>& values) {
  double low = INFINITY, high = -INFINITY, sum = 0, squares = 0;
  size_t finite = 0;
  for (const double value : values) {
    if (!std::isfinite(value)) continue;
    low = std::min(low, value), high = std::max(high, value);
    sum += value, squares += value * value, ++finite;
  }
  json result{{"infinite", values.size() - finite}};
  if (finite)
    result.update({{"min", number(low)},
                   {"max", number(high)},
                   {"mean", number(sum / double(finite))},
                   {"norm", number(std::sqrt(squares))}});
  return result;
}

json tensor_data(const Tensor& tensor, int64_t corner) {
  if (!tensor.defined()) return nullptr;
  const std::vector<double> values = tensor.to_vector<double>();
  const Shape shown = shown_part(tensor.shape(), corner), strides = contiguous_strides(tensor.shape());
  json part = json::array();
  for (int64_t i = 0; i < shown.numel(); ++i) {
    int64_t at = 0, rest = i;
    for (int dim = shown.dim() - 1; dim >= 0; --dim) {
      at += rest % shown[dim] * strides[dim];
      rest /= shown[dim];
    }
    part.push_back(number(values[size_t(at)]));
  }
  return {{"shape", sizes(tensor.shape())},
          {"dtype", to_string(tensor.dtype())},
          {"shown", sizes(shown)},
          {"values", part},
          {"statistics", statistics(values)}};
}

/// Writes down a derivation for the page's script, and what fused steps consist of.
class DataWriter {
 public:
  DataWriter(const Derivation& derivation, bool checks, int64_t corner)
      : derivation_(derivation), checks_(checks), corner_(corner), contributions_(derivation.quantities().size()) {
    for (const BackwardStep& step : derivation.backward())
      for (const Contribution& each : step.contributions) ++contributions_[each.to];
  }

  json write(bool whole = true) const {
    json quantities = json::array(), forward = json::array(), backward = json::array();
    for (const Quantity& each : derivation_.quantities()) quantities.push_back(quantity(each));
    for (size_t i = 0; i < derivation_.forward().size(); ++i) {
      forward.push_back(forward_step(derivation_.forward()[i]));
      if (whole) forward.back().update(origin(i));
    }
    for (const BackwardStep& each : derivation_.backward()) backward.push_back(backward_step(each));
    return {{"quantities", quantities}, {"forward", forward}, {"backward", backward}, {"result", derivation_.result()}};
  }

 private:
  json quantity(const Quantity& each) const {
    return {{"name", to_text(each.symbol)},
            {"symbol", to_mathml(each.symbol)},
            {"gradientSymbol", to_mathml(each.gradient_symbol)},
            {"isNumber", each.is_number},
            {"step", each.step == Quantity::leaf ? json() : json(each.step)},
            {"value", each.is_number ? json() : tensor_data(each.value, corner_)},
            {"gradient", tensor_data(each.gradient, corner_)}};
  }

  json forward_step(const ForwardStep& step) const {
    return {{"operation", step.operation},
            {"inputs", step.inputs},
            {"result", step.result},
            {"formula", to_mathml(step.formula)}};
  }

  // What only the steps of the whole computation have.
  json origin(size_t i) const {
    const ForwardStep& step = derivation_.forward()[i];
    return {{"where", to_string(step.where)},
            {"line", step.where.line},
            {"source", step.source},
            {"module", step.module},
            {"opened", opened(i)}};
  }

  json opened(size_t i) const {
    const ForwardStep& step = derivation_.forward()[i];
    if (!step.fused || !derivation_.quantities()[step.result].gradient.defined()) return nullptr;
    const Derivation inner = derivation_.open(i);
    return inner.size() <= opened_steps ? DataWriter(inner, false, corner_ / 2).write(false) : json();
  }

  json backward_step(const BackwardStep& step) const {
    json contributions = json::array();
    for (const Contribution& each : step.contributions)
      contributions.push_back({{"to", each.to},
                               {"rule", to_mathml(each.rule)},
                               {"first", each.first},
                               // A contribution that is the only one is the gradient itself.
                               {"value", contributions_[each.to] > 1 ? tensor_data(each.value, corner_) : json()}});
    return {{"forward", step.forward}, {"contributions", contributions}, {"check", check(step.forward)}};
  }

  json check(size_t i) const {
    int64_t numbers = 0;
    for (size_t input : derivation_.forward()[i].inputs) numbers += derivation_.quantities()[input].value.numel();
    if (!checks_ || numbers > checked_numbers) return nullptr;
    const GradcheckResult result = derivation_.check_step(i);
    std::ostringstream text;
    if (result)
      text << fmt::format("agrees with differences in float64: largest relative error {:.1e}, {} compared, {} skipped",
                          result.relative_error, result.compared, result.skipped);
    else text << result;
    return {{"passed", bool(result)}, {"text", text.str()}};
  }

  const Derivation& derivation_;
  bool checks_;
  int64_t corner_;
  std::vector<int> contributions_;  // to each quantity
};

}  // namespace

std::string to_html(const Derivation& derivation, const HtmlOptions& options, Location where) {
  const Scope scope("to_html", where);
  const json data = DataWriter(derivation, options.checks, derivation.size() > 200 ? 8 : 16).write();
  // Inside the script element that holds the data, only a "<" could be mistaken for markup.
  std::string text;
  for (const char c : data.dump(-1, ' ', false, json::error_handler_t::replace)) {
    if (c == '<') text += "\\u003c";
    else text += c;
  }
  constexpr std::string_view mark = "{{derivation}}";
  std::string html(page_html);
  return html.replace(html.find(mark), mark.size(), text);
}

void write_html(const Derivation& derivation, const std::string& path, const HtmlOptions& options, Location where) {
  const Scope scope("write_html", where);
  write_file(path, to_html(derivation, options, where));
}

}  // namespace gradus
