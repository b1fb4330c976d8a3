#pragma once
// Which of the things that the threads of a block do come before which, whatever the order they are run in here.

#include <algorithm>
#include <array>
#include <bit>
#include <cstdint>
#include <vector>

namespace gradus::emulator {

/// A thread's time goes on at every barrier and whenever lanes of its warp meet it. All that is done before a barrier
/// comes before all that follows it; what lanes do before they meet comes before what they do afterwards.
class Order {
 public:
  using Time = std::uint32_t;

  void begin(std::size_t threads) {
    now_.assign(threads, 1);
    last_barrier_.assign(threads, 0);
    past_.assign(threads, {});
  }
  Time now(unsigned thread) const { return now_[thread]; }

  void barrier() {
    for (Time& time : now_) ++time;
    last_barrier_ = now_;
  }

  /// The lanes in `mask` learn what each of them did, and what each of them knew of others.
  void meet(unsigned warp, unsigned mask) {
    std::array<Time, 32> joined{};
    for_lanes(mask, [&](unsigned lane) {
      const unsigned thread = warp * 32 + lane;
      for (std::size_t i = 0; i < 32; ++i) joined[i] = std::max(joined[i], past_[thread][i]);
      joined[lane] = now_[thread]++;
    });
    for_lanes(mask, [&](unsigned lane) { past_[warp * 32 + lane] = joined; });
  }

  /// Whether what `thread` did at `time` comes before what `me` does now.
  bool is_past(unsigned thread, Time time, unsigned me) const {
    if (thread == me || time < last_barrier_[thread]) return true;
    return thread / 32 == me / 32 && time <= past_[me][thread % 32];
  }

 private:
  template <class F> static void for_lanes(unsigned mask, F&& f) {
    for (; mask; mask &= mask - 1) f(static_cast<unsigned>(std::countr_zero(mask)));
  }

  std::vector<Time> now_, last_barrier_;    // by thread
  std::vector<std::array<Time, 32>> past_;  // by thread: until when it knows of each lane of its warp
};

}  // namespace gradus::emulator
