#include "nn/chart.h"

#include <fmt/format.h>

#include <algorithm>
#include <array>
#include <cmath>

#include "core/file.h"
#include "core/utf8.h"

namespace gradus {
namespace {

// Okabe and Ito, "Color universal design", 2008, without the yellow, which is hard to see on white.
constexpr std::array palette{"#0072b2", "#d55e00", "#009e73", "#cc79a7", "#e69f00", "#56b4e9", "#333333"};

constexpr double left = 64, right = 18, bottom = 48, title_height = 26, legend_row = 20, gap = 10;

std::string escaped(const std::string& text) {
  std::string result;
  for (const char c : text) {
    if (std::string_view("&<>\"").find(c) != std::string_view::npos) result += fmt::format("&#{};", int(c));
    else result += c >= 0 && c < ' ' ? ' ' : c;  // XML has no control characters
  }
  return result;
}

// About as wide as the text will be; it is up to the fonts of the reader.
double text_width(const std::string& text, double font_size) {
  return double(count_characters(text)) * font_size * 0.56;
}

// A title, smaller if it would not fit into the width otherwise.
std::string heading(const std::string& text, double x, double y, double font_size, double width) {
  const double fitting = std::min(font_size, font_size * width / (1.1 * text_width(text, font_size)));
  return fmt::format("<text x=\"{}\" y=\"{}\" font-size=\"{:.1f}\" font-weight=\"600\">{}</text>\n", x, y, fitting,
                     escaped(text));
}

struct Tick {
  double value;
  std::string label;
};

// 1, 2 or 5 times a power of ten: the step that cuts `span` into at most `count` pieces.
double nice_step(double span, int count) {
  const double power = std::pow(10, std::floor(std::log10(span / count)));
  for (const double factor : {1., 2., 5.})
    if (span / (factor * power) <= count) return factor * power;
  return 10 * power;
}

std::vector<Tick> linear_ticks(double low, double high, int count, double smallest_step) {
  const double step = std::max(nice_step(high - low, count), smallest_step);
  const bool plain = step >= 1e-4 && std::max(std::fabs(low), std::fabs(high)) < 1e6;
  const int decimals = std::max(0, int(-std::floor(std::log10(step) + 1e-9)));
  std::vector<Tick> ticks;
  const double first = std::ceil(low / step - 1e-9), last = std::floor(high / step + 1e-9);
  for (int i = 0; first + i <= last && i <= 2 * count; ++i) {
    const double value = (first + i) * step + 0.;  // + 0: no "-0"
    ticks.push_back({value, plain ? fmt::format("{:.{}f}", value, decimals) : fmt::format("{:g}", value)});
  }
  return ticks;
}

std::vector<Tick> log_ticks(double low, double high, int count) {  // low and high: the exponents
  std::vector<Tick> ticks;
  const int stride = std::max(1, int(std::ceil((high - low) / count)));
  for (int exponent = int(std::floor(low / stride)) * stride; exponent <= int(std::ceil(high)); exponent += stride)
    for (const double factor : {1., 2., 5.}) {
      if (factor > 1 && high - low > 2.5) continue;
      const double value = std::log10(factor) + exponent;
      if (value >= low && value <= high) ticks.push_back({value, fmt::format("{:g}", std::pow(10, value))});
    }
  if (ticks.size() > 1) return ticks;
  ticks = linear_ticks(std::pow(10, low), std::pow(10, high), count, 0);
  for (Tick& tick : ticks) tick.value = std::log10(tick.value);
  return ticks;
}

// Where values lie on one of the two axes: 0 at its beginning, 1 at its end.
class Axis {
 public:
  Axis(const std::vector<Chart::Series>& series, std::vector<double> Chart::Series::*values, bool log,
       std::optional<Chart::Limits> limits, int count)
      : log_(log) {
    low_ = INFINITY, high_ = -INFINITY;
    bool whole = !log;
    for (const Chart::Series& line : series)
      for (const double value : line.*values) {
        if (!shows(value)) continue;
        low_ = std::min(low_, transformed(value));
        high_ = std::max(high_, transformed(value));
        whole &= value == std::floor(value);
      }
    if (limits) {
      low_ = transformed(limits->low), high_ = transformed(limits->high);
    } else {
      if (low_ > high_) low_ = 0, high_ = 1;
      const double least = 1e-9 * std::max(std::fabs(low_), std::fabs(high_));  // so that there is something between
      const double margin = high_ - low_ > least ? 0.04 * (high_ - low_) : std::max(std::fabs(low_) / 10, 0.5);
      low_ -= margin, high_ += margin;
    }
    ticks_ = log ? log_ticks(low_, high_, count) : linear_ticks(low_, high_, count, whole ? 1 : 0);
  }

  bool shows(double value) const { return std::fabs(value) < 1e150 && (!log_ || value > 1e-150); }
  double place(double value) const { return share(transformed(value)); }
  double share(double tick) const { return (tick - low_) / (high_ - low_); }
  const std::vector<Tick>& ticks() const { return ticks_; }

 private:
  double transformed(double value) const { return log_ ? std::log10(value) : value; }

  bool log_;
  double low_, high_;
  std::vector<Tick> ticks_;
};

std::string color_of(const Chart::Series& series, size_t number) {
  return series.color.empty() ? palette[number % palette.size()] : escaped(series.color);
}

// How a line is drawn. After the last colour of the palette the first one comes again, in dashes.
std::string stroke_of(const Chart::Series& series, size_t number) {
  const bool dashed = series.color.empty() && number >= palette.size();
  return fmt::format(R"(stroke="{}" stroke-width="{}"{})", color_of(series, number), series.line_width,
                     dashed ? R"( stroke-dasharray="5 3")" : "");
}

// The names of the series with a piece of their lines, in as many rows as they need. Returns the number of rows.
int draw_legend(std::string& svg, const Chart& chart, double top) {
  double x = left;
  int rows = 0;
  for (size_t i = 0; i < chart.series.size(); ++i) {
    const Chart::Series& series = chart.series[i];
    if (series.name.empty()) continue;
    const double width = 24 + text_width(series.name, 12) + 18;
    if (rows == 0 || x + width > chart.width - right) x = left, ++rows;
    const double y = top + legend_row * rows - legend_row / 2;
    svg += fmt::format(R"(<path d="M{:.1f} {:.1f}h18" {}/>)", x, y, stroke_of(series, i)) +
           fmt::format("<text x=\"{:.1f}\" y=\"{:.1f}\">{}</text>\n", x + 24, y + 4, escaped(series.name));
    x += width;
  }
  return rows;
}

void draw_axes(std::string& svg, const Chart& chart, const Axis& x, const Axis& y, double top) {
  const double width = chart.width - left - right, height = chart.height - top - bottom;
  for (const Tick& tick : y.ticks()) {
    const double at = top + height * (1 - y.share(tick.value));
    svg += fmt::format(R"(<path d="M{} {:.1f}h{}" stroke="#e4e4e4"/>)", left, at, width) +
           fmt::format("<text x=\"{}\" y=\"{:.1f}\" text-anchor=\"end\">{}</text>\n", left - 8, at + 4, tick.label);
  }
  for (const Tick& tick : x.ticks()) {
    const double at = left + width * x.share(tick.value);
    svg += fmt::format(R"(<path d="M{:.1f} {}v5" stroke="#888"/>)", at, top + height) +
           fmt::format("<text x=\"{:.1f}\" y=\"{}\" text-anchor=\"middle\">{}</text>\n", at, top + height + 19,
                       tick.label);
  }
  svg += fmt::format("<path d=\"M{} {}h{}\" stroke=\"#888\"/>\n", left, top + height, width) +
         fmt::format("<text x=\"{}\" y=\"{}\" text-anchor=\"middle\">{}</text>\n", left + width / 2, chart.height - 10,
                     escaped(chart.x_label)) +
         fmt::format("<text transform=\"translate(16 {}) rotate(-90)\" text-anchor=\"middle\">{}</text>\n",
                     top + height / 2, escaped(chart.y_label));
}

void draw_series(std::string& svg, const Chart::Series& series, size_t number, const Axis& x, const Axis& y,
                 double width, double height) {
  std::string line, dots;
  const char* command = "M";
  const bool markers = series.markers.value_or(series.x.size() <= 50);
  for (size_t i = 0; i < series.x.size(); ++i) {
    const bool shown = x.shows(series.x[i]) && y.shows(series.y[i]);
    const auto pixel = [](double share, double size) { return std::clamp(share, -1e3, 1e3) * size; };
    if (shown) {
      const double px = pixel(x.place(series.x[i]), width), py = pixel(1 - y.place(series.y[i]), height);
      line += fmt::format("{}{:.1f} {:.1f}", command, px, py);
      if (markers)
        dots += fmt::format("<circle cx=\"{:.1f}\" cy=\"{:.1f}\" r=\"2.6\"><title>{}{:g}, {:g}</title></circle>\n", px,
                            py, series.name.empty() ? "" : escaped(series.name) + ": ", series.x[i], series.y[i]);
    }
    command = shown ? "L" : "M";
  }
  svg += fmt::format("<path d=\"{}\" fill=\"none\" stroke-linejoin=\"round\" {}/>\n", line, stroke_of(series, number));
  if (markers) svg += fmt::format("<g fill=\"{}\">\n{}</g>\n", color_of(series, number), dots);
}

std::string draw(const Chart& chart) {
  for (const Chart::Series& series : chart.series)
    if (series.x.size() != series.y.size())
      fail(fmt::format("the series \"{}\" has {} values for x and {} for y", series.name, series.x.size(),
                       series.y.size()));
  for (const auto& limits : {chart.x_limits, chart.y_limits})
    if (limits && !(limits->low < limits->high && std::isfinite(limits->high - limits->low)))
      fail(fmt::format("the limits {} and {} are not in rising order", limits->low, limits->high));
  for (const auto& limits : {chart.log_x ? chart.x_limits : std::nullopt, chart.log_y ? chart.y_limits : std::nullopt})
    if (limits && limits->low <= 0) fail(fmt::format("a logarithmic scale cannot begin at {}", limits->low));

  std::string svg;
  double top = gap;
  if (!chart.title.empty()) {
    svg += heading(chart.title, left, top + 14, 14, chart.width - left - right);
    top += title_height;
  }
  if (const int rows = draw_legend(svg, chart, top)) top += rows * legend_row + 6;
  const double width = chart.width - left - right, height = chart.height - top - bottom;
  const Axis x(chart.series, &Chart::Series::x, chart.log_x, chart.x_limits, std::max(2, int(width / 60)));
  const Axis y(chart.series, &Chart::Series::y, chart.log_y, chart.y_limits, std::max(2, int(height / 36)));
  draw_axes(svg, chart, x, y, top);
  // An inner svg element cuts off what lies outside of it.
  svg += fmt::format("<svg x=\"{}\" y=\"{}\" width=\"{}\" height=\"{}\">\n", left, top, width, height);
  for (size_t i = 0; i < chart.series.size(); ++i) draw_series(svg, chart.series[i], i, x, y, width, height);
  return svg + "</svg>\n";
}

}  // namespace

std::string to_svg(const std::vector<Chart>& charts, const std::string& title, Location where) {
  const Scope scope("to_svg", where);
  double width = 0, height = 0;
  std::string body;
  const double top = title.empty() ? 0 : 34;
  for (const Chart& chart : charts) {
    body += fmt::format("<g transform=\"translate({} {})\">\n{}</g>\n", width, top, draw(chart));
    width += chart.width;
    height = std::max(height, chart.height);
  }
  return fmt::format(
             "<svg xmlns=\"http://www.w3.org/2000/svg\" width=\"{0}\" height=\"{1}\" viewBox=\"0 0 {0} {1}\" "
             "font-family=\"system-ui, 'Liberation Sans', Arial, sans-serif\" font-size=\"12\" fill=\"#333\">\n",
             width, height + top) +
         fmt::format("<rect width=\"{}\" height=\"{}\" fill=\"#fff\"/>\n", width, height + top) +
         (top > 0 ? heading(title, 20, 28, 16, width - 40) : "") + body + "</svg>\n";
}

void write_svg(const std::string& path, const std::vector<Chart>& charts, const std::string& title, Location where) {
  const Scope scope("write_svg", where);
  write_file(path, to_svg(charts, title, where));
}

}  // namespace gradus
