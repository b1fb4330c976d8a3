// The workloads of gradus_bench on libtorch, used as well as a program can: gradients dropped instead of zeroed, its
// widest kernels, no memory given back to the system, and as many threads as asked for, in its BLAS, too.
//   libtorch_bench [--threads N] [--benchmark_filter=REGEX ...]

#include <dlfcn.h>
#include <malloc.h>
#include <torch/torch.h>
#include <zlib.h>

#include <filesystem>
#include <stdexcept>
#include <vector>

#include "benchmarks/workloads.h"

namespace {

using torch::Tensor;

struct Mlp : torch::nn::Module {
  torch::nn::Linear first, second, third;
  Mlp(int in, int hidden1, int hidden2, int out) : first(in, hidden1), second(hidden1, hidden2), third(hidden2, out) {
    register_module("first", first);
    register_module("second", second);
    register_module("third", third);
  }
  Tensor forward(const Tensor& x) { return third(torch::relu(second(torch::relu(first(x))))); }
};

void add_dispatch(int n) {
  Tensor x = torch::rand({n}), a = torch::full({n}, 0.999f, torch::requires_grad()),
         b = torch::full({n}, 0.001f, torch::requires_grad()), ones = torch::ones({n});
  auto chain = [=] {
    Tensor y = x;
    for (int i = 0; i < workloads::chain_length / 2; ++i) y = y * a + b;
    return y;
  };
  const std::string name = "dispatch" + std::to_string(n);
  workloads::add(name + ".fwd", [=] { return [=] { benchmark::DoNotOptimize(chain()); }; });
  workloads::add(name + ".nograd", [=] {
    return [=] {
      torch::NoGradGuard no_grad;
      benchmark::DoNotOptimize(chain());
    };
  });
  workloads::add(name + ".fwdbwd", [=] {
    return [=] {
      a.mutable_grad() = Tensor();
      b.mutable_grad() = Tensor();
      chain().backward(ones);
    };
  });
}

workloads::Work training_step(std::shared_ptr<Mlp> net, const torch::optim::SGDOptions& options,
                              std::function<Tensor(Mlp&)> loss) {
  auto optimizer = std::make_shared<torch::optim::SGD>(net->parameters(), options);
  return [=, parameters = net->parameters()] {
    for (const Tensor& parameter : parameters) parameter.mutable_grad() = Tensor();
    Tensor value = loss(*net);
    value.backward();
    optimizer->step();
    benchmark::DoNotOptimize(value.item<float>());
  };
}

void add_scalar_mlp(int batch) {
  workloads::add("scalar_mlp_b" + std::to_string(batch), [=] {
    torch::manual_seed(1);
    Tensor x = torch::randn({batch, 2}), y = torch::randn({batch, 1}).sign();
    return training_step(std::make_shared<Mlp>(2, 16, 16, 1), 0.05,
                         [=](Mlp& net) { return torch::mse_loss(net.forward(x), y); });
  });
}

/// The first `count` bytes of a compressed file of Fashion-MNIST, without the header.
Tensor read_idx(const char* name, int header, int64_t count) {
  const char* data = std::getenv("GRADUS_DATA");
  const std::string path = std::string(data ? data : "/usr/share/datasets") + "/fashion-mnist/" + name;
  Tensor bytes = torch::empty({count}, torch::kUInt8);
  gzFile file = gzopen(path.c_str(), "rb");
  if (!file || gzseek(file, header, SEEK_SET) < 0 || gzread(file, bytes.data_ptr(), unsigned(count)) != count)
    throw std::runtime_error("cannot read " + path);
  gzclose(file);
  return bytes;
}

void add_mlp() {
  using namespace workloads;
  add("mlp", [] {
    static const Tensor image = read_idx("train-images-idx3-ubyte.gz", 16, batches * batch * pixels)
                                    .view({-1, batch, pixels})
                                    .to(torch::kFloat) /
                                255;
    static const Tensor label =
        read_idx("train-labels-idx1-ubyte.gz", 8, batches * batch).view({-1, batch}).to(torch::kLong);
    torch::manual_seed(1);
    auto loss = [images = image.unbind(), labels = label.unbind(), i = size_t(0)](Mlp& net) mutable {
      i = (i + 1) % batches;
      return torch::nn::functional::cross_entropy(net.forward(images[i]), labels[i]);
    };
    return training_step(std::make_shared<Mlp>(pixels, hidden1, hidden2, classes),
                         torch::optim::SGDOptions(0.05).momentum(0.9), loss);
  });
}

/// The file that libtorch's matrix product comes from.
std::string blas_path() {
  Dl_info info{};
  void* product = dlsym(RTLD_DEFAULT, "sgemm_");
  return product && dladdr(product, &info) ? std::filesystem::canonical(info.dli_fname).string() : "unknown";
}

}  // namespace

int main(int argc, char** argv) {
  const int threads = workloads::take_threads(argc, argv);
  mallopt(M_MMAP_THRESHOLD, 32 << 20);
  mallopt(M_TRIM_THRESHOLD, 1 << 30);
  if (__builtin_cpu_supports("avx512f")) setenv("ATEN_CPU_CAPABILITY", "avx512", 0);
  torch::set_num_threads(threads);
  // OpenBLAS has threads of its own, which libtorch does not know of.
  if (auto set = reinterpret_cast<void (*)(int)>(dlsym(RTLD_DEFAULT, "openblas_set_num_threads"))) set(threads);
  benchmark::AddCustomContext("blas", blas_path());

  for (int n : {1, 64}) add_dispatch(n);
  for (int batch : {1, 32}) add_scalar_mlp(batch);
  add_mlp();
  return workloads::run(argc, argv);
}
