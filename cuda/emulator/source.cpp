#include "source.h"

#include <dlfcn.h>
#include <link.h>
#include <unistd.h>

#include <cstdio>
#include <map>
#include <sstream>

namespace gradus::emulator {
namespace {

struct Frame {
  std::string function, line;
};

// The frames that were inlined into one another at an address, innermost first.
std::map<const void*, std::vector<Frame>> known;

std::string output_of(const std::string& command) {
  std::string output;
  if (FILE* pipe = popen(command.c_str(), "r")) {
    char buffer[4096];
    while (std::size_t count = std::fread(buffer, 1, sizeof buffer, pipe)) output.append(buffer, count);
    pclose(pipe);
  }
  return output;
}

std::string program() {
  char path[4096];
  const ssize_t length = readlink("/proc/self/exe", path, sizeof path);
  return length > 0 ? std::string(path, static_cast<std::size_t>(length)) : "";
}

void look_up(const std::vector<const void*>& addresses) {
  std::map<std::string, std::string> by_file;  // the arguments of addr2line
  std::map<std::pair<std::string, unsigned long>, const void*> places;
  for (const void* address : addresses) {
    Dl_info info;
    link_map* map = nullptr;
    if (known.count(address)) continue;
    known[address];
    if (!dladdr1(address, &info, reinterpret_cast<void**>(&map), RTLD_DL_LINKMAP)) continue;
    const std::string file = *map->l_name ? map->l_name : program();
    const unsigned long offset = reinterpret_cast<unsigned long>(address) - map->l_addr;
    std::ostringstream hexadecimal;
    hexadecimal << " 0x" << std::hex << offset;
    by_file[file] += hexadecimal.str();
    places[{file, offset}] = address;
  }
  for (const auto& [file, offsets] : by_file) {
    // For each address a line with it, then for each frame one with the function and one with file:line.
    std::istringstream lines(output_of("addr2line -a -f -i -C -e '" + file + "'" + offsets + " 2>/dev/null"));
    std::vector<Frame>* frames = nullptr;
    for (std::string first, second; std::getline(lines, first);) {
      if (first.rfind("0x", 0) == 0) {
        frames = &known[places[{file, std::stoul(first, nullptr, 16)}]];
      } else if (frames && std::getline(lines, second)) {
        frames->push_back({first, second.substr(0, second.find(" (discriminator"))});
      }
    }
  }
}

const void* before(const void* return_address) { return static_cast<const char*>(return_address) - 1; }

}  // namespace

std::string file_name(const std::string& path) { return path.substr(path.rfind('/') + 1); }

std::string function_name(const void* function) {
  look_up({function});
  const auto& frames = known[function];
  std::string name = frames.empty() || frames.back().function == "??" ? "a kernel" : frames.back().function;
  for (const std::string needless : {"(anonymous namespace)::", "void "})
    for (std::size_t at; (at = name.find(needless)) != std::string::npos;) name.erase(at, needless.size());
  return name.substr(0, name.find('('));
}

void look_up_lines(const std::vector<const void*>& return_addresses) {
  std::vector<const void*> addresses;
  for (const void* address : return_addresses) addresses.push_back(before(address));
  look_up(addresses);
}

std::string source_line(const void* return_address) {
  look_up({before(return_address)});
  for (const Frame& frame : known[before(return_address)]) {
    const bool own = frame.line.find("/cuda/emulator/include/") != std::string::npos;
    if (!own && frame.line.find("/include/c++/") == std::string::npos) return file_name(frame.line);
  }
  return "an unknown line";
}

}  // namespace gradus::emulator
