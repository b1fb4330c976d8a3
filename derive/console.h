#pragma once
// Where the stepper reads commands from and writes to: a terminal, or streams.

#include <functional>
#include <iosfwd>
#include <memory>
#include <string>
#include <string_view>
#include <vector>

namespace gradus {

/// Marks in text for Console::write. As control characters they cannot come from names, which are printed without any.
namespace mark {
constexpr const char *strong = "\x01", *faint = "\x02", *good = "\x03", *bad = "\x04", *end = "\x05";
}

class LineEditor;

/// Reads lines and writes text.
class Console {
 public:
  /// What the last word of a line may become.
  using Completion = std::function<std::vector<std::string>(const std::string& line)>;

  /// Standard input and output.
  explicit Console(Completion completion);
  Console(std::istream& in, std::ostream& out);
  ~Console();

  /// Asks for a line; false at the end of the input.
  bool read(const std::string& prompt, std::string& line);
  /// Writes text with marks, as colours or without, and without any other control characters than ends of lines.
  void write(std::string_view text);

 private:
  std::istream& in_;
  std::ostream& out_;
  bool colored_ = false;
  bool echo_ = true;  // the input is not seen otherwise
  std::unique_ptr<LineEditor> editor_;
};

}  // namespace gradus
