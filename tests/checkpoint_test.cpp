#include "nn/checkpoint.h"

#include <doctest/doctest.h>

#include <cstring>

#include "nn/dropout.h"
#include "nn/linear.h"
#include "nn/loader.h"
#include "nn/optim.h"
#include "nn/safetensors.h"
#include "ops/activation.h"
#include "ops/create.h"
#include "ops/loss.h"
#include "tests/files.h"

using namespace gradus;
using files::error_text, files::TemporaryFolder;

namespace {

struct Net {
  nn::Linear hidden{4, 16};
  nn::Dropout dropout{0.3};
  nn::Linear out{16, 3};
  Tensor operator()(const Tensor& x) const { return out(dropout(relu(hidden(x)))); }
  GRADUS_FIELDS(hidden, dropout, out)
};

data::TensorDataset examples() {
  Generator generator(1);
  return {randn({90, 4}, float32, generator), randint(0, 3, {90}, generator)};
}

template <class Optimizer> void train(const Net& net, Optimizer& optimizer, int epochs) {
  const data::Loader loader(examples(), {.batch = 16, .shuffle = true});
  for (int epoch = 0; epoch < epochs; ++epoch)
    for (auto [input, target] : loader) {
      optimizer.zero_grad();
      cross_entropy(net(input), target).backward();
      optimizer.step();
    }
}

bool same_bits(const StateDict& a, const StateDict& b) {
  if (a.size() != b.size()) return false;
  for (const auto& [name, x] : a) {
    if (!b.count(name) || x.dtype() != b.at(name).dtype() || x.shape() != b.at(name).shape()) return false;
    const Tensor& y = b.at(name);
    if (std::memcmp(x.storage()->data(), y.storage()->data(), size_t(x.numel()) * item_size(x.dtype())) != 0)
      return false;
  }
  return true;
}

}  // namespace

TEST_CASE_TEMPLATE("checkpoint: a resumed training is the uninterrupted one, bit for bit", Optimizer, optim::SGD,
                   optim::Adam, optim::AdamW, optim::RMSprop, optim::Adagrad) {
  const TemporaryFolder folder;
  const auto optimizer_of = [](const Net& net) {
    if constexpr (std::is_same_v<Optimizer, optim::SGD>)
      return optim::SGD(parameters(net), {.lr = 0.1, .momentum = 0.9});
    else return Optimizer(parameters(net));
  };
  manual_seed(7);
  const Net straight;
  Optimizer straight_optimizer = optimizer_of(straight);
  train(straight, straight_optimizer, 4);
  const GeneratorState straight_end = default_generator().state();

  manual_seed(7);
  {
    const Net net;
    Optimizer optimizer = optimizer_of(net);
    train(net, optimizer, 2);
    save_checkpoint(folder.path("half"), net, optimizer, 2);
  }
  manual_seed(100);
  const Net resumed;
  Optimizer resumed_optimizer = optimizer_of(resumed);
  CHECK(!same_bits(state_dict(resumed), state_dict(straight)));
  CHECK(load_checkpoint(folder.path("half"), resumed, resumed_optimizer) == 2);
  train(resumed, resumed_optimizer, 2);
  CHECK(same_bits(state_dict(resumed), state_dict(straight)));
  CHECK(same_bits(resumed_optimizer.state_dict(), straight_optimizer.state_dict()));
  CHECK(default_generator().state() == straight_end);
}

TEST_CASE("checkpoint: what is in the file") {
  const TemporaryFolder folder;
  save_checkpoint(folder.path("x"), {{{"w", ones({2})}}, {{"0.step", Tensor(5, int64)}}, 3, {~uint64_t(0), 17}});
  const TensorFile file = load_safetensors(folder.path("x"));
  CHECK(file.tensors.count("model.w") == 1);
  CHECK(file.tensors.count("optimizer.0.step") == 1);
  CHECK(file.metadata == std::map<std::string, std::string>{
                             {"epoch", "3"}, {"generator.seed", "18446744073709551615"}, {"generator.offset", "17"}});
  const Checkpoint checkpoint = load_checkpoint(folder.path("x"));
  CHECK(checkpoint.model.at("w").to_vector<int>() == std::vector<int>{1, 1});
  CHECK(checkpoint.optimizer.at("0.step").item<int>() == 5);
  CHECK(checkpoint.epoch == 3);
  CHECK(checkpoint.generator == GeneratorState{~uint64_t(0), 17});
}

TEST_CASE("checkpoint: files that are none are errors, and change nothing") {
  const TemporaryFolder folder;
  const std::string path = folder.path("x");
  const auto error = [&](const TensorFile& file) {
    save_safetensors(path, file);
    return error_text([&] { load_checkpoint(path); }, path);
  };
  CHECK(error({}) == "load_checkpoint: x: this is not a checkpoint, for its metadata have no epoch");
  CHECK(error({{}, {{"epoch", "3"}, {"generator.seed", "-1"}}}) ==
        "load_checkpoint: x: generator.seed is \"-1\", not a number");
  CHECK(error({{}, {{"epoch", "3 "}}}) == "load_checkpoint: x: epoch is \"3 \", not a number");
  CHECK(error({{{"w", ones({1})}}, {{"epoch", "3"}, {"generator.seed", "1"}, {"generator.offset", "2"}}}) ==
        "load_checkpoint: x: w belongs neither to the model nor to the optimizer");
  CHECK(error_text([&] { load_checkpoint(folder.path("none")); }, path) ==
        "load_safetensors: none: there is no such file");
}
