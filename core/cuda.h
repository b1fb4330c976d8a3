#pragma once
// GPUs. What runs on them is a library of its own, libgradus_cuda.so, which is loaded when a device is first asked for.

#include <cstddef>
#include <functional>

#include "core/device.h"
#include "core/host_device.h"
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
/// Each launch draws random numbers anew for dropout, from generators that must stay alive, too, and takes an
/// optimiser's step with the settings (the learning rate, say) and the number of steps as they are then. Whatever else
/// the program itself does, it does only when the step is recorded: numbers and shapes stay what they were, schedules
/// and seeds are set between launches. Errors are a step that reads values on the CPU, copies from there, or makes
/// random tensors. Indices are not checked. One thread at a time may launch a graph.
std::function<void()> graphed(const std::function<void()>& step, Device device = Device::cuda());
/// Whether this thread is recording.
bool is_capturing();

/// What the program computes and a kernel is given. Recorded in a graph, the kernel finds it in the device's memory,
/// where it is written anew before each launch.
template <class T> struct PerLaunch {
  T value;
  const T* latest = nullptr;  // null if it is not recorded
  GRADUS_FN T get() const {
    T result = value;
    if (latest) result = *latest;
    return result;
  }
};
template <class T> PerLaunch(T) -> PerLaunch<T>;
/// Has `compute` write that many bytes before each launch of the graph that is being recorded. Returns where the device
/// finds them.
const void* computed_each_launch(size_t bytes, std::function<void(void*)> compute);
/// Memory that the graph being recorded reads lives as long as the graph.
void keep_for_launches(Ref<Storage> memory);

/// Whether products of float32 matrices may round their factors to 10 bits of mantissa (TF32), which Tensor Cores
/// multiply many times as fast. False at the start.
bool allow_tf32();
void set_allow_tf32(bool allow);

/// So few bytes of the program's memory are sent to a device with a kernel's arguments: nobody waits for them.
constexpr size_t sent_at_once = 1024;

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
