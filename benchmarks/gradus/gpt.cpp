// A training step of a small language model (Radford et al., "Language models are unsupervised multitask learners",
// 2019): biases everywhere, exact GELU, no dropout, and the embedding's weight at the output, too.

#include "benchmarks/gradus/training.h"

using namespace gradus;
using namespace workloads::gpt;

namespace {

struct Gpt {
  nn::Embedding token{characters, width}, position{length, width};
  std::vector<nn::TransformerEncoderLayer> blocks;
  nn::LayerNorm norm{width};

  Gpt() {
    for (int64_t i = 0; i < layers; ++i)
      blocks.push_back(nn::TransformerEncoderLayer(
          width, heads,
          {.dim_feedforward = 4 * width, .dropout = 0, .activation = gelu, .batch_first = true, .norm_first = true}));
    for (const Tensor& parameter : parameters(*this))
      if (parameter.dim() == 2) init::normal_(parameter, 0, 0.02);
  }
  /// tokens: [B, T] → scores of the characters, [B, T, characters]
  Tensor operator()(const Tensor& tokens) const {
    Tensor x = token(tokens) + position.weight;
    for (const nn::TransformerEncoderLayer& block : blocks) x = block(x, {.is_causal = true});
    return linear(norm(x), token.weight);
  }
  GRADUS_FIELDS(token, position, blocks, norm)
};

}  // namespace

void workloads::add_gpt() {
  workloads::add("gpt", [] {
    manual_seed(1);
    Tensor tokens = randint(0, characters, {gpt::batch, length}),
           targets = randint(0, characters, {gpt::batch * length});
    return training_step<optim::AdamW>(
        Gpt(), optim::AdamWOptions{.lr = 1e-3, .betas = {0.9, 0.99}, .weight_decay = 0.1},
        [=](const Gpt& net) { return cross_entropy(flatten(net(tokens), 0, 1), targets); });
  });
}
