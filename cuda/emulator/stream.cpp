// Streams and events. Work in a stream is a queue; in eager mode it is done at once, in lazy mode at the last moment
// that CUDA allows, when somebody waits for it, so that a program that forgot to wait sees it undone.

#include <chrono>
#include <deque>
#include <memory>
#include <string>
#include <utility>
#include <vector>

#include "device.h"
#include "emulator/emulator.h"

using Work = std::function<void()>;

struct CUgraph_st {
  int device;
  std::vector<Work> work;
};

struct CUgraphExec_st : CUgraph_st {};

struct CUstream_st {
  explicit CUstream_st(int number, bool is_blocking = true) : device(number), blocking(is_blocking) {}
  int device;
  bool blocking;  // ordered with the default stream
  std::deque<Work> work;
  std::unique_ptr<CUgraph_st> capture;  // while work is captured, and not done
  bool relaxed = false;                 // the capture's mode
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

CUstream_st default_streams[device_count] = {CUstream_st(0), CUstream_st(1)};
std::vector<cudaStream_t>& streams = *new std::vector<cudaStream_t>{&default_streams[0], &default_streams[1]};
// Kept when their thread ends: others may wait for what it left to do.
constinit thread_local cudaStream_t streams_of_thread[device_count] = {};

cudaStream_t create_stream(bool blocking) { return streams.emplace_back(new CUstream_st(current_device(), blocking)); }

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

cudaError_t refuse_in_capture(cudaStream_t handle, const char* call) {
  if (!of(handle)->capture) return cudaSuccess;
  return refuse(cudaErrorStreamCaptureUnsupported, std::string(call) + " of a stream that is being captured");
}

cudaError_t refuse_in_strict_capture(const char* call) {
  for (cudaStream_t stream : streams)
    if (stream->capture && !stream->relaxed)
      return refuse(cudaErrorStreamCaptureUnsupported, std::string(call) + " while a stream is captured");
  return cudaSuccess;
}

void enqueue(cudaStream_t handle, std::function<void()> work) {
  cudaStream_t stream = of(handle);
  if (stream->capture) return stream->capture->work.push_back(std::move(work));
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
  if (cudaError_t error = refuse_in_capture(handle, "cudaStreamSynchronize")) return error;
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
  if (cudaError_t error = refuse_in_capture(handle, "cudaEventRecord")) return error;
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
  if (cudaError_t error = refuse_in_capture(handle, "cudaStreamWaitEvent")) return error;
  if (event->moment) enqueue(handle, [moment = event->moment] { wait_for(*moment); });
  return cudaSuccess;
}

// ---- graphs: what one stream was asked for, in that order

cudaError_t cudaStreamBeginCapture(cudaStream_t handle, cudaStreamCaptureMode mode) {
  auto device = use_device();
  cudaStream_t stream = of(handle);
  if (stream == &default_streams[stream->device])
    return refuse(cudaErrorStreamCaptureUnsupported, "the legacy default stream cannot be captured");
  if (stream->capture) return refuse(cudaErrorIllegalState, "the stream is being captured");
  stream->capture = std::make_unique<CUgraph_st>(CUgraph_st{stream->device, {}});
  stream->relaxed = mode == cudaStreamCaptureModeRelaxed;
  return cudaSuccess;
}

cudaError_t cudaStreamEndCapture(cudaStream_t handle, cudaGraph_t* graph) {
  auto device = use_device();
  *graph = of(handle)->capture.release();
  return *graph ? cudaSuccess : refuse(cudaErrorIllegalState, "the stream is not being captured");
}

cudaError_t cudaGraphInstantiate(cudaGraphExec_t* executable, cudaGraph_t graph, unsigned long long) {
  *executable = new CUgraphExec_st{*graph};
  return cudaSuccess;
}

cudaError_t cudaGraphLaunch(cudaGraphExec_t executable, cudaStream_t stream) {
  auto device = use_device();
  if (executable->device != device_of(stream))
    return refuse(cudaErrorInvalidResourceHandle, "cudaGraphLaunch: the graph and the stream belong to two devices");
  for (const Work& work : executable->work) enqueue(stream, work);
  return cudaSuccess;
}

cudaError_t cudaGraphDestroy(cudaGraph_t graph) {
  delete graph;
  return cudaSuccess;
}
cudaError_t cudaGraphExecDestroy(cudaGraphExec_t executable) {
  delete executable;
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
