// Tensors on two devices of one program.

#include <doctest/doctest.h>

#include "core/cuda.h"
#include "gradus.h"
#include "tests/checks.h"
#include "tests/cuda/cuda_function.h"

using namespace gradus;
using checks::distance;
using checks::error_here;

namespace {

const Device first = Device::cuda(0), second = Device::cuda(1);

struct Net {
  nn::Conv2d conv{1, 2, 3};
  nn::Linear hidden{2 * 4 * 4, 8}, out{8, 3};
  Tensor operator()(const Tensor& x) const { return out(tanh(hidden(flatten(relu(conv(x)), 1)))); }
  GRADUS_FIELDS(conv, hidden, out)
};

auto trained(Device device) {
  manual_seed(1);
  const Tensor x = to(randn({8, 1, 6, 6}), device), label = to(tensor({0, 1, 2, 0, 1, 2, 0, 1}, int64), device);
  Net net;
  to(net, device);
  optim::Adam adam(parameters(net), {.lr = 0.01});
  for (int step = 0; step < 10; ++step) {
    adam.zero_grad();
    cross_entropy(net(x), label).backward();
    adam.step();
  }
  return state_dict(net);
}

// True where the tests below cannot run.
bool is_alone() {
  if (cuda::device_count() > 1) return false;
  MESSAGE("skipped: there is one device");
  return true;
}

}  // namespace

TEST_CASE("cuda: training on the second device is the same") {
  if (is_alone()) return;
  const auto expected = trained(first);
  for (const auto& each : trained(second)) {
    CAPTURE(each.first);
    CHECK(each.second.device() == second);
    CHECK(distance(to(each.second, Device::cpu()), to(expected.at(each.first), Device::cpu())) == 0);
  }
}

TEST_CASE("cuda: copies between devices have the same bits") {
  if (is_alone()) return;
  for (Dtype dtype : {float32, float64, bfloat16, int64, boolean}) {
    const Tensor x = to(uniform({4, 6}, -3, 3), dtype), there = to(x, first);
    for (const Tensor& view : {there, t(there), slice(there, 1, 1, 6, 2), flip(there, {0, 1})}) {
      const Tensor across = to(view * 1, second), returned = to(across, first);
      CHECK(across.device() == second);
      CHECK(returned.device() == first);
      CHECK(distance(to(returned, Device::cpu()), to(view, Device::cpu())) == 0);
    }
  }
}

TEST_CASE("cuda: gradients flow through a network on two devices") {
  if (is_alone()) return;
  const auto gradients = [](Device one, Device other) {
    manual_seed(2);
    nn::Linear front{5, 4}, back{4, 3};
    const Tensor x = to(randn({6, 5}), one);
    to(front, one);
    to(back, other);
    sum(square(back(to(tanh(front(x)), other)))).backward();
    CHECK(front.weight.grad().device() == one);
    CHECK(back.weight.grad().device() == other);
    return std::pair(to(front.weight.grad(), Device::cpu()), to(back.weight.grad(), Device::cpu()));
  };
  const auto expected = gradients(first, first), found = gradients(first, second);
  CHECK(distance(found.first, expected.first) == 0);
  CHECK(distance(found.second, expected.second) == 0);
}

TEST_CASE("cuda: gradients on several devices are clipped together") {
  std::vector<Tensor> parameters;
  for (Device device : {first, Device::cpu(), Device::cuda(cuda::device_count() - 1)}) {
    parameters.push_back(zeros({2}, float32, device).requires_grad());
    parameters.back().set_grad(full({2}, 2, float32, device));
  }
  const Tensor norm = clip_grad_norm_(parameters, std::sqrt(6.));
  CHECK(norm.device() == first);
  CHECK(norm.item<double>() == doctest::Approx(std::sqrt(24.)));
  for (const Tensor& parameter : parameters) {
    CHECK(parameter.grad().device() == parameter.device());
    CHECK(to(parameter.grad(), Device::cpu()).at(1) == doctest::Approx(1));
  }
}

TEST_CASE("cuda: of what a thread copies to a device once, it keeps 64 MiB") {
  const int64_t before = Storage::live();
  for (int i = 0; i < 12; ++i) {
    const Tensor y = arange(i, i + (1 << 20), 1, float64, first);  // 8 MiB
    CHECK(to(narrow(y, 0, 3, 1), Device::cpu()).item<double>() == i + 3);
  }
  CHECK(Storage::live() - before <= 8);
}

TEST_CASE("cuda: operands on two devices are an error") {
  if (is_alone()) return;
  const Tensor here = zeros({3, 3}, float32, first), there = zeros({3, 3}, float32, second);
  CHECK(error_here([&] { here + there; }) ==
        "add: the operands lie on different devices, cuda:0 and cuda:1; move one with to(x, device) (here)");
  CHECK(error_here([&] { matmul(there, here); }) ==
        "matmul: the operands lie on different devices, cuda:1 and cuda:0; move one with to(x, device) (here)");
  const int count = cuda::device_count();
  CHECK(error_here([&] { to(here, Device::cuda(count)); }) ==
        "to: there is no cuda:" + std::to_string(count) + ", only " + std::to_string(count) + " CUDA device(s) (here)");
}

TEST_CASE("cuda: operations leave the program's current device as it is") {
  if (is_alone()) return;
  const Tensor x = randn({4, 4});
  to(matmul(to(x, second), to(x, second)), Device::cpu());
  int current = -1;
  CHECK(cuda_function<int*>("cudaGetDevice")(&current) == cudaError(0));
  CHECK(current == 0);
}
