#pragma once
// What AddressSanitizer must be told about stacks and memory; nothing in other builds.

#include <cstddef>

#ifdef __has_feature
#if __has_feature(address_sanitizer)
#define GRADUS_ADDRESS_SANITIZER
#endif
#elif defined(__SANITIZE_ADDRESS__)
#define GRADUS_ADDRESS_SANITIZER
#endif

#ifdef GRADUS_ADDRESS_SANITIZER
#include <sanitizer/asan_interface.h>
#include <sanitizer/common_interface_defs.h>
#endif

namespace gradus::emulator {

/// Makes every access to the bytes an error, until allowed again.
inline void forbid_access([[maybe_unused]] const void* begin, [[maybe_unused]] std::size_t size) {
#ifdef GRADUS_ADDRESS_SANITIZER
  ASAN_POISON_MEMORY_REGION(begin, size);
#endif
}
inline void allow_access([[maybe_unused]] const void* begin, [[maybe_unused]] std::size_t size) {
#ifdef GRADUS_ADDRESS_SANITIZER
  ASAN_UNPOISON_MEMORY_REGION(begin, size);
#endif
}

}  // namespace gradus::emulator
