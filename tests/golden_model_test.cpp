#include <doctest/doctest.h>

#include <cstdlib>

#include "nn/activation.h"
#include "nn/conv.h"
#include "nn/embedding.h"
#include "nn/flatten.h"
#include "nn/linear.h"
#include "nn/norm.h"
#include "nn/pool.h"
#include "nn/rnn.h"
#include "nn/safetensors.h"
#include "nn/sequential.h"
#include "nn/transformer.h"
#include "ops/view.h"
#include "tests/files.h"
#include "tests/golden.h"

using namespace gradus;

// The models of tests/golden/models.py.
namespace {

auto cnn() {
  return nn::Sequential(nn::Conv2d(1, 4, 3, {.padding = 1}), nn::BatchNorm2d(4), nn::ReLU{}, nn::MaxPool2d{2},
                        nn::Conv2d(4, 6, 3, {.bias = false}), nn::BatchNorm2d(6), nn::ReLU{}, nn::Flatten{},
                        nn::Linear(24, 3));
}

struct Classifier {
  nn::Embedding embedding{10, 4};
  nn::LSTM lstm{4, 5, {.num_layers = 2, .batch_first = true, .bidirectional = true}};
  nn::Linear head{10, 3};
  Tensor operator()(const Tensor& words) const { return head(select(lstm(embedding(words)).output, 1, -1)); }
  GRADUS_FIELDS(embedding, lstm, head)
};

struct Encoder {
  nn::Embedding embedding{10, 6};
  std::vector<nn::TransformerEncoderLayer> layers;
  nn::LayerNorm norm{6};
  nn::Linear out{6, 10, {.bias = false}};

  Encoder() {
    for (int i = 0; i < 2; ++i)
      layers.push_back(nn::TransformerEncoderLayer(6, 2, {.dim_feedforward = 8, .batch_first = true}));
  }
  Tensor operator()(const Tensor& words) const {
    Tensor x = embedding(words);
    for (const auto& layer : layers) x = layer(x);
    return out(norm(x));
  }
  GRADUS_FIELDS(embedding, layers, norm, out)
};

void check_same(const std::string& path, const std::string& expected_path) {
  const StateDict actual = load_safetensors(path).tensors, expected = load_safetensors(expected_path).tensors;
  CHECK(actual.size() == expected.size());
  for (const auto& [name, tensor] : expected) CHECK(actual.at(name).to_vector<double>() == tensor.to_vector<double>());
}

}  // namespace

TEST_CASE("golden: models saved by PyTorch compute the same, and are saved as they were") {
  const files::TemporaryFolder temporary;
  const char* wanted = std::getenv("GRADUS_MODELS");  // a folder, for tests/golden/read_back.py
  golden::File file("model");
  const auto check = [&](const std::string& name, auto net) {
    eval(net);
    load(net, golden::path("models/" + name));
    const std::string copy = wanted ? wanted + ('/' + name + ".safetensors") : temporary.path(name);
    save(net, copy);
    check_same(copy, golden::path("models/" + name));
    file.check(name, [&](const golden::Case& one) {
      to(net, one.dtype);
      return StateDict{{"output.0", net(one.inputs()[0])}};
    });
  };
  check("cnn", cnn());
  check("lstm", Classifier());
  check("transformer", Encoder());
}
