#pragma once
// For tests of file formats: a folder that cleans up after itself, and the text of an error.

#include <stdlib.h>

#include <filesystem>
#include <fstream>
#include <iterator>
#include <string>
#include <string_view>

#include "core/error.h"
#include "core/random.h"

namespace gradus::files {

class TemporaryFolder {
 public:
  TemporaryFolder() {
    std::string name = (std::filesystem::temp_directory_path() / "gradus-").string() + std::string(6, 'X');
    if (!mkdtemp(name.data())) throw std::runtime_error("cannot make a temporary folder");
    path_ = name;
  }
  ~TemporaryFolder() { std::filesystem::remove_all(path_); }
  TemporaryFolder(const TemporaryFolder&) = delete;
  TemporaryFolder& operator=(const TemporaryFolder&) = delete;

  std::string path(const std::string& name) const { return (path_ / name).string(); }
  /// Writes a file and returns its path.
  std::string write(const std::string& name, std::string_view contents) const {
    std::filesystem::create_directories(std::filesystem::path(path(name)).parent_path());
    std::ofstream(path(name), std::ios::binary) << contents;
    return path(name);
  }
  std::string read(const std::string& name) const {
    std::ifstream file(path(name), std::ios::binary);
    return {std::istreambuf_iterator<char>(file), {}};
  }
  /// The number of files in the folder itself.
  int64_t count() const { return std::distance(std::filesystem::directory_iterator(path_), {}); }

 private:
  std::filesystem::path path_;
};

/// What the error that f throws says, without the place " (file.cpp:12)" at its end and without the folder of `path`.
template <class F> std::string error_text(const F& f, const std::string& path = {}) {
  try {
    f();
  } catch (const Error& error) {
    std::string text = error.what();
    if (const std::string place = " (" + to_string(error.where()) + ')'; text.ends_with(place))
      text.resize(text.size() - place.size());
    const std::string folder = std::filesystem::path(path).parent_path().string() + '/';
    for (size_t at; folder.size() > 1 && (at = text.find(folder)) != text.npos;) text.erase(at, folder.size());
    return text;
  }
  return "no error";
}

/// Calls `read` with the paths of many damaged copies of a file, each of which must be read or refused with an Error:
/// anything else ends the test. Returns how many were refused.
template <class F> int count_refused(const TemporaryFolder& folder, const std::string& contents, const F& read) {
  int refused = 0;
  for (uint64_t round = 0; round < 2000; ++round) {
    std::string damaged = contents;
    const auto words = philox(1, round);
    for (uint32_t change = 0; change <= words[0] % 3; ++change) {
      const auto [kind, place, value, unused] = philox(words[1], change);
      const size_t at = place % (damaged.size() + 1);
      if (kind % 4 == 0) damaged.resize(at);
      else if (kind % 4 == 1) damaged.insert(at, 1, char(value));
      else if (at < damaged.size()) damaged[at] = kind % 4 == 2 ? char(value) : char(damaged[at] + 1);
    }
    const std::string path = folder.write("damaged", damaged);
    try {
      read(path);
    } catch (const Error&) {
      ++refused;
    }
  }
  return refused;
}

}  // namespace gradus::files
