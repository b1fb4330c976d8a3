#pragma once
// The course of a training as a table: a row for each epoch (or step), a column for each value.

#include <string>
#include <utility>
#include <vector>

#include "nn/chart.h"

namespace gradus {

/// Rows of named numbers, kept as a CSV file and drawn as charts.
///
///   History history;
///   history.add({{"epoch", 1}, {"train loss", 0.52}, {"test loss", 0.48}});
///   history.save("run.csv");
///   write_svg("run.svg", {history.chart("loss")});
class History {
 public:
  using Row = std::vector<std::pair<std::string, double>>;

  /// The first row names the columns; every other one must have the same. Names hold no comma, quote or line break.
  void add(const Row& row, Location where = Location::here());
  /// Drops all rows but the first `rows`.
  void truncate(size_t rows);

  /// The number of rows.
  size_t size() const { return rows_.size(); }
  const std::vector<std::string>& columns() const { return columns_; }
  /// The values of a column, from the first row to the last.
  std::vector<double> column(const std::string& name, Location where = Location::here()) const;
  /// The columns called `metric`, or "… metric", over the first column: a line each.
  Chart chart(const std::string& metric) const;

  /// Writes a CSV file, with all digits.
  void save(const std::string& path, Location where = Location::here()) const;
  /// Reads what save() has written. A damaged file is an error that names the line.
  static History load(const std::string& path, Location where = Location::here());

 private:
  std::vector<std::string> columns_;
  std::vector<std::vector<double>> rows_;
};

}  // namespace gradus
