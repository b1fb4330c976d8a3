#pragma once
// Files: read with their size known beforehand, written under a temporary name.

#include <cstdint>
#include <cstdio>
#include <memory>
#include <string>
#include <string_view>

namespace gradus {

/// A regular file opened for reading. Its size is known before anything is allocated for its contents.
class InputFile {
 public:
  /// Fails if there is no such file, or it cannot be read.
  explicit InputFile(const std::string& path);
  const std::string& path() const { return path_; }
  /// The bytes that have not been read yet.
  uint64_t left() const { return left_; }
  /// Reads the next `bytes` bytes; fails if fewer are left.
  void read(void* to, uint64_t bytes);
  /// Reads all that is left.
  std::string read_text();
  /// Fails with "path: message".
  [[noreturn, gnu::cold]] void fail(const std::string& message) const;

 private:
  std::string path_;
  std::shared_ptr<std::FILE> file_;
  uint64_t left_ = 0;
};

/// A file that appears under its name only when it is complete: what is written goes to a temporary file beside it,
/// which commit() renames. Without a commit() nothing is left behind.
class OutputFile {
 public:
  /// Fails if the folder does not exist or cannot be written to.
  explicit OutputFile(const std::string& path);
  ~OutputFile();
  OutputFile(const OutputFile&) = delete;
  OutputFile& operator=(const OutputFile&) = delete;
  void write(const void* data, uint64_t bytes);
  void write(std::string_view text) { write(text.data(), text.size()); }
  /// Puts everything on the disk and the file in its place.
  void commit();

 private:
  std::string path_, temporary_;
  std::FILE* file_;
};

/// Writes a whole text file.
void write_file(const std::string& path, std::string_view text);

}  // namespace gradus
