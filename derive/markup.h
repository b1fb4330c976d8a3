#pragma once
// The languages in which documents are written.

#include <string>
#include <string_view>
#include <vector>

namespace gradus {

/// What a document consists of. `latex` is mathematics; what else is passed must have come out of text() or code(), or
/// hold letters and digits only.
class Markup {
 public:
  virtual ~Markup() = default;
  virtual std::string begin() const = 0;
  virtual std::string end() const = 0;
  virtual std::string heading(int level, const std::string& content) const = 0;
  virtual std::string paragraph(const std::string& content) const = 0;
  /// Within a line.
  virtual std::string math(const std::string& latex) const = 0;
  /// On lines of its own.
  virtual std::string display(const std::string& latex) const = 0;
  /// Text of the program, whatever it holds.
  virtual std::string code(std::string_view text) const = 0;
  /// Five columns; the first row is the head.
  virtual std::string table(const std::vector<std::vector<std::string>>& rows) const = 0;
};

const Markup& markdown();
const Markup& latex();

}  // namespace gradus
