// Batches that a background thread copies to the device: bit by bit those of the CPU.

#include <doctest/doctest.h>

#include "core/cuda.h"
#include "gradus.h"
#include "tests/checks.h"
#include "tests/cuda/cuda_function.h"

using namespace gradus;
using checks::distance;

namespace {

const Device gpu = Device::cuda();

data::TensorDataset examples() {
  manual_seed(1);
  return {randn({100, 7}), to(arange(100), int64)};
}

// What a program computed from the batches of an epoch.
struct Epoch {
  std::vector<Tensor> inputs, targets;
  explicit Epoch(const data::TensorDataset& dataset, data::LoaderOptions options) {
    manual_seed(2);
    options.batch = 16;
    options.shuffle = true;
    for (auto [input, target] : data::Loader(dataset, options)) {
      CHECK(input.device() == options.device);
      inputs.push_back(input * 2);
      targets.push_back(target + 1);
    }
  }
  void check_equals(const Epoch& other) const {
    REQUIRE(inputs.size() == other.inputs.size());
    for (size_t i = 0; i < inputs.size(); ++i) {
      CHECK(distance(to(inputs[i], Device::cpu()), to(other.inputs[i], Device::cpu())) == 0);
      CHECK(distance(to(targets[i], Device::cpu()), to(other.targets[i], Device::cpu())) == 0);
    }
  }
};

}  // namespace

TEST_CASE("cuda: a loader's batches are those of the CPU") {
  const Epoch expected(examples(), {});
  for (int prefetch : {0, 1, 3, 10}) {
    CAPTURE(prefetch);
    Epoch(examples(), {.device = gpu, .prefetch = prefetch}).check_equals(expected);
    Epoch(examples(), {.device = Device::cuda(cuda::device_count() - 1), .prefetch = prefetch}).check_equals(expected);
  }
}

TEST_CASE("cuda: a loader takes batches from a dataset on the device") {
  const data::TensorDataset here = examples(), there{to(here.inputs, gpu) + 1, to(here.targets, gpu)};
  Epoch(there, {.device = gpu}).check_equals(Epoch({here.inputs + 1, here.targets}, {}));
}

TEST_CASE("cuda: a loader may be left before its end") {
  const data::TensorDataset dataset = examples();
  const Epoch expected(dataset, {});
  for (int repeat = 0; repeat < 10; ++repeat) {
    manual_seed(2);
    for (auto [input, target] : data::Loader(dataset, {.batch = 16, .shuffle = true, .device = gpu})) {
      CHECK(distance(to(input * 2, Device::cpu()), expected.inputs[0]) == 0);
      break;
    }
  }
  // The copies of the other batches are done, too, and into memory that is still theirs.
  CHECK(cuda_function<>("cudaDeviceSynchronize")() == cudaError(0));
}

TEST_CASE("cuda: memory may be changed as soon as it was copied to the device") {
  Tensor x = zeros({1000});
  std::vector<Tensor> copies;
  for (int i = 0; i < 10; ++i) {
    fill(x, i);
    copies.push_back(to(x, gpu));
  }
  for (int i = 0; i < 10; ++i) CHECK(distance(to(copies[size_t(i)], Device::cpu()), full({1000}, i)) == 0);
}
