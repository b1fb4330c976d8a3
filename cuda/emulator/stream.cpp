// Streams and events. Work in a stream is a queue; in eager mode it is done at once, in lazy mode at the last moment
// that CUDA allows, when somebody waits for it, so that a program that forgot to wait sees it undone.

#include <chrono>
#include <deque>
#include <memory>
#include <utility>
#include <vector>

#include "device.h"
#include "emulator/emulator.h"

struct CUstream_st {
  int device;
  std::deque<std::function<void()>> work;
  bool blocking = true;  // ordered with the default stream
};

namespace {

// A moment in a stream that an event stands for.
struct Moment {
  cudaStream_t stream = nullptr;
  bool reached = false;
  std::chrono::steady_clock::time_point time;
};

}  // namespace

struct CUevent_st {
  int device;
  std::shared_ptr<Moment> moment;
};

namespace gradus::emulator {
namespace {

CUstream_st default_streams[device_count] = {{0, {}}, {1, {}}};
std::vector<cudaStream_t> streams{&default_streams[0], &default_streams[1]};
// Kept when their thread ends: others may wait for what it left to do.
constinit thread_local cudaStream_t streams_of_thread[device_count] = {};

cudaStream_t create_stream(bool blocking) {
  return streams.emplace_back(new CUstream_st{current_device(), {}, blocking});
}

cudaStream_t of(cudaStream_t handle) {
  if (!handle || handle == cudaStreamLegacy) return &default_streams[current_device()];
  if (handle != cudaStreamPerThread) return handle;
  cudaStream_t& mine = streams_of_thread[current_device()];
  if (!mine) mine = create_stream(true);
  return mine;
}

void run_next(cudaStream_t stream) {
  auto work = std::move(stream->work.front());
  stream->work.pop_front();
  const DeviceAccess access(stream->device);
  work();
}

void drain(cudaStream_t stream) {
  while (!stream->work.empty()) run_next(stream);
}

void wait_for(const Moment& moment) {
  while (!moment.reached) run_next(moment.stream);
}

}  // namespace

void enqueue(cudaStream_t handle, std::function<void()> work) {
  cudaStream_t stream = of(handle);
  // A device's default stream waits for all that came before it in the others, and they for it.
  cudaStream_t default_stream = &default_streams[stream->device];
  if (stream == default_stream) {
    for (std::size_t i = 0; i < streams.size(); ++i)
      if (streams[i]->blocking && streams[i]->device == stream->device) drain(streams[i]);
  } else if (stream->blocking) {
    drain(default_stream);
  }
  stream->work.push_back(std::move(work));
  if (!settings().lazy) drain(stream);
}

int device_of(cudaStream_t stream) { return of(stream)->device; }

void synchronize(int device) {
  for (std::size_t i = 0; i < streams.size(); ++i)
    if (streams[i]->device == device) drain(streams[i]);
}

}  // namespace gradus::emulator

using namespace gradus::emulator;

extern "C" {

cudaError_t cudaStreamCreateWithFlags(cudaStream_t* stream, unsigned flags) {
  auto device = use_device();
  *stream = create_stream(flags != cudaStreamNonBlocking);
  return cudaSuccess;
}
cudaError_t cudaStreamCreate(cudaStream_t* stream) { return cudaStreamCreateWithFlags(stream, cudaStreamDefault); }

cudaError_t cudaStreamDestroy(cudaStream_t stream) {
  auto device = use_device();
  drain(stream);
  std::erase(streams, stream);
  delete stream;
  return cudaSuccess;
}

cudaError_t cudaStreamSynchronize(cudaStream_t handle) {
  auto device = use_device();
  drain(of(handle));
  return cudaSuccess;
}

cudaError_t cudaStreamQuery(cudaStream_t handle) {
  auto device = use_device();
  return of(handle)->work.empty() ? cudaSuccess : refuse(cudaErrorNotReady, "the stream has work left to do");
}

cudaError_t cudaDeviceSynchronize() {
  auto device = use_device();
  synchronize(current_device());
  return cudaSuccess;
}

cudaError_t cudaEventCreateWithFlags(cudaEvent_t* event, unsigned) {
  *event = new CUevent_st{current_device(), {}};
  return cudaSuccess;
}
cudaError_t cudaEventCreate(cudaEvent_t* event) { return cudaEventCreateWithFlags(event, cudaEventDefault); }

cudaError_t cudaEventDestroy(cudaEvent_t event) {
  delete event;
  return cudaSuccess;
}

cudaError_t cudaEventRecord(cudaEvent_t event, cudaStream_t handle) {
  auto device = use_device();
  if (event->device != device_of(handle))
    return refuse(cudaErrorInvalidResourceHandle, "cudaEventRecord: the event and the stream belong to two devices");
  auto moment = std::make_shared<Moment>();
  moment->stream = of(handle);
  event->moment = moment;
  enqueue(handle, [moment] {
    moment->reached = true;
    moment->time = std::chrono::steady_clock::now();
  });
  return cudaSuccess;
}

cudaError_t cudaEventSynchronize(cudaEvent_t event) {
  auto device = use_device();
  if (event->moment) wait_for(*event->moment);
  return cudaSuccess;
}

cudaError_t cudaEventQuery(cudaEvent_t event) {
  auto device = use_device();
  if (!event->moment || event->moment->reached) return cudaSuccess;
  return refuse(cudaErrorNotReady, "the stream is not at the event yet");
}

cudaError_t cudaStreamWaitEvent(cudaStream_t handle, cudaEvent_t event, unsigned) {
  auto device = use_device();
  if (event->moment) enqueue(handle, [moment = event->moment] { wait_for(*moment); });
  return cudaSuccess;
}

cudaError_t cudaEventElapsedTime(float* milliseconds, cudaEvent_t begin, cudaEvent_t end) {
  auto device = use_device();
  if (!begin->moment || !end->moment) return refuse(cudaErrorInvalidResourceHandle, "an event was not recorded");
  if (!begin->moment->reached || !end->moment->reached) return refuse(cudaErrorNotReady, "nobody waited for an event");
  *milliseconds = std::chrono::duration<float, std::milli>(end->moment->time - begin->moment->time).count();
  return cudaSuccess;
}

}  // extern "C"
