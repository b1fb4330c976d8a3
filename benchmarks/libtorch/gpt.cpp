// A training step of a small language model (Radford et al., "Language models are unsupervised multitask learners",
// 2019): biases everywhere, exact GELU, no dropout, and the embedding's weight at the output, too. Queries, keys and
// values come from one linear layer; libtorch 1.13 has no fused attention for training.

#include <cmath>
#include <limits>

#include "benchmarks/libtorch/training.h"

namespace nn = torch::nn;
using torch::Tensor;
using namespace workloads::gpt;

namespace {

struct Block : nn::Module {
  nn::LayerNorm norm1{nn::LayerNormOptions({width})}, norm2{nn::LayerNormOptions({width})};
  nn::Linear in_projection{width, 3 * width}, out_projection{width, width};
  nn::Linear linear1{width, 4 * width}, linear2{4 * width, width};
  Tensor hidden = torch::ones({length, length}, torch::kBool).triu(1);  // what comes later

  Block() {
    register_module("norm1", norm1);
    register_module("norm2", norm2);
    register_module("in_projection", in_projection);
    register_module("out_projection", out_projection);
    register_module("linear1", linear1);
    register_module("linear2", linear2);
  }
  Tensor attend(const Tensor& x) {
    auto each_head = [&](const Tensor& part) {
      return part.view({x.size(0), x.size(1), heads, width / heads}).transpose(1, 2);
    };
    std::vector<Tensor> parts = in_projection(x).split(width, 2);
    Tensor scores = each_head(parts[0]).matmul(each_head(parts[1]).transpose(-2, -1)) *
                    (1 / std::sqrt(double(width) / double(heads)));
    Tensor probability = scores.masked_fill(hidden, -std::numeric_limits<float>::infinity()).softmax(-1);
    Tensor found = probability.matmul(each_head(parts[2]));
    return out_projection(found.transpose(1, 2).reshape(x.sizes()));
  }
  Tensor forward(const Tensor& x) {
    Tensor y = x + attend(norm1(x));
    return y + linear2(torch::gelu(linear1(norm2(y))));
  }
};

struct Gpt : nn::Module {
  nn::Embedding token{characters, width}, position{length, width};
  std::vector<std::shared_ptr<Block>> blocks;
  nn::LayerNorm norm{nn::LayerNormOptions({width})};

  Gpt() {
    register_module("token", token);
    register_module("position", position);
    for (int64_t i = 0; i < layers; ++i)
      blocks.push_back(register_module("block" + std::to_string(i), std::make_shared<Block>()));
    register_module("norm", norm);
    torch::NoGradGuard no_grad;
    for (Tensor& parameter : parameters())
      if (parameter.dim() == 2) parameter.normal_(0, 0.02);
  }
  /// tokens: [B, T] → scores of the characters, [B, T, characters]
  Tensor forward(const Tensor& tokens) {
    Tensor x = token(tokens) + position->weight;
    for (const auto& block : blocks) x = block->forward(x);
    return nn::functional::linear(norm(x), token->weight);
  }
};

}  // namespace

void workloads::add_gpt() {
  workloads::add("gpt", [] {
    torch::manual_seed(1);
    Tensor tokens = torch::randint(characters, {gpt::batch, length}, torch::kLong),
           targets = torch::randint(characters, {gpt::batch * length}, torch::kLong);
    return training_step<torch::optim::AdamW>(
        std::make_shared<Gpt>(), torch::optim::AdamWOptions(1e-3).betas({0.9, 0.99}).weight_decay(0.1),
        [=](Gpt& net) { return nn::functional::cross_entropy(net.forward(tokens).flatten(0, 1), targets); });
  });
}
