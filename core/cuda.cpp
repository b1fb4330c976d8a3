#include "core/cuda.h"

#include <dlfcn.h>

#include <atomic>
#include <string>

#include "core/error.h"

namespace gradus::cuda {
namespace {

struct Library {
  void* handle = nullptr;
  const Runtime* runtime = nullptr;
  std::string why_not;
};

// Looked for beside the library, or program, that this function is in, then where the system looks.
Library load() {
  constexpr const char* name = "libgradus_cuda.so";
  Library library;
  Dl_info here;
  if (dladdr(reinterpret_cast<void*>(&device_count), &here) && here.dli_fname) {
    const std::string path = here.dli_fname;
    library.handle = dlopen((path.substr(0, path.rfind('/') + 1) + name).c_str(), RTLD_NOW | RTLD_LOCAL);
  }
  if (!library.handle) library.handle = dlopen(name, RTLD_NOW | RTLD_LOCAL);
  if (library.handle) library.runtime = static_cast<const Runtime*>(dlsym(library.handle, "gradus_cuda_runtime"));
  if (!library.runtime) {
    const char* reason = dlerror();
    library.why_not = reason ? reason : "not found";
  } else if (library.runtime->device_count() < 1) {
    library.why_not = "the driver finds no GPU";
  }
  return library;
}

const Library& library() {
  static const Library* loaded = new Library(load());  // never destroyed: tensors may outlive everything else
  return *loaded;
}

constinit std::atomic<bool> tf32_allowed{false};
constinit thread_local bool capturing = false;

}  // namespace

bool allow_tf32() { return tf32_allowed; }
void set_allow_tf32(bool allow) { tf32_allowed = allow; }

int device_count() { return library().why_not.empty() ? library().runtime->device_count() : 0; }

const Runtime& runtime() {
  if (!library().why_not.empty()) fail("there is no CUDA device (" + library().why_not + ")");
  return *library().runtime;
}

const void* find_symbol(const char* name) {
  runtime();
  return dlsym(library().handle, name);
}

std::function<void()> graphed(const std::function<void()>& step, Device device) {
  if (capturing) fail("graphed: a step that is being recorded cannot record another");
  step();
  struct Capturing {
    Capturing() { capturing = true; }
    ~Capturing() { capturing = false; }
  } const now;
  return runtime().capture(step, device);
}
bool is_capturing() { return capturing; }

void synchronize(Device device) { runtime().synchronize(device); }

std::function<void()> record_event(Device device) {
  if (device.is_cpu()) return [] {};
  return runtime().record_event(device);
}

}  // namespace gradus::cuda
