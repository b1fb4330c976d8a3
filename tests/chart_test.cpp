#include "nn/chart.h"

#include <doctest/doctest.h>

#include <cmath>
#include <regex>

#include "core/random.h"
#include "tests/files.h"

using namespace gradus;
using files::error_text, files::TemporaryFolder;

namespace {

// What the first group of a pattern matches, from the first match to the last.
std::vector<std::string> matches(const std::string& text, const std::string& pattern) {
  const std::regex regex(pattern);
  std::vector<std::string> found;
  for (std::sregex_iterator match(text.begin(), text.end(), regex), end; match != end; ++match)
    found.push_back((*match)[1]);
  return found;
}

std::vector<std::string> x_ticks(const std::string& svg) {
  return matches(svg, "v5\" stroke=\"#888\"/><text[^>]*>([^<]*)<");
}
std::vector<std::string> y_ticks(const std::string& svg) { return matches(svg, "text-anchor=\"end\">([^<]*)<"); }
std::vector<std::string> lines(const std::string& svg) { return matches(svg, "<path d=\"([^\"]*)\" fill=\"none\""); }

std::string draw(std::vector<double> x, std::vector<double> y, bool log_y = false) {
  return to_svg({{.series = {{.x = std::move(x), .y = std::move(y)}}, .log_y = log_y}});
}

using Texts = std::vector<std::string>;

}  // namespace

TEST_CASE("chart: ticks are round numbers") {
  CHECK(x_ticks(draw({1, 2, 3}, {0, 0.5, 1})) == Texts{"1", "2", "3"});
  CHECK(y_ticks(draw({1, 2, 3}, {0, 0.5, 1})) == Texts{"0.0", "0.2", "0.4", "0.6", "0.8", "1.0"});
  CHECK(x_ticks(draw({1, 10}, {0, 1})) == Texts{"2", "4", "6", "8", "10"});
  CHECK(x_ticks(draw({0, 30000}, {0, 1})) == Texts{"0", "10000", "20000", "30000"});
  CHECK(y_ticks(draw({0, 1}, {-0.004, 0.003})) == Texts{"-0.004", "-0.002", "0.000", "0.002"});
  CHECK(y_ticks(draw({0, 1}, {0, 3e8})) == Texts{"0", "5e+07", "1e+08", "1.5e+08", "2e+08", "2.5e+08", "3e+08"});
  CHECK(y_ticks(draw({0, 1}, {5, 5})) == Texts{"5"});  // whole numbers stay whole
  CHECK(y_ticks(draw({0, 1}, {0.5, 0.5})) == Texts{"0.0", "0.2", "0.4", "0.6", "0.8", "1.0"});
}

TEST_CASE("chart: a logarithmic scale") {
  CHECK(y_ticks(draw({0, 1}, {1e-3, 20}, true)) == Texts{"0.001", "0.01", "0.1", "1", "10"});
  CHECK(y_ticks(draw({0, 1}, {0.1, 10}, true)) == Texts{"0.1", "0.2", "0.5", "1", "2", "5", "10"});
  CHECK(y_ticks(draw({0, 1}, {3.1, 3.9}, true)) == Texts{"3.2", "3.4", "3.6", "3.8"});
  CHECK(y_ticks(draw({0, 1}, {1e-20, 1}, true)) == Texts{"1e-20", "1e-16", "1e-12", "1e-08", "0.0001", "1"});
  const Texts line = lines(draw({0, 1, 2}, {1, 10, 100}, true));
  REQUIRE(line.size() == 1);
  CHECK(line[0] == "M14.7 271.6L199.0 141.0L383.3 10.4");  // equal factors are equal distances
  const std::string both = to_svg({{.series = {{.x = {1, 10, 100}, .y = {1, 10, 100}}}, .log_x = true, .log_y = true}});
  CHECK(lines(both) == line);
  CHECK(x_ticks(both) == Texts{"1", "2", "5", "10", "20", "50", "100"});
}

TEST_CASE("chart: a line has a gap where there is no number to show") {
  const auto pieces = [](const std::string& svg) {
    const std::string line = lines(svg).at(0);
    return std::count(line.begin(), line.end(), 'M');
  };
  CHECK(pieces(draw({1, 2, 3, 4}, {1, 2, 3, 4})) == 1);
  CHECK(pieces(draw({1, 2, 3, 4, 5}, {1, 2, NAN, INFINITY, 4})) == 2);
  CHECK(pieces(draw({1, 2, NAN, 4}, {1, 2, 3, 4})) == 2);
  CHECK(pieces(draw({1, 2, 3}, {1, 0, 2}, true)) == 2);
  CHECK(pieces(draw({1, 2, 3}, {1, -1, 2}, true)) == 2);
  CHECK(pieces(draw({1}, {NAN})) == 0);
  CHECK(pieces(draw({}, {})) == 0);
}

TEST_CASE("chart: points are marked while they can be told apart") {
  const auto dots = [](const std::string& svg) { return matches(svg, "<title>([^<]*)</title>"); };
  CHECK(dots(draw({1, 2}, {0.25, NAN})) == Texts{"1, 0.25"});
  CHECK(dots(draw(std::vector<double>(51), std::vector<double>(51))).empty());
  CHECK(dots(to_svg({{.series = {{.name = "a", .x = {3}, .y = {4}}}}})) == Texts{"a: 3, 4"});
  CHECK(dots(to_svg({{.series = {{.x = {3}, .y = {4}, .markers = false}}}})).empty());
}

TEST_CASE("chart: titles, legend and names may hold any characters") {
  const Chart chart{.title = "a < b",
                    .x_label = "\"x\" & y",
                    .y_label = "</text><script>",
                    .series = {{.name = "loss\x01\n", .x = {1, 2}, .y = {1, 2}, .color = "red\"/><a"}, {.name = "é"}}};
  const std::string svg = to_svg({chart}, "<title>");
  for (const char* text : {">a &#60; b<", ">&#34;x&#34; &#38; y<", ">&#60;/text&#62;&#60;script&#62;<", ">loss  <",
                           ">é<", ">&#60;title&#62;<", "stroke=\"red&#34;/&#62;&#60;a\""})
    CHECK_MESSAGE(svg.find(text) != svg.npos, text);
  CHECK(matches(svg, "(h18)").size() == 2);  // the legend
  CHECK(matches(draw({1}, {1}), "(h18)").empty());
}

TEST_CASE("chart: several stand side by side, each with colours of its own in the same order") {
  const Chart one{.series = {{.x = {1}, .y = {1}}, {.x = {1}, .y = {2}}}, .width = 300, .height = 200};
  Chart two = one;
  two.height = 250;
  const std::string svg = to_svg({one, two}, "both");
  CHECK(svg.starts_with("<svg xmlns=\"http://www.w3.org/2000/svg\" width=\"600\" height=\"284\""));
  CHECK(matches(svg, "translate\\((\\d+ \\d+)\\)\">\n") == Texts{"0 34", "300 34"});
  const Texts colors = matches(svg, "fill=\"none\"[^>]* stroke=\"([^\"]*)\"");
  CHECK(colors == Texts{"#0072b2", "#d55e00", "#0072b2", "#d55e00"});
  Chart many;
  many.series.resize(8);
  CHECK(matches(to_svg({many}), "stroke=\"(#0072b2)\"").size() == 2);
  CHECK(matches(to_svg({many}), "(stroke-dasharray)").size() == 1);
  CHECK(to_svg({}).ends_with("</svg>\n"));
}

TEST_CASE("chart: no numbers do harm") {
  for (uint64_t round = 0; round < 300; ++round) {
    Chart::Series series;
    for (uint64_t i = 0; i < 4; ++i) {
      const auto words = philox(1, round * 4 + i);
      series.x.push_back(std::ldexp(to_uniform(words[0]) - 0.5, int(words[1] % 2200) - 1100));
      series.y.push_back(words[3] % 5 ? std::ldexp(to_uniform(words[2]), int(words[3] % 2200) - 1100) : NAN);
    }
    const std::string svg = to_svg({{.series = {series}, .log_y = round % 2 == 1}});
    CHECK_MESSAGE(svg.size() < 10000, "seed 1, round " << round);
    CHECK(matches(svg, "(nan|inf)").empty());
  }
  const std::string far = draw({1, 2}, {1e16, 1e16 + 2});
  CHECK(far.size() < 10000);
}

TEST_CASE("chart: limits show a part; bad ones are errors") {
  const Chart part{.series = {{.x = {0, 10}, .y = {0, 10}}}, .x_limits = {{4, 6}}, .y_limits = {{0, 20}}};
  CHECK(x_ticks(to_svg({part})) == Texts{"4", "5", "6"});
  CHECK(y_ticks(to_svg({part})).back() == "20");
  CHECK(error_text([] { to_svg({{.x_limits = {{2, 2}}}}); }) == "to_svg: the limits 2 and 2 are not in rising order");
  CHECK(error_text([] {
          to_svg({{.y_limits = {{0, NAN}}}});
        }) == "to_svg: the limits 0 and nan are not in rising order");
  CHECK(error_text([] {
          to_svg({{.log_y = true, .y_limits = {{0, 1}}}});
        }) == "to_svg: a logarithmic scale cannot begin at 0");
  CHECK(error_text([] { to_svg({{.series = {{.name = "a", .x = {1}}}}}); }) ==
        "to_svg: the series \"a\" has 1 values for x and 0 for y");
}

TEST_CASE("chart: the file appears whole or not at all") {
  const TemporaryFolder folder;
  write_svg(folder.path("x.svg"), {Chart{}});
  CHECK(folder.read("x.svg") == to_svg({Chart{}}));
  CHECK(folder.count() == 1);
  CHECK(error_text([&] { write_svg(folder.path("none/x.svg"), {}); }, folder.path("none")) ==
        "write_svg: none/x.svg: cannot be written (No such file or directory)");
}
