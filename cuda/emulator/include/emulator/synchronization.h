#pragma once
// Barriers and fences.

#include "thread.h"

namespace gradus::emulator {

/// Waits for every thread of the block and returns for how many `predicate` held.
int barrier(bool predicate, Site where);
/// Waits for the lanes in `mask` of this warp.
void warp_barrier(unsigned mask, Site where);

}  // namespace gradus::emulator

inline void __syncthreads(gradus::emulator::Site where = gradus::emulator::Site::here()) {
  gradus::emulator::barrier(false, where);
}
inline int __syncthreads_count(int predicate, gradus::emulator::Site where = gradus::emulator::Site::here()) {
  return gradus::emulator::barrier(predicate != 0, where);
}
inline int __syncthreads_or(int predicate, gradus::emulator::Site where = gradus::emulator::Site::here()) {
  return gradus::emulator::barrier(predicate != 0, where) != 0;
}
inline int __syncthreads_and(int predicate, gradus::emulator::Site where = gradus::emulator::Site::here()) {
  return gradus::emulator::barrier(predicate == 0, where) == 0;
}
inline void __syncwarp(unsigned mask = 0xffffffffu, gradus::emulator::Site where = gradus::emulator::Site::here()) {
  gradus::emulator::warp_barrier(mask, where);
}
inline void __threadfence() { __atomic_thread_fence(__ATOMIC_SEQ_CST); }
inline void __threadfence_block() { __atomic_thread_fence(__ATOMIC_SEQ_CST); }
