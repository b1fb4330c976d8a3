#include <cstdlib>
#include <string>

#include "emulator/emulator.h"

namespace gradus::emulator {

static long from_environment(const std::string& name, long otherwise) {
  const char* value = std::getenv(("GRADUS_CUDA_EMULATOR_" + name).c_str());
  return value ? std::atol(value) : otherwise;
}

Settings& settings() {
  static Settings settings{.shuffle = static_cast<unsigned>(from_environment("SHUFFLE", 0)),
                           .lazy = from_environment("LAZY", 0) != 0,
                           .threads = static_cast<int>(from_environment("THREADS", 1)),
                           .report = std::getenv("GRADUS_CUDA_REPORT") != nullptr};
  return settings;
}

}  // namespace gradus::emulator
