#include <cstdlib>
#include <string>

#include "emulator/emulator.h"

namespace gradus::emulator {

static const char* or_empty(const char* value) { return value ? value : ""; }

static long from_environment(const std::string& name, long otherwise) {
  const char* value = std::getenv(("GRADUS_CUDA_EMULATOR_" + name).c_str());
  return value ? std::atol(value) : otherwise;
}

Settings& settings() {
  // Never destroyed: the report is made when all else is.
  static Settings& settings = *new Settings{.shuffle = static_cast<unsigned>(from_environment("SHUFFLE", 0)),
                                            .lazy = from_environment("LAZY", 0) != 0,
                                            .threads = static_cast<int>(from_environment("THREADS", 1)),
                                            .report = std::getenv("GRADUS_CUDA_REPORT") != nullptr,
                                            .gpu = or_empty(std::getenv("GRADUS_CUDA_GPU")),
                                            .registers = or_empty(std::getenv("GRADUS_CUDA_REGISTERS"))};
  return settings;
}

}  // namespace gradus::emulator
