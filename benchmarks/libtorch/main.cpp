// The workloads of gradus_bench on libtorch, with as many threads as asked for, in its BLAS, too. What a program cannot
// set after its start (kernels, allocator, BLAS) scripts/bench sets from outside.
//   libtorch_bench [--threads N] [--benchmark_filter=REGEX ...]

#include <dlfcn.h>
#include <torch/torch.h>
#include <torch/version.h>

#include <filesystem>

#include "benchmarks/workloads.h"

namespace {

template <class Function> Function* find(const char* name) {
  return reinterpret_cast<Function*>(dlsym(RTLD_DEFAULT, name));
}

/// The file that libtorch's matrix product comes from, and how OpenBLAS describes itself.
std::string describe_blas() {
  Dl_info info{};
  void* product = dlsym(RTLD_DEFAULT, "sgemm_");
  if (!product || !dladdr(product, &info)) return "unknown";
  const std::string path = std::filesystem::canonical(info.dli_fname).string();
  auto* configuration = find<const char*()>("openblas_get_config");
  return configuration ? path + " (" + configuration() + ")" : path;
}

}  // namespace

int main(int argc, char** argv) {
  const int threads = workloads::take_threads(argc, argv);
  torch::set_num_threads(threads);
  // OpenBLAS on pthreads has threads of its own, which libtorch does not know of.
  if (auto* set = find<void(int)>("openblas_set_num_threads")) set(threads);
  benchmark::AddCustomContext("libtorch", TORCH_VERSION);
  benchmark::AddCustomContext("blas", describe_blas());
  return workloads::run(argc, argv);
}
