#include <algorithm>
#include <charconv>
#include <cmath>
#include <limits>
#include <string_view>
#include <utility>

#include "core/file.h"
#include "nn/data.h"

namespace gradus::data {
namespace {

// The records of a CSV text (RFC 4180), one after the other. Empty lines are skipped.
class CsvReader {
 public:
  CsvReader(const std::string& path, char separator) : separator_(separator), file_(path), text_(file_.read_text()) {
    if (text_.starts_with("\xEF\xBB\xBF")) at_ = 3;  // a byte order mark
  }

  // The fields of the next record; none at the end.
  std::vector<std::string> next() {
    line_ = next_line_;
    std::vector<std::string> fields;
    std::string field;
    bool quoted = false;
    while (at_ < text_.size()) {
      const char c = text_[at_++];
      if (c == '\n') ++next_line_;
      if (quoted && c != '"') field += c;
      else if (quoted) {
        if (at_ < text_.size() && text_[at_] == '"') field += text_[at_++];
        else quoted = false;
      } else if (c == '"' && field.empty()) quoted = true;
      else if (c == separator_) fields.push_back(std::exchange(field, {}));
      else if (c != '\n') field += c;
      else if (end_record(fields, field)) return fields;
    }
    if (quoted) fail("a quote is not closed");
    end_record(fields, field);
    return fields;
  }

  [[noreturn]] void fail(const std::string& message) const {
    file_.fail("line " + std::to_string(line_) + ": " + message);
  }

 private:
  // Adds the last field of a line; false if the line was empty.
  bool end_record(std::vector<std::string>& fields, std::string& field) {
    if (field.ends_with('\r')) field.pop_back();
    if (fields.empty() && field.empty()) {
      line_ = next_line_;
      return false;
    }
    fields.push_back(std::move(field));
    return true;
  }

  char separator_;
  InputFile file_;
  std::string text_;
  size_t at_ = 0, line_ = 1, next_line_ = 1;
};

std::string_view trim(std::string_view text) {
  const size_t first = text.find_first_not_of(" \t"), last = text.find_last_not_of(" \t");
  return first == text.npos ? std::string_view() : text.substr(first, last - first + 1);
}

// Whether all of `text` is a number of type T, which goes to `value`.
template <class T> bool parse(std::string_view text, T& value) {
  text = trim(text);
  if (text.starts_with('+')) text.remove_prefix(1);
  const auto [end, error] = std::from_chars(text.data(), text.data() + text.size(), value);
  return error == std::errc() && end == text.data() + text.size();
}

float to_number(const CsvReader& reader, const std::string& field, size_t column) {
  double value;
  if (!parse(field, value))
    reader.fail("\"" + field.substr(0, 40) + "\" in column " + std::to_string(column) + " is not a number");
  if (std::isfinite(value) && std::fabs(value) > std::numeric_limits<float>::max())
    reader.fail(field + " in column " + std::to_string(column) + " does not fit a float32");
  return float(value);
}

// The numbers of the classes, line by line: those in the file, or else places in the sorted `names`.
std::vector<int64_t> to_classes(const std::vector<std::string>& fields, std::vector<std::string>& names) {
  std::vector<int64_t> classes(fields.size());
  size_t numbers = 0;
  while (numbers < fields.size() && parse(fields[numbers], classes[numbers]) && classes[numbers] >= 0) ++numbers;
  if (numbers == fields.size()) return classes;
  names = fields;
  std::sort(names.begin(), names.end());
  names.erase(std::unique(names.begin(), names.end()), names.end());
  for (size_t i = 0; i < fields.size(); ++i)
    classes[i] = std::lower_bound(names.begin(), names.end(), fields[i]) - names.begin();
  return classes;
}

}  // namespace

CsvDataset read_csv(const std::string& path, const CsvOptions& options, Location where) {
  const Scope scope("read_csv", where);
  CsvReader reader(path, options.separator);
  std::vector<std::string> first = reader.next();
  const auto width = int64_t(first.size());
  const int64_t target = options.target < 0 ? options.target + width : options.target;
  if (width == 0) fail(path + ": the file is empty");
  if (target < 0 || target >= width)
    fail(path + ": there is no column " + std::to_string(options.target) + " among " + std::to_string(width));

  CsvDataset result;
  if (options.header) {
    result.columns = std::exchange(first, reader.next());
    result.columns.erase(result.columns.begin() + target);
  }
  std::vector<float> inputs, targets;
  std::vector<std::string> classes;
  for (std::vector<std::string> fields = first; !fields.empty(); fields = reader.next()) {
    if (int64_t(fields.size()) != width)
      reader.fail(std::to_string(fields.size()) + " fields, but the first line has " + std::to_string(width));
    for (size_t column = 0; column < fields.size(); ++column) {
      if (int64_t(column) != target) inputs.push_back(to_number(reader, fields[column], column));
      else if (options.classes) classes.emplace_back(trim(fields[column]));
      else targets.push_back(to_number(reader, fields[column], column));
    }
  }
  const auto rows = int64_t(options.classes ? classes.size() : targets.size());
  result.inputs = Tensor::copy_of(inputs.data(), {rows, width - 1});
  result.targets = options.classes ? tensor(to_classes(classes, result.classes)) : tensor(targets);
  return result;
}

}  // namespace gradus::data
