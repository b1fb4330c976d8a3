// The speed of Gradus: what an operation costs, and the training steps of two small networks.
//   gradus_bench [--threads N] [--benchmark_filter=REGEX ...]

#include <gradus.h>

#include <memory>

#include "benchmarks/workloads.h"

using namespace gradus;

namespace {

struct Mlp {
  nn::Linear first, second, third;
  Mlp(int64_t in, int64_t hidden1, int64_t hidden2, int64_t out)
      : first(in, hidden1), second(hidden1, hidden2), third(hidden2, out) {}
  Tensor operator()(const Tensor& x) const { return third(relu(second(relu(first(x))))); }
  GRADUS_FIELDS(first, second, third)
};

/// Chains of `y * a + b` over n elements.
void add_dispatch(int n) {
  Tensor x = rand({n}), a = full({n}, 0.999).requires_grad(), b = full({n}, 0.001).requires_grad(),
         ones = gradus::ones({n});
  auto chain = [=] {
    Tensor y = x;
    for (int i = 0; i < workloads::chain_length / 2; ++i) y = y * a + b;
    return y;
  };
  const std::string name = "dispatch" + std::to_string(n);
  workloads::add(name + ".fwd", [=] { return [=] { benchmark::DoNotOptimize(chain()); }; });
  workloads::add(name + ".nograd", [=] {
    return [=] {
      NoGrad no_grad;
      benchmark::DoNotOptimize(chain());
    };
  });
  workloads::add(name + ".fwdbwd", [=] {
    return [=] {
      a.set_grad({});
      b.set_grad({});
      chain().backward(ones);
    };
  });
}

/// One training step: `loss(net)`, its gradients, the optimizer.
workloads::Work training_step(const Mlp& net, const optim::SGDOptions& options,
                              std::function<Tensor(const Mlp&)> loss) {
  return [net, optimizer = std::make_shared<optim::SGD>(parameters(net), options), loss] {
    optimizer->zero_grad();
    Tensor value = loss(net);
    value.backward();
    optimizer->step();
    benchmark::DoNotOptimize(value.item<float>());
  };
}

void add_scalar_mlp(int batch) {
  workloads::add("scalar_mlp_b" + std::to_string(batch), [=] {
    manual_seed(1);
    Tensor x = randn({batch, 2}), y = sign(randn({batch, 1}));
    return training_step(Mlp(2, 16, 16, 1), {.lr = 0.05}, [=](const Mlp& net) { return mse_loss(net(x), y); });
  });
}

void add_mlp() {
  using namespace workloads;
  add("mlp", [] {
    static const data::TensorDataset images = data::fashion_mnist().train;
    manual_seed(1);
    auto loss = [i = 0](const Mlp& net) mutable {
      const auto [image, label] = images.slice(i * batch, (i + 1) * batch);
      i = (i + 1) % batches;
      return cross_entropy(net(image), label);
    };
    return training_step(Mlp(pixels, hidden1, hidden2, classes), {.lr = 0.05, .momentum = 0.9}, loss);
  });
}

}  // namespace

int main(int argc, char** argv) {
  set_num_threads(workloads::take_threads(argc, argv));
  for (int n : {1, 64}) add_dispatch(n);
  for (int batch : {1, 32}) add_scalar_mlp(batch);
  add_mlp();
  return workloads::run(argc, argv);
}
