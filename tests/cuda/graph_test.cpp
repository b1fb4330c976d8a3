// A step of training recorded as a CUDA graph takes the very steps that it takes without.

#include <doctest/doctest.h>

#include "core/cuda.h"
#include "gradus.h"
#include "tests/checks.h"
#include "tests/cuda/cuda_function.h"

using namespace gradus;
using checks::distance;
using checks::error_here;

namespace {

const Device gpu = Device::cuda();

struct Net {
  nn::Conv2d conv{1, 2, 3};
  nn::BatchNorm2d norm{2};
  nn::Linear hidden{2 * 3 * 3, 8}, out{8, 3};
  Tensor operator()(const Tensor& x) const {
    const Tensor images = checkpoint([&](const Tensor& y) { return dropout(relu(norm(y)), 0.2); }, conv(x));
    const Tensor pooled = max_pool2d(images, 2, {.stride = 1}) + avg_pool2d(images, 2, {.stride = 1});
    return out(dropout(tanh(hidden(flatten(pooled, 1))), 0.4));
  }
  GRADUS_FIELDS(conv, norm, hidden, out)
};

struct Trained {
  std::vector<double> losses;
  std::map<std::string, Tensor> parameters, optimizer;
  GeneratorState generator;
};

// 30 steps, each with a batch and a learning rate of its own.
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
    clip_grad_norm_(parameters(net), 0.5, 2, false);
    optimizer.step();
  };
  std::function<void()> run = step;
  Trained result;
  for (int i = 0; i < 30; ++i) {
    assign(x, select(images, 0, i));
    optimizer.lr() *= 0.97;
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
  for (const auto& [name, value] : optimizer.state_dict()) result.optimizer[name] = to(value, Device::cpu());
  result.generator = default_generator().state();
  return result;
}

template <class Make> void compare(Make make) {
  const Trained expected = train(false, make), found = train(true, make);
  CHECK(found.losses == expected.losses);
  for (const auto& each : expected.parameters) {
    CAPTURE(each.first);
    CHECK(distance(found.parameters.at(each.first), each.second) == 0);
  }
  for (const auto& each : expected.optimizer) {
    CAPTURE(each.first);
    CHECK(distance(found.optimizer.at(each.first), each.second) == 0);
  }
  CHECK(found.generator == expected.generator);
}

using Parameters = decltype(parameters(std::declval<Net&>()));

std::string error_without_line(const auto& run) {
  const std::string error = error_here(run);
  return error.substr(0, error.find(" ("));
}

struct LanguageModel {
  nn::Embedding tokens{11, 8}, positions{6, 8};
  nn::TransformerEncoderLayer layer{8, 2, {.dim_feedforward = 16, .dropout = 0.3}};
  nn::LSTM lstm{8, 8};
  nn::Linear out{8, 11};
  Tensor operator()(const Tensor& x) const {
    const Tensor embedded = tokens(x) + positions(arange(x.size(1), x.device()));
    return out(rotary(lstm(layer(embedded)).output));
  }
  GRADUS_FIELDS(tokens, positions, layer, lstm, out)
};

}  // namespace

TEST_CASE("cuda: a step recorded as a graph is the same step") {
  compare([](const Parameters& p) { return optim::SGD(p, {.lr = 0.1, .momentum = 0.9, .weight_decay = 0.01}); });
  const int64_t storages = Storage::live();
  compare([](const Parameters& p) { return optim::SGD(p, {.lr = 0.1}); });
  compare([](const Parameters& p) { return optim::RMSprop(p, {.lr = 0.01}); });
  compare([](const Parameters& p) { return optim::Adagrad(p, {.lr = 0.1, .lr_decay = 0.1}); });
  compare([](const Parameters& p) { return optim::Adam(p, {.lr = 0.01, .amsgrad = true}); });
  compare([](const Parameters& p) { return optim::AdamW(p, {.lr = 0.01}); });
  CHECK(Storage::live() == storages);
}

TEST_CASE("cuda: a graph has attention and batch norm by cuDNN") {
  manual_seed(3);
  // The same bits as without a graph, for other values of x at each launch.
  const auto compare_launches = [](int64_t runs, const Tensor& x, const auto& f) {
    Tensor y;
    const auto step = [&] { y = f(); };
    const auto launch = cuda::graphed(step);
    for (int i = 0; i < 3; ++i) {
      assign(x, uniform(x.shape(), -1, 1, bfloat16));
      cuda::synchronize();
      Tensor found;
      check_cudnn_runs(runs, [&] {
        launch();
        found = to(y, Device::cpu());
      });
      const Tensor recorded = y;
      step();
      CHECK(distance(found, to(y, Device::cpu())) == 0);
      y = recorded;
    }
  };
  const Tensor q = zeros({2, 3, 70, 16}, bfloat16, gpu), k = to(uniform({2, 3, 40, 16}, -1, 1, bfloat16), gpu);
  compare_launches(1, q, [&] { return scaled_dot_product_attention(q, k, k, {.is_causal = true, .scale = 0.3}); });
  const Tensor x = zeros({4, 16, 3, 3}, bfloat16, gpu).requires_grad();
  const Tensor mean = zeros({16}, float32, gpu), variance = ones({16}, float32, gpu);
  const Tensor weight = to(uniform({16}, 1, 2, bfloat16), gpu);
  compare_launches(2, x.detach(), [&] {
    const Tensor y = batch_norm(x, mean, variance, weight, {}, {.training = true, .momentum = 1});
    return cat({flatten(to(grad(sum(y * y * y), x), float32)), mean, variance});
  });
}

TEST_CASE("cuda: a language model is trained by a graph") {
  const auto train_model = [](bool with_graph) {
    manual_seed(1);
    const Tensor texts = to(randint(0, 11, {8, 4, 7}), gpu), x = zeros({4, 7}, int64, gpu);
    LanguageModel model;
    to(model, gpu);
    optim::AdamW optimizer(parameters(model), {.lr = 0.01});
    Tensor loss;
    const auto step = [&] {
      optimizer.zero_grad();
      loss = cross_entropy(flatten(model(narrow(x, 1, 0, 6)), 0, 1), flatten(narrow(x, 1, 1, 6)));
      loss.backward();
      optimizer.step();
    };
    std::function<void()> run = step;
    std::vector<double> losses;
    for (int i = 0; i < 8; ++i) {
      assign(x, select(texts, 0, i));
      if (i == 0 && with_graph) run = cuda::graphed(step);
      else run();
      if (i > 0) losses.push_back(loss.item<double>());
    }
    return losses;
  };
  CHECK(train_model(true) == train_model(false));
}

TEST_CASE("cuda: each launch of a graph draws other numbers, of one generator or several") {
  const Tensor q = to(randn({2, 9, 8}), gpu), x = to(ones({1000}), gpu);
  const auto run = [&](bool with_graph) {
    manual_seed(3);
    Generator own(4);
    Tensor attended, dropped, own_dropped;
    const std::function<void()> step = [&] {
      attended = scaled_dot_product_attention(q, q, q, {.dropout_p = 0.5});
      dropped = dropout(x, 0.5);
      own_dropped = dropout(x, 0.5, true, own);
    };
    std::vector<std::vector<float>> values;
    const std::function<void()> launch = with_graph ? cuda::graphed(step) : step;
    if (!with_graph) step();
    for (int i = 0; i < 3; ++i) {
      launch();
      for (const Tensor& y : {attended, dropped, own_dropped}) values.push_back(y.to_vector<float>());
    }
    CHECK(values[1] != values[4]);
    CHECK(values[1] != values[2]);
    return values;
  };
  CHECK(run(true) == run(false));
}

TEST_CASE("cuda: the optimiser may move, and end before its graph, but not change what it remembers") {
  const Tensor w = to(tensor({3, 4}), gpu).requires_grad(), w2 = to(tensor({3, 4}), gpu).requires_grad();
  std::function<void()> launch;
  {
    optim::Adam adam({w});
    launch = cuda::graphed([&] {
      adam.zero_grad();
      sum(w * w).backward();
      adam.step();
    });
    const auto state = adam.state_dict();
    optim::Adam moved = std::move(adam);
    launch();
    CHECK(moved.state_dict().at("0.step").item<int64_t>() == 2);
    moved.load_state_dict(state);
    CHECK(error_without_line(launch) == "Adam: the CUDA graph was recorded with another exp_avg");
    moved.lr() = -1;
    CHECK(error_without_line(launch) == "Adam: lr is -1; it must be at least 0");
  }
  optim::SGD sgd({w2}, {.lr = 0.25});
  launch = cuda::graphed([&] {
    sgd.zero_grad();
    sum(w2 * w2).backward();
    sgd.step();
  });
  launch();
  CHECK(w2.to_vector<float>() == std::vector<float>{0.75, 1});
  sgd.groups()[0].options.momentum = 0.9;
  CHECK(error_without_line(launch) == "SGD: the CUDA graph was recorded with another momentum_buffer");
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
    const std::string error = error_without_line([&] {
      cuda::graphed([&] {
        if (!first) step();
        first = false;
      });
    });
    CHECK(!cuda::is_capturing());
    CHECK((x + x).to_vector<float>() == std::vector<float>{2, 4});
    return error;
  };
  const std::string waits =
      "the program cannot wait for the device while it records a CUDA graph: read results after a launch, and copy "
      "inputs to the device before";
  CHECK(refused([&] { sum(x).item(); }) == waits);
  CHECK(refused([&] { to(tensor({1, 2, 3}), gpu); }) == "to: " + waits);
  CHECK(refused([&] { cuda::synchronize(); }) == waits);
  CHECK(refused([&] { arange(1, gpu); }) ==
        "the step before had no arange like this: a CUDA graph is recorded after a step of the same kind");
  const std::string draws = "a CUDA graph would draw the same random numbers at each launch";
  CHECK(refused([&] { dropout(x.copied_to(Device::cpu()), 0.5); }) == waits);
  const Tensor on_cpu = ones({3});
  CHECK(refused([&] { dropout(on_cpu, 0.5); }) == "dropout: " + draws);
  CHECK(refused([&] { randn({3}); }) == draws);
  const GeneratorState before = default_generator().state();
  CHECK(refused([&] {
          dropout(x, 0.5);
          manual_seed(7);
          dropout(x, 0.5);
        }) == "dropout: a CUDA graph cannot record that a generator gets another seed");
  CHECK(default_generator().state() == before);
  CHECK(refused([&] { cuda::graphed([] {}); }) == "graphed: a step that is being recorded cannot record another");
  optim::Adam adam({w});
  CHECK(refused([&] {
          sum(w).backward();
          adam.step();
        }) == "Adam: parameter 0 has no exp_avg yet: a CUDA graph is recorded after a step of the same kind");
  if (cuda::device_count() > 1)
    CHECK(refused([&] { zeros({2}, float32, Device::cuda(1)); }) ==
          "a CUDA graph of cuda:0 cannot record what cuda:1 is to do");
}
