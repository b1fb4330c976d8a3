#include "trace.h"

#include <link.h>

#include <map>

#include "device.h"
#include "emulator/emulator.h"
#include "order.h"
#include "requests.h"
#include "shadow.h"
#include "source.h"

namespace gradus::emulator::trace {

constinit bool enabled = false;

namespace {

struct Range {
  std::uintptr_t begin = 0, end = 0;
  bool holds(const void* memory) const {
    const auto address = reinterpret_cast<std::uintptr_t>(memory);
    return address >= begin && address < end;
  }
};

// The program or library that a kernel belongs to: its code and constants, and its thread-local variables.
struct Module {
  Range image, thread_locals;
};

struct State {
  Order order;
  Shadow shared, global;
  std::uint64_t launches = 0, blocks = 0;                  // so far: the eras of the two
  std::uint32_t block = 0;                                 // the number of the running one in the grid
  Module module;                                           // of the running kernel
  Range arguments;                                         // of the running kernel
  std::map<const char*, std::vector<bool>> device_memory;  // by where it begins: which bytes were written
};

State& state() {
  static State& state = *new State;  // never destroyed: device memory may be freed when the program ends
  return state;
}

Module module_of(const void* function) {
  struct Search {
    const void* function;
    Module found;
  } search{function, {}};
  dl_iterate_phdr(
      [](dl_phdr_info* info, std::size_t, void* data) {
        Search& wanted = *static_cast<Search*>(data);
        Module module{{~std::uintptr_t{0}, 0}, {}};
        for (int i = 0; i < info->dlpi_phnum; ++i) {
          const auto& segment = info->dlpi_phdr[i];
          const std::uintptr_t begin = info->dlpi_addr + segment.p_vaddr;
          if (segment.p_type == PT_LOAD) {
            module.image.begin = std::min(module.image.begin, begin);
            module.image.end = std::max(module.image.end, begin + segment.p_memsz);
          } else if (segment.p_type == PT_TLS) {
            module.thread_locals.begin = reinterpret_cast<std::uintptr_t>(info->dlpi_tls_data);
            module.thread_locals.end = module.thread_locals.begin + segment.p_memsz;
          }
        }
        if (module.image.holds(wanted.function)) wanted.found = module;
        return static_cast<int>(module.image.holds(wanted.function));
      },
      &search);
  return search.found;
}

// ---- what is said of a defect

std::string verb(Kind kind) {
  return kind == Kind::load ? "reads " : kind == Kind::store ? "writes " : "atomically updates ";
}

std::string count_of_bytes(std::uintptr_t bytes) { return std::to_string(bytes) + (bytes == 1 ? " byte" : " bytes"); }

// "byte 12 of 256 bytes of device memory"; out of bounds, counted from the nearest.
std::string place_of(const void* address) {
  const auto& memory = state().device_memory;
  const char* at = static_cast<const char*>(address);
  const auto next = memory.upper_bound(at);
  std::string text = "an address that is not in device memory";
  std::ptrdiff_t nearest = 1 << 20;
  auto measure = [&](auto it, std::ptrdiff_t distance) {
    if (distance >= nearest) return;
    nearest = distance;
    text = "byte " + std::to_string(at - it->first) + " of " + count_of_bytes(it->second.size()) + " of device memory";
  };
  if (next != memory.begin()) {
    const auto before = std::prev(next);
    measure(before, std::max<std::ptrdiff_t>(at - before->first - std::ssize(before->second), -1));
  }
  if (next != memory.end()) measure(next, next->first - at);
  return text;
}

uint3 index_of(std::uint32_t number, dim3 size) {
  return {number % size.x, number / size.x % size.y, number / size.x / size.y};
}

[[noreturn]] void fail(std::string what) { current->block->fail(std::move(what)); }

std::string in_line(const void* instruction) { return " (" + source_line(instruction) + ")"; }

[[noreturn]] void fail_unordered(const Access& other, Kind other_kind, const Access& mine, Kind kind, Space space,
                                 const void* address) {
  const Launch& launch = current->block->launch();
  const bool same_block = other.block == mine.block;
  std::string what = verb(kind) + (space == Space::shared ? "shared memory" : place_of(address));
  what += in_line(mine.instruction) + " that thread " + to_string(index_of(other.thread, launch.block)) + " ";
  if (!same_block) what += "of block " + to_string(index_of(other.block, launch.grid)) + " ";
  what += verb(other.is_atomic ? Kind::atomic : other_kind);
  what.pop_back();
  what += in_line(other.instruction) + ": ";
  if (!same_block) what += "blocks have no order";
  else if (other.thread / 32 == mine.thread / 32) what += "no __syncwarp lies between";
  else what += "no barrier lies between";
  fail(std::move(what));
}

// ---- the checks

bool unordered(const Access& earlier, const Access& mine) {
  if (!earlier.instruction || (earlier.is_atomic && mine.is_atomic)) return false;
  return earlier.block != mine.block || !state().order.is_past(earlier.thread, earlier.time, mine.thread);
}

// Of the two reads one is replaced: one that is past, else one of the same warp or at least of the same block.
void note_read(Cell& cell, const Access& mine) {
  Access* replaced = &cell.reads[1];
  int least = 3;
  for (Access& read : cell.reads) {
    const bool same_block = read.block == mine.block, same_warp = same_block && read.thread / 32 == mine.thread / 32;
    const int loss = !unordered(read, mine) ? 0 : same_warp ? 1 : same_block ? 2 : 3;
    if (loss < least) least = loss, replaced = &read;
  }
  *replaced = mine;
}

void check_order(const Access& mine, const void* memory, std::size_t bytes, Kind kind, Space space) {
  State& s = state();
  Shadow& shadow = space == Space::shared ? s.shared : s.global;
  shadow.for_cells(memory, bytes, space == Space::shared ? s.blocks : s.launches, [&](Cell& cell) {
    if (space == Space::shared && kind != Kind::store && !cell.write.instruction)
      fail(verb(kind) + "shared memory" + in_line(mine.instruction) +
           " that no thread of the block has written so far");
    if (unordered(cell.write, mine)) fail_unordered(cell.write, Kind::store, mine, kind, space, memory);
    if (kind == Kind::load) return note_read(cell, mine);
    for (const Access& read : cell.reads)
      if (unordered(read, mine)) fail_unordered(read, Kind::load, mine, kind, space, memory);
    cell.write = mine;
  });
}

// The bytes of device memory at an address, and where in them that lies; null if there are none.
std::pair<std::vector<bool>*, std::size_t> find(const void* address) {
  auto& memory = state().device_memory;
  auto next = memory.upper_bound(static_cast<const char*>(address));
  if (next == memory.begin()) return {nullptr, 0};
  auto& [begin, bytes] = *std::prev(next);
  return {&bytes, static_cast<std::size_t>(static_cast<const char*>(address) - begin)};
}

void check_device_memory(const void* instruction, const void* memory, std::size_t size, Kind kind) {
  const auto [bytes, offset] = find(memory);
  if (!bytes || offset + size > bytes->size())
    fail(verb(kind) + count_of_bytes(size) + in_line(instruction) + " out of bounds, from " + place_of(memory));
  const int device = find_device_memory(memory)->device, mine = current->block->launch().device;
  if (device != mine)
    fail("runs on device " + std::to_string(mine) + " and " + verb(kind) + place_of(memory) + in_line(instruction) +
         ", which lies on device " + std::to_string(device));
  for (std::size_t i = offset; i < offset + size; ++i) {
    if (kind != Kind::store && !(*bytes)[i])
      fail(verb(kind) + place_of(memory) + in_line(instruction) + ", which nobody has written");
    (*bytes)[i] = true;
  }
}

// What lies in no memory of a GPU: parameters, constants, threadIdx and its like.
bool is_no_memory(const void* address) {
  for (const void* variable : {static_cast<const void*>(&threadIdx), static_cast<const void*>(&blockIdx),
                               static_cast<const void*>(&blockDim), static_cast<const void*>(&gridDim)})
    if (address >= variable && address < static_cast<const char*>(variable) + sizeof(dim3)) return true;
  const State& s = state();
  return s.arguments.holds(address) || (s.module.image.holds(address) && !s.module.thread_locals.holds(address));
}

}  // namespace

void access(const void* instruction, const void* memory, std::size_t bytes, Kind kind, bool must_be_aligned) {
  const Thread* me = current;
  if (!me || me->fiber->owns(memory) || is_no_memory(memory)) return;  // of the host, or local to the thread
  State& s = state();
  const bool shared = me->block->shares(memory) || s.module.thread_locals.holds(memory);
  const Space space = shared ? Space::shared : Space::global;
  if (!shared) check_device_memory(instruction, memory, bytes, kind);
  if (must_be_aligned && reinterpret_cast<std::uintptr_t>(memory) % bytes != 0)
    fail(verb(kind) + count_of_bytes(bytes) + in_line(instruction) + " at an address that is no multiple of " +
         std::to_string(bytes));
  check_order(
      {instruction, s.block, s.order.now(me->number), static_cast<std::uint16_t>(me->number), kind == Kind::atomic},
      memory, bytes, kind, space);
  if (settings().report) requests().add(me->number, {instruction, space, kind, memory, bytes});
}

static std::size_t threads_of(const Launch& launch) {
  return std::size_t{launch.block.x} * launch.block.y * launch.block.z;
}

void begin_launch(const Launch& launch) {
  State& s = state();
  ++s.launches;
  blockDim = launch.block;  // a library's thread-local variables lie somewhere only when the first is used
  s.module = module_of(launch.kernel.function);
  const auto call = reinterpret_cast<std::uintptr_t>(launch.kernel.call.get());
  s.arguments = {call, call + launch.kernel.call_size};
  if (settings().report) requests().begin_launch(launch.kernel.function, threads_of(launch), launch.shared);
}

void begin_block(const Launch& launch, uint3 index) {
  State& s = state();
  const std::size_t threads = threads_of(launch);
  ++s.blocks;
  s.block = index.x + launch.grid.x * (index.y + launch.grid.y * index.z);
  s.order.begin(threads);
  if (settings().report) requests().begin_block(threads);
}

void barrier() {
  state().order.barrier();
  if (settings().report) requests().barrier();
}

void meet(unsigned warp, unsigned mask) {
  state().order.meet(warp, mask);
  if (settings().report) requests().meet(warp, mask);
}

void leave(unsigned thread) {
  if (settings().report) requests().leave(thread);
}

void allocated(const void* memory, std::size_t bytes) {
  state().device_memory[static_cast<const char*>(memory)].assign(bytes, false);
}

void freed(const void* memory) {
  const auto known = state().device_memory.find(static_cast<const char*>(memory));
  state().global.forget(memory, known->second.size());
  state().device_memory.erase(known);
}

void written(const void* memory, std::size_t bytes) {
  const auto [known, offset] = find(memory);
  if (!known || offset >= known->size()) return;
  const auto begin = known->begin() + static_cast<std::ptrdiff_t>(offset);
  std::fill(begin, begin + static_cast<std::ptrdiff_t>(std::min(bytes, known->size() - offset)), true);
}

void copied(const void* to, const void* from, std::size_t bytes) {
  const auto [source, source_offset] = find(from);
  const auto [target, target_offset] = find(to);
  if (!target || target_offset + bytes > target->size()) return;
  if (!source || source_offset + bytes > source->size()) return written(to, bytes);
  for (std::size_t i = 0; i < bytes; ++i) (*target)[target_offset + i] = (*source)[source_offset + i];
}

}  // namespace gradus::emulator::trace
