// A step of training recorded as a CUDA graph takes the very steps that it takes without.

#include <doctest/doctest.h>

#include "core/cuda.h"
#include "gradus.h"
#include "tests/checks.h"

using namespace gradus;
using checks::distance;
using checks::error_here;

namespace {

const Device gpu = Device::cuda();

struct Net {
  nn::Conv2d conv{1, 2, 3};
  nn::BatchNorm2d norm{2};
  nn::Linear hidden{2 * 4 * 4, 8}, out{8, 3};
  Tensor operator()(const Tensor& x) const { return out(tanh(hidden(flatten(relu(norm(conv(x))), 1)))); }
  GRADUS_FIELDS(conv, norm, hidden, out)
};

struct Trained {
  std::vector<double> losses;
  std::map<std::string, Tensor> parameters;
};

// 30 steps, each with a batch of its own.
template <class Make> Trained train(bool with_graph, Make make) {
  manual_seed(1);
  const Tensor images = to(randn({30, 7, 1, 6, 6}), gpu), labels = to(tensor({0, 1, 2, 0, -100, 2, 0}, int64), gpu);
  const Tensor x = zeros({7, 1, 6, 6}, float32, gpu);
  Net net;
  to(net, gpu);
  auto optimizer = make(parameters(net));
  Tensor loss;
  const auto step = [&] {
    optimizer.zero_grad();
    loss = cross_entropy(net(x * 1.5), labels) * 2;
    loss.backward();
    optimizer.step();
  };
  std::function<void()> run = step;
  Trained result;
  for (int i = 0; i < 30; ++i) {
    assign(x, select(images, 0, i));
    if (i == 1 && with_graph) {
      const std::vector<float> before = net.out.weight.to_vector<float>();
      run = cuda::graphed(step);  // takes this step at once
      CHECK(net.out.weight.to_vector<float>() != before);
    } else {
      run();
    }
    // Of a graph, the loss has a value once it was launched.
    if (i != 1) result.losses.push_back(loss.item<double>());
  }
  for (const auto& [name, value] : state_dict(net)) result.parameters[name] = to(value, Device::cpu());
  return result;
}

template <class Make> void compare(Make make) {
  const Trained expected = train(false, make), found = train(true, make);
  CHECK(found.losses == expected.losses);
  for (const auto& each : expected.parameters) {
    CAPTURE(each.first);
    CHECK(distance(found.parameters.at(each.first), each.second) == 0);
  }
}

using Parameters = decltype(parameters(std::declval<Net&>()));

}  // namespace

TEST_CASE("cuda: a step recorded as a graph is the same step") {
  const int64_t storages = Storage::live();
  compare([](const Parameters& p) { return optim::SGD(p, {.lr = 0.1, .momentum = 0.9, .weight_decay = 0.01}); });
  compare([](const Parameters& p) { return optim::RMSprop(p, {.lr = 0.01}); });
  compare([](const Parameters& p) { return optim::Adagrad(p, {.lr = 0.1}); });
  CHECK(Storage::live() == storages);
}

TEST_CASE("cuda: a graph outlives its step, and its results the graph") {
  const Tensor x = to(tensor({1, 2}), gpu);
  Tensor y;
  auto launch = cuda::graphed([&] { y = square(x + 1) * 3; });
  fill(x, 2);
  launch();
  launch();
  CHECK(y.to_vector<float>() == std::vector<float>{27, 27});
  launch = nullptr;
  CHECK(y.to_vector<float>() == std::vector<float>{27, 27});
}

TEST_CASE("cuda: what a graph cannot record is an error") {
  const Tensor x = to(tensor({1, 2}), gpu), w = to(tensor({3, 4}), gpu).requires_grad();
  const auto refused = [&](auto&& step) {
    bool first = true;
    const std::string error = error_here([&] {
      cuda::graphed([&] {
        if (!first) step();
        first = false;
      });
    });
    CHECK(!cuda::is_capturing());
    CHECK((x + x).to_vector<float>() == std::vector<float>{2, 4});
    return error.substr(0, error.find(" ("));  // without the line
  };
  const std::string waits =
      "the program cannot wait for the device while it records a CUDA graph: read results after a launch, and copy "
      "inputs to the device before";
  CHECK(refused([&] { sum(x).item(); }) == waits);
  CHECK(refused([&] { to(tensor({1, 2, 3}), gpu); }) == "to: " + waits);
  CHECK(refused([&] { cuda::synchronize(); }) == waits);
  CHECK(refused([&] { dropout(x, 0.5); }) == "dropout: a CUDA graph would draw the same random numbers at each launch");
  CHECK(refused([&] { cuda::graphed([] {}); }) == "graphed: a step that is being recorded cannot record another");
  optim::Adam adam({w});
  CHECK(refused([&] {
          sum(w).backward();
          adam.step();
        }) ==
        "Adam: the update depends on the number of the step, which would be the same at each launch of a CUDA graph");
  if (cuda::device_count() > 1)
    CHECK(refused([&] { zeros({2}, float32, Device::cuda(1)); }) ==
          "a CUDA graph of cuda:0 cannot record what cuda:1 is to do");
}
