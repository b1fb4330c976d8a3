#include "core/file.h"

#include <unistd.h>

#include <atomic>
#include <cerrno>
#include <cstring>
#include <filesystem>

#include "core/error.h"

namespace gradus {

InputFile::InputFile(const std::string& path) : path_(path) {
  const std::filesystem::path name(path);
  std::error_code error;
  const auto status = std::filesystem::status(name, error);
  if (!std::filesystem::exists(status)) fail("there is no such file");
  if (!std::filesystem::is_regular_file(status)) fail("this is not a regular file");
  if (std::FILE* file = std::fopen(path.c_str(), "rb")) file_.reset(file, &std::fclose);
  else fail(std::string("cannot be opened (") + std::strerror(errno) + ')');
  left_ = std::filesystem::file_size(name, error);
  if (error) fail("its size cannot be read (" + error.message() + ')');
}

void InputFile::read(void* to, uint64_t bytes) {
  if (bytes > left_)
    fail("the file is truncated: " + std::to_string(bytes) + " more bytes are due and " + std::to_string(left_) +
         " are left");
  if (std::fread(to, 1, bytes, file_.get()) != bytes) fail("cannot be read");
  left_ -= bytes;
}

std::string InputFile::read_text() {
  std::string text(left_, '\0');
  read(text.data(), text.size());
  return text;
}

void InputFile::fail(const std::string& message) const { gradus::fail(path_ + ": " + message); }

OutputFile::OutputFile(const std::string& path) : path_(path) {
  static std::atomic<int> count{0};
  std::error_code error;
  const auto status = std::filesystem::status(path, error);
  const bool in_place =
      std::filesystem::exists(status) && !std::filesystem::is_regular_file(status);  // such as /dev/stdout
  if (std::filesystem::is_symlink(path, error) && !in_place)
    path_ = std::filesystem::weakly_canonical(path, error).string();
  if (!in_place) temporary_ = path_ + '.' + std::to_string(getpid()) + '.' + std::to_string(++count) + ".tmp";
  file_ = std::fopen(in_place ? path_.c_str() : temporary_.c_str(), "wb");
  if (!file_) fail(path_ + ": cannot be written (" + std::strerror(errno) + ')');
}

OutputFile::~OutputFile() {
  if (!file_) return;
  std::fclose(file_);
  if (!temporary_.empty()) std::remove(temporary_.c_str());
}

void OutputFile::write(const void* data, uint64_t bytes) {
  if (std::fwrite(data, 1, bytes, file_) != bytes) fail(path_ + ": cannot be written (" + std::strerror(errno) + ')');
}

void OutputFile::commit() {
  const bool flushed = std::fflush(file_) == 0 && (temporary_.empty() || fsync(fileno(file_)) == 0);
  const bool closed = std::fclose(file_) == 0;
  file_ = nullptr;
  if (flushed && closed && (temporary_.empty() || std::rename(temporary_.c_str(), path_.c_str()) == 0)) return;
  const std::string reason = std::strerror(errno);
  if (!temporary_.empty()) std::remove(temporary_.c_str());
  fail(path_ + ": cannot be written (" + reason + ')');
}

void write_file(const std::string& path, std::string_view text) {
  OutputFile file(path);
  file.write(text);
  file.commit();
}

}  // namespace gradus
