#include "core/cuda.h"

#include <dlfcn.h>

#include <algorithm>
#include <atomic>
#include <cstddef>
#include <memory>
#include <string>
#include <utility>
#include <vector>

#include "core/error.h"
#include "core/random.h"

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

// What each launch of a graph begins with: values computed for it, which the graph finds in memory of the device, and
// random numbers set aside for it.
class Prologue {
 public:
  explicit Prologue(Device device) : device_(device) {}

  // Memory that no step has used before: of the graph, but taken first. Tensors that the step made may outlive the
  // graph.
  void begin_recording() { memory_ = runtime().allocate(capacity, device_); }

  const void* add(size_t bytes, std::function<void(void*)> compute) {
    const size_t place = values_.size(), end = place + (bytes + 15) / 16 * 16;
    if (end > capacity) fail("a CUDA graph has room for 1 MiB of what is computed at each launch");
    values_.resize(end);
    computations_.emplace_back(std::move(compute), place);
    return static_cast<std::byte*>(memory_->data()) + place;
  }

  const GeneratorState* draw(Generator& generator, GeneratorState drawn) {
    size_t i = 0;
    while (i < draws_.size() && draws_[i].generator != &generator) ++i;
    if (i == draws_.size()) draws_.push_back({&generator, drawn, 0});
    if (drawn.seed != draws_[i].start.seed) fail("a CUDA graph cannot record that a generator gets another seed");
    const uint64_t before = drawn.offset - draws_[i].start.offset;
    return static_cast<const GeneratorState*>(add(sizeof drawn, [this, i, before](void* to) {
      new (to) GeneratorState{draws_[i].start.seed, draws_[i].start.offset + before};
    }));
  }

  void keep(Ref<Storage> memory) { kept_.push_back(std::move(memory)); }

  // Recording has drawn nothing yet.
  void end_recording() {
    for (Draws& draws : draws_) {
      draws.count = draws.generator->state().offset - draws.start.offset;
      draws.generator->set_state(draws.start);
    }
  }

  void run() {
    for (Draws& draws : draws_) draws.start = draws.generator->reserve(draws.count);
    for (const auto& [compute, place] : computations_) compute(values_.data() + place);
    for (size_t i = 0; i < values_.size(); i += sent_at_once)
      runtime().copy(static_cast<std::byte*>(memory_->data()) + i, device_, values_.data() + i, Device::cpu(),
                     std::min(sent_at_once, values_.size() - i));
  }

 private:
  static constexpr size_t capacity = 1 << 20;
  struct Draws {
    Generator* generator;
    GeneratorState start;  // of a launch
    uint64_t count;        // of the counters that a launch sets aside
  };
  Device device_;
  Ref<Storage> memory_;
  std::vector<Ref<Storage>> kept_;
  std::vector<std::byte> values_;
  std::vector<std::pair<std::function<void(void*)>, size_t>> computations_;
  std::vector<Draws> draws_;
};

constinit thread_local Prologue* capturing = nullptr;

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
  const auto prologue = std::make_shared<Prologue>(device);
  struct Capturing {
    explicit Capturing(Prologue& prologue) { capturing = &prologue; }
    ~Capturing() {
      capturing->end_recording();
      capturing = nullptr;
    }
  } const now(*prologue);
  const auto recorded = [&] {
    prologue->begin_recording();
    step();
  };
  return [prologue, launch = runtime().capture(recorded, device)] {
    prologue->run();
    launch();
  };
}
bool is_capturing() { return capturing; }
const void* computed_each_launch(size_t bytes, std::function<void(void*)> compute) {
  return capturing->add(bytes, std::move(compute));
}
void keep_for_launches(Ref<Storage> memory) { capturing->keep(std::move(memory)); }
const GeneratorState* drawn_each_launch(Generator& generator, GeneratorState drawn) {
  return capturing->draw(generator, drawn);
}

void synchronize(Device device) { runtime().synchronize(device); }

std::function<void()> record_event(Device device) {
  if (device.is_cpu()) return [] {};
  return runtime().record_event(device);
}

}  // namespace gradus::cuda
