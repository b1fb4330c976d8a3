// Gradient descent on a landscape that can be looked at: a bowl with one minimum, or two valleys, of which the nearer
// one is shallow. Writes the path as CSV and draws it on a map as SVG.

#include <gradus.h>

#include <CLI/CLI.hpp>
#include <array>
#include <cmath>
#include <iostream>
#include <map>
#include <sstream>
#include <string>
#include <vector>

#include "core/file.h"

using namespace gradus;

// The height of the landscape; the same function for one place and, element by element, for a whole grid of them.
struct Landscape {
  Tensor (*height)(const Tensor& x, const Tensor& y);
  double reach_x, reach_y;  // the map shows [-reach_x, reach_x] x [-reach_y, reach_y]
  std::array<double, 2> start;
};

const std::map<std::string, Landscape> landscapes{
    {"bowl", {[](const Tensor& x, const Tensor& y) { return (square(x) + 4 * square(y)) / 2; }, 2, 2, {-1.8, 1.5}}},
    {"valleys",
     {[](const Tensor& x, const Tensor& y) { return square(square(x) - 1) + 0.3 * x + square(y); }, 2, 2, {1.7, 1.5}}}};

struct Point {
  double x, y, height;
};

std::vector<Point> descend(const Landscape& landscape, std::array<double, 2> start, int steps, double lr,
                           double momentum) {
  const Tensor x = Tensor(start[0], float64).named("x").requires_grad();
  const Tensor y = Tensor(start[1], float64).named("y").requires_grad();
  optim::SGD sgd({x, y}, {.lr = lr, .momentum = momentum});
  std::vector<Point> path;
  for (int step = 0; step <= steps; ++step) {
    const Tensor height = landscape.height(x, y);
    path.push_back({x.item<double>(), y.item<double>(), height.item<double>()});
    if (!std::isfinite(path.back().height))
      fail("the path leads to infinity, for the steps are too large; try a smaller --lr");
    sgd.zero_grad();
    height.backward();
    sgd.step();
  }
  return path;
}

std::string to_csv(const std::vector<Point>& path) {
  std::ostringstream csv;
  csv.precision(10);
  csv << "step,x,y,height\n";
  for (size_t step = 0; step < path.size(); ++step)
    csv << step << ',' << path[step].x << ',' << path[step].y << ',' << path[step].height << '\n';
  return csv.str();
}

// The lines of equal height: the landscape is cut into triangles, and a line crosses two of the three sides of a
// triangle or none. Between two such pieces stands a gap.
Chart::Series contour_lines(const std::vector<Point>& grid, size_t columns, double level) {
  Chart::Series lines{.line_width = 1, .markers = false};
  const auto add = [&](double x, double y) { lines.x.push_back(x), lines.y.push_back(y); };
  const auto cut_triangle = [&](std::array<Point, 3> corners) {
    for (size_t i = 0; i < 3; ++i) {
      const Point &a = corners[i], &b = corners[(i + 1) % 3];
      if ((a.height < level) == (b.height < level)) continue;
      const double share = (level - a.height) / (b.height - a.height);
      add(a.x + share * (b.x - a.x), a.y + share * (b.y - a.y));
    }
    add(NAN, NAN);
  };
  for (size_t i = 0; i + columns < grid.size(); ++i) {
    if (i % columns == columns - 1) continue;
    cut_triangle({grid[i], grid[i + 1], grid[i + columns]});
    cut_triangle({grid[i + 1], grid[i + columns], grid[i + columns + 1]});
  }
  return lines;
}

Chart draw_map(const Landscape& landscape, const std::vector<Point>& path) {
  constexpr int64_t columns = 49;
  const Tensor x = linspace(-landscape.reach_x, landscape.reach_x, columns, float64);
  const Tensor y = reshape(linspace(-landscape.reach_y, landscape.reach_y, columns, float64), {columns, 1});
  const Tensor height = landscape.height(x, y);  // [columns, columns]
  const double low = amin(height).item<double>(), high = amax(height).item<double>();
  std::vector<Point> grid;
  for (int64_t i = 0; i < height.numel(); ++i) grid.push_back({x.at(i % columns), y.at(i / columns), height.at(i)});

  Chart map{.x_label = "x", .y_label = "y", .width = 520, .height = 496};
  map.x_limits = {-landscape.reach_x, landscape.reach_x};
  map.y_limits = {-landscape.reach_y, landscape.reach_y};
  constexpr int levels = 14;
  for (int i = 1; i < levels; ++i) {  // closer together towards the bottom, where it is flat
    const double share = double(i) / levels;
    map.series.push_back(contour_lines(grid, columns, low + (high - low) * share * share));
    map.series.back().color = "hsl(210,60%," + std::to_string(int(35 + 45 * share)) + "%)";
  }
  Chart::Series steps{.color = "crimson", .line_width = 1, .markers = true};
  for (const Point& point : path) steps.x.push_back(point.x), steps.y.push_back(point.y);
  map.series.push_back(steps);
  return map;
}

int main(int argc, char** argv) try {
  std::string name = "valleys", csv = "gradient_descent.csv", svg = "gradient_descent.svg";
  std::array<double, 2> start{};
  double lr = 0.02, momentum = 0;
  int steps = 100;
  CLI::App app{"Gradient descent, drawn on a map. Try --momentum 0.9, or --function bowl --lr 0.45."};
  std::vector<std::string> names;
  for (const auto& [key, landscape] : landscapes) names.push_back(key);
  app.add_option("--function", name, "bowl: one minimum; valleys: a shallow and a deep one")
      ->check(CLI::IsMember(names))
      ->capture_default_str();
  const CLI::Option* start_option = app.add_option("--start", start, "where to begin: x y");
  app.add_option("--steps", steps)->check(CLI::NonNegativeNumber)->capture_default_str();
  app.add_option("--lr", lr, "learning rate")->check(CLI::NonNegativeNumber)->capture_default_str();
  app.add_option("--momentum", momentum)->check(CLI::Range(0., 1.))->capture_default_str();
  app.add_option("--csv", csv, "file for the path")->capture_default_str();
  app.add_option("--svg", svg, "file for the map")->capture_default_str();
  CLI11_PARSE(app, argc, argv);

  const Landscape& landscape = landscapes.at(name);
  if (start_option->empty()) start = landscape.start;
  const std::vector<Point> path = descend(landscape, start, steps, lr, momentum);
  const Point &first = path.front(), &last = path.back();
  std::cout << "from (" << first.x << ", " << first.y << ") at height " << first.height << " to (" << last.x << ", "
            << last.y << ") at height " << last.height << " in " << path.size() - 1 << " steps\n";
  std::ostringstream title;
  title << name << ": lr " << lr << ", momentum " << momentum << ", " << path.size() - 1 << " steps to height "
        << last.height;
  write_file(csv, to_csv(path));
  write_svg(svg, {draw_map(landscape, path)}, title.str());
  std::cout << "wrote " << csv << " and " << svg << '\n';
} catch (const Error& error) {
  std::cerr << error.what() << '\n';
  return 1;
}
