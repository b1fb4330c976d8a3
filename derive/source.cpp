#include "derive/source.h"

#include <filesystem>
#include <fstream>

namespace gradus {
namespace {

using std::filesystem::path;

path found(const path& file) {
  std::error_code none;
  if (std::filesystem::exists(file, none)) return file;
  path inner;
  for (const path& part : file)
    if (part != "..") inner /= part;
  for (path folder :
       {std::filesystem::read_symlink("/proc/self/exe", none).parent_path(), std::filesystem::current_path(none)})
    for (; folder.has_relative_path(); folder = folder.parent_path())
      if (std::filesystem::exists(folder / inner, none)) return folder / inner;
  return file;
}

}  // namespace

std::vector<std::string> source_lines(Location where) {
  std::vector<std::string> lines;
  if (!where.file) return lines;
  std::ifstream file(found(where.file));
  for (std::string line; std::getline(file, line);) lines.push_back(line);
  return lines;
}

}  // namespace gradus
