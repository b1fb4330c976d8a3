#include "nn/history.h"

#include <fmt/format.h>
#include <fmt/ranges.h>

#include <algorithm>
#include <charconv>
#include <sstream>

#include "core/file.h"

namespace gradus {
namespace {

std::vector<std::string> split(const std::string& line) {
  std::vector<std::string> fields;
  std::istringstream in(line + ',');
  for (std::string field; std::getline(in, field, ',');) fields.push_back(field);
  return fields;
}

}  // namespace

void History::add(const Row& row, Location where) {
  const Scope scope("History", where);
  std::vector<std::string> names;
  std::vector<double> values;
  for (const auto& [name, value] : row) {
    if (name.find_first_of(",\"\r\n") != name.npos)
      fail("the name \"" + name + "\" holds a comma, a quote or a line break");
    names.push_back(name);
    values.push_back(value);
  }
  if (columns_.empty()) columns_ = names;
  if (names != columns_)
    fail(fmt::format("the row has the columns {}, but those before have {}", fmt::join(names, ", "),
                     fmt::join(columns_, ", ")));
  rows_.push_back(values);
}

void History::truncate(size_t rows) { rows_.resize(std::min(rows, size())); }

std::vector<double> History::column(const std::string& name, Location where) const {
  const Scope scope("History", where);
  const auto place = size_t(std::find(columns_.begin(), columns_.end(), name) - columns_.begin());
  if (place == columns_.size())
    fail(fmt::format("there is no column \"{}\" among {}", name, fmt::join(columns_, ", ")));
  std::vector<double> values;
  for (const std::vector<double>& row : rows_) values.push_back(row[place]);
  return values;
}

Chart History::chart(const std::string& metric) const {
  Chart chart{.y_label = metric};
  if (columns_.empty()) return chart;
  chart.x_label = columns_[0];
  for (const std::string& name : columns_) {
    if (name != metric && !name.ends_with(' ' + metric)) continue;
    const std::string series = name == metric ? "" : name.substr(0, name.size() - metric.size() - 1);
    chart.series.push_back({.name = series, .x = column(columns_[0]), .y = column(name)});
  }
  return chart;
}

void History::save(const std::string& path, Location where) const {
  const Scope scope("History::save", where);
  std::string text = fmt::format("{}\n", fmt::join(columns_, ","));
  for (const std::vector<double>& row : rows_) text += fmt::format("{}\n", fmt::join(row, ","));
  write_file(path, text);
}

History History::load(const std::string& path, Location where) {
  const Scope scope("History::load", where);
  std::istringstream in(InputFile(path).read_text());
  History history;
  std::string line;
  if (std::getline(in, line) && !line.empty()) history.columns_ = split(line);
  for (int number = 2; std::getline(in, line); ++number) {
    const std::string place = fmt::format("{}: line {}: ", path, number);
    std::vector<double> row;
    for (const std::string& field : split(line)) {
      const auto [end, error] = std::from_chars(field.data(), field.data() + field.size(), row.emplace_back());
      if (error != std::errc() || end != field.data() + field.size())
        fail(place + '"' + field.substr(0, 40) + "\" is not a number");
    }
    if (row.size() != history.columns_.size())
      fail(fmt::format("{}{} fields, but the first line has {}", place, row.size(), history.columns_.size()));
    history.rows_.push_back(std::move(row));
  }
  return history;
}

}  // namespace gradus
