#include "source.h"

#include <dlfcn.h>
#include <link.h>
#include <unistd.h>

#include <cstdio>
#include <map>
#include <span>
#include <sstream>

namespace gradus::emulator {
namespace {

struct Frame {
  std::string function, line;
};

// The frames that were inlined into one another at an address, innermost first. Never destroyed: see report.cpp.
std::map<const void*, std::vector<Frame>>& known = *new std::map<const void*, std::vector<Frame>>;

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

void look_up(std::span<const void* const> addresses) {
  constexpr std::size_t most = 4096;  // fit into one command
  if (addresses.size() > most) {
    look_up(addresses.subspan(most));
    addresses = addresses.first(most);
  }
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
  look_up_functions({function});
  const auto& frames = known[function];
  std::string name = frames.empty() || frames.back().function == "??" ? "a kernel" : frames.back().function;
  for (const std::string needless : {"(anonymous namespace)::", "void ", "gradus::cuda::", "gradus::"})
    for (std::size_t at; (at = name.find(needless)) != std::string::npos;) name.erase(at, needless.size());
  int depth = 0;  // of template arguments, which may have parentheses
  for (std::size_t i = 0; i < name.size(); ++i) {
    depth += (name[i] == '<') - (name[i] == '>');
    if (name[i] == '(' && depth == 0) return name.substr(0, i);
  }
  return name;
}

void look_up_functions(const std::vector<const void*>& functions) { look_up(functions); }

void look_up_lines(const std::vector<const void*>& return_addresses) {
  std::vector<const void*> addresses;
  for (const void* address : return_addresses) addresses.push_back(before(address));
  look_up(addresses);
}

std::string source_line(const void* return_address) {
  look_up_lines({return_address});
  std::string innermost, outermost;
  for (const Frame& frame : known[before(return_address)]) {
    if (frame.line.find("/cuda/emulator/include/") != std::string::npos) continue;
    if (frame.line.find("/include/c++/") != std::string::npos) continue;
    outermost = file_name(frame.line);
    if (innermost.empty()) innermost = outermost;
  }
  if (innermost.empty()) return "an unknown line";
  const auto file = [](const std::string& line) { return line.substr(0, line.find(':')); };
  return file(innermost) == file(outermost) ? innermost : innermost + " in " + outermost;
}

}  // namespace gradus::emulator
