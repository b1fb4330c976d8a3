#pragma once
// Where a tensor's memory lies.

#include <cstddef>
#include <cstdint>
#include <ostream>
#include <string>

namespace gradus {

struct Device {
  enum class Kind : uint8_t { cpu, cuda };
  Kind kind = Kind::cpu;
  uint8_t index = 0;

  static constexpr Device cpu() { return {}; }
  static constexpr Device cuda(int index = 0) { return {Kind::cuda, uint8_t(index)}; }
  constexpr bool is_cpu() const { return kind == Kind::cpu; }
  constexpr bool operator==(const Device&) const = default;
};

inline std::string to_string(Device device) {
  return device.is_cpu() ? "cpu" : "cuda:" + std::to_string(int(device.index));
}

inline std::ostream& operator<<(std::ostream& out, Device device) { return out << to_string(device); }

}  // namespace gradus
