#pragma once
// The memory behind a tensor, shared by all its views.

#include <cstddef>
#include <cstdint>
#include <functional>
#include <new>

#include "core/allocator.h"
#include "core/device.h"
#include "core/ref.h"

namespace gradus {

/// A block of memory on one device. On the CPU the block lies behind this header, in one allocation.
class alignas(64) Storage : public RefCounted {
 public:
  /// Uninitialised memory of the CPU, aligned to 64 bytes, from the caching allocator.
  static Ref<Storage> allocate(size_t bytes) {
    void* block = gradus::allocate(sizeof(Storage) + bytes);
    return Ref(new (block) Storage(static_cast<char*>(block) + sizeof(Storage), bytes, Device::cpu()));
  }
  /// Memory owned by somebody else; `release` runs when the last tensor on it is gone.
  static Ref<Storage> foreign(void* data, size_t bytes, Device device, std::function<void()> release);

  void* data() const { return data_; }
  size_t bytes() const { return bytes_; }
  Device device() const { return device_; }

  /// How often the contents were changed in place since they were first written.
  uint32_t version() const { return uint32_t(version_.value()); }
  void bump_version() { version_.add(1); }

  /// The number of storages alive in the process: what a leak test looks at.
  static int64_t live() { return live_.value(); }
  static void dispose(Storage* storage);

 private:
  Storage(void* data, size_t bytes, Device device) : data_(data), bytes_(bytes), device_(device) { live_.add(1); }
  ~Storage() { live_.add(-1); }

  void* data_;
  size_t bytes_;
  std::function<void()>* release_ = nullptr;
  Counter version_;
  Device device_;
  static inline constinit Counter live_;
};

}  // namespace gradus
