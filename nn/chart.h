#pragma once
// Line charts as SVG pictures: how a loss falls, how an accuracy rises.

#include <optional>
#include <string>
#include <vector>

#include "core/error.h"

namespace gradus {

/// A line chart: axes with ticks, a legend, and any number of lines.
struct Chart {
  /// A line through the points (x, y), one after the other. Where a number is not finite (or, on a logarithmic scale,
  /// not positive) the line has a gap.
  struct Series {
    std::string name = {};  ///< for the legend; empty: not in it
    std::vector<double> x = {}, y = {};
    std::string color = {};  ///< any CSS colour; empty: one of a palette that the colour-blind can tell apart
    double line_width = 2;
    std::optional<bool> markers = {};  ///< a dot at each point; unset: if there are at most 50
  };
  struct Limits {
    double low, high;
  };

  std::string title = {}, x_label = {}, y_label = {};
  std::vector<Series> series = {};
  bool log_x = false, log_y = false;                   ///< a logarithmic scale for x, for y
  std::optional<Limits> x_limits = {}, y_limits = {};  ///< what is shown; unset: everything
  double width = 480, height = 340;                    ///< in pixels
};

/// The charts side by side as one SVG picture, with a common title above them, if there is one. All texts may hold any
/// characters.
std::string to_svg(const std::vector<Chart>& charts, const std::string& title = {}, Location where = Location::here());
/// Writes that picture to a file.
void write_svg(const std::string& path, const std::vector<Chart>& charts, const std::string& title = {},
               Location where = Location::here());

}  // namespace gradus
