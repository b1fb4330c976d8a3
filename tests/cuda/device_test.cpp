// Tensors that lie on a device: how they get there and back, what works on them as it does on the CPU, and errors.

#include <doctest/doctest.h>

#include <sstream>

#include "derive/gradcheck.h"
#include "gradus.h"
#include "ops/custom.h"
#include "tests/checks.h"
#include "tests/files.h"

using namespace gradus;
using checks::distance;
using checks::error_here;

namespace {

const Device gpu = Device::cuda();
Tensor back(const Tensor& x) { return to(x.detach(), Device::cpu()); }

struct Cube {
  static constexpr Info info{"cube"};
  template <class T> auto forward(const T& x) const { return x * x * x; }
  template <class T> auto backward(const T& dy, const T& x) const { return dy * formula::number<T>(3) * x * x; }
};

struct Net {
  nn::Linear hidden{5, 4};
  nn::BatchNorm1d norm{4};
  nn::Linear out{4, 3};
  Tensor operator()(const Tensor& x) const { return out(tanh(norm(hidden(x)))); }
  GRADUS_FIELDS(hidden, norm, out)
};

struct Perceptron {
  nn::Linear hidden{5, 4}, out{4, 3};
  Tensor operator()(const Tensor& x) const { return out(tanh(hidden(x))); }
  GRADUS_FIELDS(hidden, out)
};

}  // namespace

TEST_CASE("cuda: tensors go to the device and back") {
  manual_seed(1);
  for (Dtype dtype : {float32, float64, bfloat16, int64, boolean}) {
    const Tensor x = to(uniform({4, 6}, -3, 3), dtype);
    for (const Tensor& view : {x, t(x), slice(x, 1, 1, 6, 2), flip(x, {0, 1}), expand(narrow(x, 0, 1, 1), {4, 6})}) {
      const Tensor there = to(view, gpu);
      CHECK(there.device() == gpu);
      CHECK(distance(to(there, Device::cpu()), view) == 0);
      CHECK(there.to_vector<double>() == view.to_vector<double>());
      CHECK(view.copied_to(gpu).strides() == view.strides());
      CHECK(distance(view.copied_to(gpu).copied_to(Device::cpu()), view) == 0);
    }
    CHECK(to(x, gpu).at(7) == x.at(7));
  }
  CHECK(to(Tensor(2.5), gpu).item() == 2.5f);
  CHECK(to(zeros({0, 3}), gpu).shape() == Shape{0, 3});
  std::ostringstream printed;
  printed << to(tensor({1, 2.5}), gpu);
  CHECK(printed.str() == "[1.0000, 2.5000], cuda:0");
}

TEST_CASE("cuda: copies between layouts") {
  manual_seed(6);
  const std::pair<Shape, std::vector<int64_t>> permutations[] = {{{33, 70}, {1, 0}},
                                                                 {{16, 32}, {1, 0}},
                                                                 {{15, 40}, {1, 0}},
                                                                 {{2, 17, 40}, {0, 2, 1}},
                                                                 {{2, 65, 3, 18}, {0, 3, 2, 1}},
                                                                 {{20, 2, 3, 36}, {3, 1, 2, 0}},
                                                                 {{4, 1, 19, 16}, {0, 3, 1, 2}}};
  for (const auto& each : permutations)
    for (Dtype dtype : {float32, float64, bfloat16, int64, boolean}) {
      CAPTURE(each.first);
      const Tensor packed = to(uniform(each.first, -3, 3), dtype);
      const Tensor x = permute(packed, each.second), there = permute(to(packed, gpu), each.second);
      CHECK(distance(back(contiguous(there)), x) == 0);
      CHECK(distance(back(to(there, float64)), to(x, float64)) == 0);
    }
}

TEST_CASE("cuda: a gradient crosses devices") {
  const Tensor x = tensor({1, 2, 3}).requires_grad();
  sum(square(to(x, gpu))).backward();
  CHECK(x.grad().device() == Device::cpu());
  CHECK(x.grad().to_vector<float>() == std::vector<float>{2, 4, 6});
}

TEST_CASE("cuda: numbers and scalars of the CPU stand beside tensors of the device") {
  const Tensor x = to(tensor({1, 2, 3}), gpu);
  CHECK((2 * x + Tensor(1.)).to_vector<float>() == std::vector<float>{3, 5, 7});
  CHECK((Tensor(1.) - x).device() == gpu);
  CHECK(where(x > 1, x, 0).to_vector<float>() == std::vector<float>{0, 2, 3});
}

TEST_CASE("cuda: reductions of many elements") {
  manual_seed(5);
  for (const Shape& shape : {Shape{70000}, Shape{3, 5000}, Shape{5000, 3}}) {
    const Tensor x = uniform(shape, -1, 2, float64), there = to(x, gpu);
    for (int64_t dim = 0; dim < x.dim(); ++dim) {
      CHECK(distance(back(mean(there, dim)), mean(x, dim)) < 1e-13);
      CHECK(distance(back(var(there, dim)), var(x, dim)) < 1e-13);
      CHECK(distance(back(amax(there, dim)), amax(x, dim)) == 0);
    }
    CHECK(distance(back(mean(there)), mean(x)) < 1e-13);
  }
}

TEST_CASE("cuda: TF32 rounds the factors of a product") {
  const Tensor one = to(tensor({{1}}), gpu), x = to(tensor({{1 + 0x1p-9, 1 + 0x1p-12}}), gpu);
  const auto product = [&] { return matmul(one, x).to_vector<float>(); };
  CHECK(product() == std::vector<float>{1 + 0x1p-9f, 1 + 0x1p-12f});
  cuda::set_allow_tf32(true);
  CHECK(product() == std::vector<float>{1 + 0x1p-9f, 1});
  cuda::set_allow_tf32(false);
}

TEST_CASE("cuda: errors") {
  const Tensor here = zeros({2, 3}), there = zeros({2, 3}, float32, gpu);
  CHECK(error_here([&] { here + there; }) ==
        "add: the operands lie on different devices, cpu and cuda:0; move one with to(x, device) (here)");
  CHECK(error_here([&] { matmul(there, t(here)); }) ==
        "matmul: the operands lie on different devices, cuda:0 and cpu; move one with to(x, device) (here)");
  CHECK(error_here([&] { there.data<float>(); }) ==
        "data: the tensor lies on cuda:0; copy it first: to(x, Device::cpu())");
  CHECK(error_here([&] { map(Cube{}, there); }) ==
        "cube: the formula is not one of the library's own; there is no kernel of it for cuda:0 (here)");
  CHECK(error_here([&] { matmul(there, there); }).starts_with("matmul: a is [2, 3] and b is [2, 3]"));
}

TEST_CASE("cuda: gradients of a network are those of finite differences") {
  manual_seed(2);
  Net net;
  to(net, float64);
  to(net, gpu);
  const Tensor x = to(randn({6, 5}, float64), gpu);
  CHECK(
      check_gradients([&](std::span<const Tensor> in) { return net(in[0]); }, std::vector{x}, {.second_order = true}));
}

TEST_CASE("cuda: a derivation shows what the device computed") {
  manual_seed(2);
  Net net;
  to(net, gpu);
  parameters(net);
  const Tensor x = to(randn({6, 5}), gpu), target = to(tensor({0, 1, 2, 0, 1, 2}, int64), gpu);
  const KeepValues keep;
  const Tensor loss = cross_entropy(net(x), target);
  const Derivation derivation(loss);
  for (const BackwardStep& step : derivation.backward()) CHECK(derivation.check_step(step.forward));
  const size_t weight = derivation.find("hidden.weight");
  CHECK(derivation.check_gradient(weight));
  CHECK(derivation.open(derivation.forward().size() - 1).forward().size() > 1);
  loss.backward();
  CHECK(derivation.quantities()[weight].gradient.device().is_cpu());
  CHECK(distance(derivation.quantities()[weight].gradient, to(net.hidden.weight.grad(), Device::cpu())) == 0);
}

TEST_CASE("cuda: optimisers take the same steps") {
  const auto trained = [](Device device, auto&& make) {
    manual_seed(3);
    const Tensor x = to(randn({8, 5}), device), target = to(randn({8, 3}), device);
    Perceptron net;
    to(net, device);
    auto optimizer = make(parameters(net));
    for (int step = 0; step < 10; ++step) {
      optimizer.zero_grad();
      mse_loss(net(x), target).backward();
      clip_grad_norm_(parameters(net), 1);
      optimizer.step();
    }
    return state_dict(net);
  };
  const auto compare = [&](auto&& make) {
    const auto expected = trained(Device::cpu(), make), found = trained(gpu, make);
    for (const auto& each : expected) {
      CAPTURE(each.first);
      CHECK(found.at(each.first).device() == gpu);
      CHECK(distance(back(found.at(each.first)), each.second) < 1e-4);
    }
  };
  using Parameters = decltype(parameters(std::declval<Perceptron&>()));
  compare([](const Parameters& p) { return optim::SGD(p, {.lr = 0.1, .momentum = 0.9, .nesterov = true}); });
  compare([](const Parameters& p) { return optim::Adam(p, {.lr = 0.01, .weight_decay = 0.1, .amsgrad = true}); });
  compare([](const Parameters& p) { return optim::AdamW(p, {.lr = 0.01}); });
  compare([](const Parameters& p) { return optim::RMSprop(p, {.lr = 0.01, .momentum = 0.5, .centered = true}); });
  compare([](const Parameters& p) { return optim::Adagrad(p, {.lr = 0.1}); });
}

TEST_CASE("cuda: a network is saved from the device and loaded onto it") {
  const files::TemporaryFolder folder;
  manual_seed(4);
  Net net, other;
  to(net, gpu);
  to(other, gpu);
  save(net, folder.path("net.safetensors"));
  load(other, folder.path("net.safetensors"));
  for (const auto& [name, values] : state_dict(net)) {
    CHECK(state_dict(other).at(name).device() == gpu);
    CHECK(distance(back(state_dict(other).at(name)), back(values)) == 0);
  }
}
