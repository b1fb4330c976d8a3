#include "block.h"

#include <algorithm>
#include <cstring>

#include "emulator/emulator.h"
#include "source.h"
#include "trace.h"

namespace gradus::emulator {

constinit thread_local Thread* current = nullptr;
}  // namespace gradus::emulator

constinit thread_local uint3 threadIdx{}, blockIdx{};
constinit thread_local dim3 blockDim, gridDim;

namespace gradus::emulator {

static void set_current(Thread* thread) {
  current = thread;
  if (thread) threadIdx = thread->index;
}

std::string to_string(Site where) { return file_name(where.file) + ":" + std::to_string(where.line); }
std::string hexadecimal(unsigned mask) {
  char text[16];
  std::snprintf(text, sizeof text, "0x%08x", mask);
  return text;
}
std::string to_string(uint3 index) {
  return "(" + std::to_string(index.x) + ", " + std::to_string(index.y) + ", " + std::to_string(index.z) + ")";
}

void Block::run(const Launch& launch, unsigned launch_number, uint3 index) {
  launch_ = &launch;
  const unsigned number = index.x + launch.grid.x * (index.y + launch.grid.y * index.z);
  random_.seed(settings().shuffle + 7919 * launch_number + 104729 * number);
  prepare(index);
  if (trace::enabled) trace::begin_block(launch, index);
  go_on(host_, next_ready());
  if (!error_.empty()) {
    const std::string who = failed_ ? ", thread " + to_string(failed_->index) + ": " : " ";
    fibers_.clear();  // with the threads that will never end
    idle_.clear();
    throw KernelError(function_name(launch.kernel.function) + ": block " + to_string(index) + who +
                      std::exchange(error_, {}));
  }
}

void Block::prepare(uint3 index) {
  blockIdx = index;
  blockDim = launch_->block;
  gridDim = launch_->grid;
  threads_.assign(std::size_t{blockDim.x} * blockDim.y * blockDim.z, Thread{});
  ready_.clear();
  uint3 next{};
  for (Thread& thread : threads_) {
    thread.index = next;
    thread.number = static_cast<unsigned>(&thread - threads_.data());
    thread.block = this;
    ready_.push_back(&thread);
    if (++next.x == blockDim.x) next.x = 0, ++next.y;
    if (next.y == blockDim.y) next.y = 0, ++next.z;
  }
  if (settings().shuffle) std::shuffle(ready_.begin(), ready_.end(), random_);
  at_barrier_.clear();
  meetings_.resize((threads_.size() + 31) / 32);
  for (auto& meetings : meetings_) meetings.clear();
  left_ = 0;
  predicates_ = 0;
  failed_ = nullptr;
  // Not numbers: what is read before it is written shows.
  shared_ = std::make_unique_for_overwrite<char[]>(launch_->shared);
  std::memset(shared_.get(), 0xff, launch_->shared);
}

// The body of every fiber: it runs thread after thread. Only a thread that waits keeps its fiber from going on with
// another, so that a kernel without barriers needs one.
void Block::run_threads(void* self) {
  auto& block = *static_cast<Block*>(self);
  for (;;) {
    Thread& me = *current;
    block.launch_->kernel.run(block.launch_->kernel.call.get());
    me.state = ThreadState::left;
    if (trace::enabled) trace::leave(me.number);
    ++block.left_;
    Thread* next = block.next_ready();
    if (next && next->state == ThreadState::fresh) {
      next->fiber = me.fiber;
      next->state = ThreadState::ready;
      set_current(next);
      continue;
    }
    if (!next && block.left_ < block.threads_.size()) block.stuck();
    block.idle_.push_back(me.fiber);
    block.go_on(*me.fiber, next);
  }
}

Thread* Block::next_ready() {
  if (ready_.empty()) return nullptr;
  Thread* next = ready_.front();
  ready_.pop_front();
  return next;
}

// Leaves the flow `from` for that of a thread or, when there is none, for the host's.
void Block::go_on(Context& from, Thread* next) {
  if (next && next->state == ThreadState::fresh) {
    if (idle_.empty()) {
      fibers_.push_back(std::make_unique<Fiber>(run_threads, this, static_cast<int>(fibers_.size())));
      idle_.push_back(fibers_.back().get());
    }
    next->fiber = idle_.back();
    next->state = ThreadState::ready;
    idle_.pop_back();
  }
  set_current(next);
  switch_context(from, next ? *next->fiber : host_);
}

// Gives the turn away until another thread has made this one ready.
void Block::wait() {
  Thread& me = *current;
  Thread* next = next_ready();
  if (!next) stuck();
  if (next != &me) go_on(*me.fiber, next);
}

// Makes those ready that waited for the current thread, the last of them.
void Block::release(std::vector<Thread*>& waiting) {
  const bool shuffled = settings().shuffle != 0;
  if (shuffled) std::shuffle(waiting.begin(), waiting.end(), random_);
  if (!shuffled) waiting.pop_back();  // it goes on at once
  for (Thread* thread : waiting) {
    thread->state = ThreadState::ready;
    ready_.push_back(thread);
  }
  waiting.clear();
  if (shuffled) wait();
}

// CUDA leaves undefined what happens when some threads of a block reach a barrier and others another, or none. Here it
// opens only when all have come to the same one, so that everything else ends in stuck().
int Block::barrier(bool predicate, Site where) {
  Thread& me = *current;
  me.state = ThreadState::at_barrier;
  me.operation = "__syncthreads";
  me.where = where;
  predicates_ += predicate;
  at_barrier_.push_back(&me);
  if (at_barrier_.size() < threads_.size()) {
    wait();
  } else {
    for (const Thread* other : at_barrier_)
      if (other->where != where) stuck();
    if (trace::enabled) trace::barrier();
    predicates_held_ = std::exchange(predicates_, 0);
    release(at_barrier_);
    me.state = ThreadState::ready;
  }
  return predicates_held_;
}

const std::uint64_t* Block::meet(unsigned& mask, std::uint64_t value, const char* operation, Site where) {
  Thread& me = *current;
  const unsigned warp = me.number / 32, my_lane = me.number % 32;
  const std::size_t lanes = threads_.size() - warp * 32;
  if (lanes < 32) mask &= (1u << lanes) - 1;  // the last warp of the block may have fewer
  if (!(mask >> my_lane & 1)) {
    std::string what = "lane " + std::to_string(my_lane) + " is not in its own mask, " + hexadecimal(mask) + ", at ";
    what += std::string(operation) + " (" + to_string(where) + ")";
    fail(std::move(what));
  }
  Meeting& meeting = meeting_of(warp, mask);
  std::uint64_t* values = meeting.values[meeting.round & 1];
  values[my_lane] = value;
  me.state = ThreadState::at_warp_operation;
  me.operation = operation;
  me.mask = mask;
  me.where = where;
  meeting.arrived.push_back(&me);
  if (static_cast<int>(meeting.arrived.size()) < std::popcount(mask)) {
    wait();
  } else {
    for (const Thread* other : meeting.arrived)
      if (other->where != where || other->operation != operation) stuck();
    if (trace::enabled) trace::meet(warp, mask);
    ++meeting.round;
    release(meeting.arrived);
    me.state = ThreadState::ready;
  }
  return values;
}

Meeting& Block::meeting_of(unsigned warp, unsigned mask) {
  for (Meeting& meeting : meetings_[warp])
    if (meeting.mask == mask) return meeting;
  meetings_[warp].emplace_back().mask = mask;
  return meetings_[warp].back();
}

void Block::fail(std::string what) { give_up(std::move(what), current); }

void Block::stuck() {
  std::string what = "cannot go on: " + who_waits_where();
  give_up(std::move(what), nullptr);
}

// Abandons all threads as they stand: nothing on their stacks needs to be destroyed.
void Block::give_up(std::string what, Thread* culprit) {
  error_ = std::move(what);
  failed_ = culprit;
  Context never;
  go_on(never, nullptr);
  std::abort();
}

// "threads 0-39 wait at __syncthreads (kernels.cu:98); threads 40-63 have left the kernel"
std::string Block::who_waits_where() const {
  std::vector<std::pair<std::string, std::string>> groups;  // what threads do, and which
  for (std::size_t begin = 0, end = 0; begin < threads_.size(); begin = end) {
    const Thread& first = threads_[begin];
    auto same = [&](const Thread& it) {
      return it.state == first.state &&
             (it.state == ThreadState::left || (it.where == first.where && it.mask == first.mask));
    };
    while (end < threads_.size() && same(threads_[end])) ++end;
    std::string does = "have left the kernel";
    if (first.state != ThreadState::left) {
      does = std::string("wait at ") + first.operation;
      if (first.state == ThreadState::at_warp_operation) does += " for the lanes " + hexadecimal(first.mask);
      does += " (" + to_string(first.where) + ")";
    }
    auto group = std::find_if(groups.begin(), groups.end(), [&](auto& it) { return it.first == does; });
    if (group == groups.end()) group = groups.insert(group, {does, ""});
    group->second += (group->second.empty() ? "" : ", ") + std::to_string(begin);
    if (end - begin > 1) group->second += "-" + std::to_string(end - 1);
  }
  std::string text;
  for (auto& [does, which] : groups) text += (text.empty() ? "threads " : "; threads ") + which + " " + does;
  return text;
}

// ---- what kernels call

int barrier(bool predicate, Site where) { return current->block->barrier(predicate, where); }
void* dynamic_shared_memory() { return current->block->shared_memory(); }

}  // namespace gradus::emulator
