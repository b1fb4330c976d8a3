#pragma once
// GPUs. What runs on them is a library of its own, libgradus_cuda.so, which is loaded when a device is first asked for.

#include <cstddef>
#include <functional>

#include "core/device.h"
#include "core/storage.h"

namespace gradus::cuda {

/// The number of GPUs that this program can use; 0 without the CUDA library, a driver or a device.
int device_count();
inline bool is_available() { return device_count() > 0; }
/// Waits until the device has done all that this thread asked of it.
void synchronize(Device device = Device::cuda());
/// A moment in what this thread asks of a device. A thread that calls the result goes on at once; what it then asks of
/// the device is done after that moment. So one thread may use what another computed. Of the CPU, it does nothing.
std::function<void()> record_event(Device device);

/// A step of training as a CUDA graph, which one launch has the device do again: for networks so small that the program
/// is slower than the device. Calls `step` twice. The first time works as usual; the second is only recorded, and what
/// this function returns launches it. Until that is destroyed, tensors that the step reads must stay alive; new inputs
/// are assigned to them in place. Those that the step made hold the values of the last launch.
///
/// Whatever the program itself computed stays as it was when recorded: numbers, shapes, learning rates. Errors are a
/// step that reads values on the CPU or copies from there, draws random numbers, or asks for an optimiser's step that
/// depends on the number of steps. Indices are not checked.
std::function<void()> graphed(const std::function<void()>& step, Device device = Device::cuda());
/// Whether this thread is recording.
bool is_capturing();

/// Whether products of float32 matrices may round their factors to 10 bits of mantissa (TF32), which Tensor Cores
/// multiply many times as fast. False at the start.
bool allow_tf32();
void set_allow_tf32(bool allow);

/// What the core asks of the CUDA library. Errors of the driver are gradus::Error.
struct Runtime {
  int (&device_count)();
  Ref<Storage> (&allocate)(size_t bytes, Device device);
  /// Between any two devices. The memory may be used when it returns: that of the CPU by the program, that of a GPU by
  /// what this thread asks of it.
  void (&copy)(void* to, Device to_device, const void* from, Device from_device, size_t bytes);
  void (&synchronize)(Device device);
  std::function<void()> (&record_event)(Device device);
  std::function<void()> (&capture)(const std::function<void()>& step, Device device);
};
/// Fails, saying why, where no GPU can be used.
const Runtime& runtime();
/// The object of that name in the CUDA library; null if there is none.
const void* find_symbol(const char* name);

}  // namespace gradus::cuda
