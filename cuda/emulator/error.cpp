// The last error of a thread, and errors in words.

#include <utility>

#include "device.h"

namespace gradus::emulator {
namespace {

struct Refusal {
  cudaError_t error = cudaSuccess;
  std::string text;  // CUDA's words and what was wrong this time
};
thread_local Refusal last_refusal;
thread_local cudaError_t last_error = cudaSuccess;

struct Words {
  cudaError_t error;
  const char *name, *text;
};
constexpr Words words[] = {
    {cudaSuccess, "cudaSuccess", "no error"},
    {cudaErrorInvalidValue, "cudaErrorInvalidValue", "invalid argument"},
    {cudaErrorMemoryAllocation, "cudaErrorMemoryAllocation", "out of memory"},
    {cudaErrorInvalidConfiguration, "cudaErrorInvalidConfiguration", "invalid configuration argument"},
    {cudaErrorInvalidMemcpyDirection, "cudaErrorInvalidMemcpyDirection", "invalid copy direction for memcpy"},
    {cudaErrorInvalidDevice, "cudaErrorInvalidDevice", "invalid device ordinal"},
    {cudaErrorInvalidResourceHandle, "cudaErrorInvalidResourceHandle", "invalid resource handle"},
    {cudaErrorNotReady, "cudaErrorNotReady", "device not ready"},
    {cudaErrorIllegalState, "cudaErrorIllegalState", "the operation cannot be performed in the present state"},
    {cudaErrorStreamCaptureUnsupported, "cudaErrorStreamCaptureUnsupported",
     "operation not permitted when stream is capturing"},
    {cudaErrorNotSupported, "cudaErrorNotSupported", "operation not supported"},
};

const Words& words_for(cudaError_t error) {
  static constexpr Words unknown{cudaErrorUnknown, "cudaErrorUnknown", "unknown error"};
  for (const Words& it : words)
    if (it.error == error) return it;
  return unknown;
}

}  // namespace

cudaError_t refuse(cudaError_t error, std::string explanation) {
  last_refusal = {error, words_for(error).text + (": " + explanation)};
  return last_error = error;
}

}  // namespace gradus::emulator

using namespace gradus::emulator;

extern "C" {

cudaError_t cudaGetLastError() { return std::exchange(last_error, cudaSuccess); }
cudaError_t cudaPeekAtLastError() { return last_error; }
const char* cudaGetErrorName(cudaError_t error) { return words_for(error).name; }
const char* cudaGetErrorString(cudaError_t error) {
  const bool explained = error != cudaSuccess && error == last_refusal.error;
  return explained ? last_refusal.text.c_str() : words_for(error).text;
}

}  // extern "C"
