// A libcuda.so.1 for a machine that has none. cuDNN compiles its kernels for attention when a plan is made, and then
// has the driver load them; this one says that there is no GPU, and that it has loaded them. Nothing can be run by it.
// The functions are those that cuDNN 9 and NVRTC look for, as NVIDIA documents them for cuda.h.

namespace {

using Code = int;                             // CUresult
constexpr Code success = 0, no_device = 100;  // CUDA_SUCCESS, CUDA_ERROR_NO_DEVICE

Code load(void** loaded) {
  static char place;
  *loaded = &place;
  return success;
}

}  // namespace

extern "C" {

Code cuInit(unsigned) { return no_device; }
Code cuDriverGetVersion(int* version) {
  *version = 13000;
  return success;
}
Code cuDeviceGetCount(int* count) {
  *count = 0;
  return success;
}
Code cuGetErrorName(Code, const char** name) {
  *name = "no driver";
  return success;
}
Code cuGetErrorString(Code, const char** text) {
  *text = "there is no driver";
  return success;
}

Code cuLibraryLoadData(void** library, const void*, void*, void**, unsigned, void*, void**, unsigned) {
  return load(library);
}
Code cuLibraryGetKernel(void** kernel, void*, const char*) { return load(kernel); }
Code cuModuleLoadData(void** module, const void*) { return load(module); }
Code cuModuleLoadDataEx(void** module, const void*, unsigned, void*, void**) { return load(module); }
Code cuModuleLoadFatBinary(void** module, const void*) { return load(module); }
Code cuModuleGetFunction(void** function, void*, const char*) { return load(function); }
Code cuKernelGetAttribute(int* value, int, void*, int) {
  *value = 0;
  return success;
}
Code cuFuncGetAttribute(int* value, int, void*) {
  *value = 0;
  return success;
}
Code cuKernelSetAttribute(int, int, void*, int) { return success; }
Code cuFuncSetAttribute(void*, int, int) { return success; }
Code cuLibraryUnload(void*) { return success; }
Code cuModuleUnload(void*) { return success; }

#define GRADUS_NO_DEVICE(function) \
  Code function() { return no_device; }
GRADUS_NO_DEVICE(cuCtxGetCurrent)
GRADUS_NO_DEVICE(cuCtxGetDevice)
GRADUS_NO_DEVICE(cuCtxGetLimit)
GRADUS_NO_DEVICE(cuCtxPopCurrent)
GRADUS_NO_DEVICE(cuCtxPopCurrent_v2)
GRADUS_NO_DEVICE(cuCtxPushCurrent)
GRADUS_NO_DEVICE(cuCtxPushCurrent_v2)
GRADUS_NO_DEVICE(cuDeviceGet)
GRADUS_NO_DEVICE(cuDeviceGetAttribute)
GRADUS_NO_DEVICE(cuDevicePrimaryCtxRelease)
GRADUS_NO_DEVICE(cuDevicePrimaryCtxRelease_v2)
GRADUS_NO_DEVICE(cuDevicePrimaryCtxReset)
GRADUS_NO_DEVICE(cuDevicePrimaryCtxReset_v2)
GRADUS_NO_DEVICE(cuDevicePrimaryCtxRetain)
GRADUS_NO_DEVICE(cuLaunchCooperativeKernel)
GRADUS_NO_DEVICE(cuLaunchKernel)
GRADUS_NO_DEVICE(cuLaunchKernelEx)
GRADUS_NO_DEVICE(cuLibraryLoadFromFile)
GRADUS_NO_DEVICE(cuLinkAddData)
GRADUS_NO_DEVICE(cuLinkAddData_v2)
GRADUS_NO_DEVICE(cuLinkAddFile_v2)
GRADUS_NO_DEVICE(cuLinkComplete)
GRADUS_NO_DEVICE(cuLinkCreate)
GRADUS_NO_DEVICE(cuLinkCreate_v2)
GRADUS_NO_DEVICE(cuLinkDestroy)
GRADUS_NO_DEVICE(cuMemcpyDtoH_v2)
GRADUS_NO_DEVICE(cuModuleGetGlobal_v2)
GRADUS_NO_DEVICE(cuOccupancyMaxActiveBlocksPerMultiprocessor)
GRADUS_NO_DEVICE(cuOccupancyMaxPotentialClusterSize)
GRADUS_NO_DEVICE(cuStreamGetCtx)
GRADUS_NO_DEVICE(cuStreamGetCtx_v2)
GRADUS_NO_DEVICE(cuStreamSynchronize)
GRADUS_NO_DEVICE(cuTensorMapEncodeTiled)

}  // extern "C"
