// Multi-head attention and Transformer layers: names, values, masks, caches, gradients.

#include "nn/transformer.h"

#include <doctest/doctest.h>

#include <cmath>

#include "core/tape.h"
#include "derive/gradcheck.h"
#include "nn/init.h"
#include "ops/arithmetic.h"
#include "ops/comparison.h"
#include "ops/create.h"
#include "ops/index.h"
#include "ops/join.h"
#include "ops/matmul.h"
#include "ops/reduce.h"
#include "ops/softmax.h"
#include "ops/view.h"
#include "tests/checks.h"

using namespace gradus;
using checks::distance;
using checks::error_here;

namespace {

std::vector<std::string> names(const nn::AllOf& net) {
  std::vector<std::string> list;
  for (const auto& [name, tensor] : state_dict(net)) list.push_back(name);
  return list;
}

// Random values instead of the zeros and ones in which biases and norms start.
template <Module Net> Net scrambled(const Net& net) {
  to(net, float64);
  const NoGrad off;
  for (Tensor& parameter : parameters(net)) init::uniform_(parameter, -0.5, 0.5);
  return net;
}

// The definition, for batch_first: a head at a time.
Tensor definition(const nn::MultiheadAttention& net, const Tensor& query, const Tensor& key, const Tensor& value,
                  const Tensor& added = {}) {
  const int64_t size = query.size(2), head = size / net.num_heads;
  const auto project = [&](const Tensor& x, int64_t part) {
    return matmul(x, t(narrow(net.in_proj_weight, 0, part * size, size))) +
           narrow(net.in_proj_bias, 0, part * size, size);
  };
  const Tensor q = project(query, 0), k = project(key, 1), v = project(value, 2);
  std::vector<Tensor> heads;
  for (int64_t h = 0; h < net.num_heads; ++h) {
    const auto part = [&](const Tensor& x) { return narrow(x, 2, h * head, head); };
    const Tensor scores = matmul(part(q), transpose(part(k), 1, 2)) / std::sqrt(double(head));
    heads.push_back(matmul(softmax(added.defined() ? scores + added : scores, -1), part(v)));
  }
  return matmul(cat(heads, 2), t(net.out_proj.weight)) + net.out_proj.bias;
}

Tensor hidden(const Tensor& condition) { return masked_fill(zeros(condition.shape(), float64), condition, -INFINITY); }

Tensor swapped(const Tensor& x) { return transpose(x, 0, 1); }

}  // namespace

TEST_CASE("MultiheadAttention: PyTorch's names, shapes and first values") {
  manual_seed(1);
  const nn::MultiheadAttention net(12, 3);
  CHECK(names(net) == std::vector<std::string>{"in_proj_bias", "in_proj_weight", "out_proj.bias", "out_proj.weight"});
  CHECK(net.in_proj_weight.shape() == Shape{36, 12});
  CHECK(amax(abs(net.in_proj_weight)).item() == doctest::Approx(std::sqrt(6. / 48)).epsilon(0.05));
  CHECK(amax(abs(net.out_proj.weight)).item() == doctest::Approx(std::sqrt(1. / 12)).epsilon(0.1));
  CHECK(all(net.in_proj_bias == 0).item());
  CHECK(all(net.out_proj.bias == 0).item());
  CHECK(count(net) == 4 * 12 * 12 + 4 * 12);
  CHECK(names(nn::MultiheadAttention(4, 2, {.bias = false})) ==
        std::vector<std::string>{"in_proj_weight", "out_proj.weight"});
}

TEST_CASE("MultiheadAttention: values, masks and layouts agree with the definition") {
  manual_seed(2);
  const auto net = scrambled(nn::MultiheadAttention(6, 2, {.batch_first = true}));
  nn::MultiheadAttention sequence_first = net;
  sequence_first.batch_first = false;
  const Tensor query = randn({3, 4, 6}, float64), key = randn({3, 5, 6}, float64), value = randn({3, 5, 6}, float64);
  const auto check = [&](const nn::AttentionMask& mask, const Tensor& added) {
    const Tensor expected = definition(net, query, key, value, added);
    CHECK(distance(net(query, key, value, mask), expected) < 1e-13);
    CHECK(distance(swapped(sequence_first(swapped(query), swapped(key), swapped(value), mask)), expected) < 1e-13);
  };
  const Tensor later = unsqueeze(arange(4), 1) < arange(5),
               padded = reshape(tensor({0, 1, 0, 0, 0, 0, 0, 0, 0, 1, 0, 0, 1, 1, 0}) > 0, {3, 5});
  check({}, {});
  check({.is_causal = true}, hidden(later));
  check({.attn_mask = later}, hidden(later));
  check({.attn_mask = hidden(later), .key_padding_mask = padded}, hidden(logical_or(later, unsqueeze(padded, 1))));
  const Tensor bias = randn({4, 5}, float64);
  check({.attn_mask = bias, .is_causal = true}, bias + hidden(later));
  check({.attn_mask = expand(bias, {6, 4, 5})}, bias);
  CHECK(distance(net(select(query, 0, 1), select(key, 0, 1), select(value, 0, 1)),
                 select(definition(net, query, key, value), 0, 1)) < 1e-13);

  const Tensor per_head = randn({3, 2, 4, 5}, float64);  // a mask of its own for each item and head
  const Tensor y = net(query, key, value, {.attn_mask = reshape(per_head, {6, 4, 5})});
  CHECK(distance(net(narrow(query, 0, 1, 1), narrow(key, 0, 1, 1), narrow(value, 0, 1, 1),
                     {.attn_mask = select(per_head, 0, 1)}),
                 narrow(y, 0, 1, 1)) < 1e-13);
}

TEST_CASE("MultiheadAttention: dropout in training only") {
  manual_seed(3);
  nn::MultiheadAttention net(4, 2, {.dropout = 0.5});
  const Tensor x = randn({6, 1, 4});
  CHECK(distance(net(x, x, x), net(x, x, x)) > 1e-3);
  eval(net);
  CHECK(distance(net(x, x, x), net(x, x, x)) == 0);
}

TEST_CASE("Transformer layers: PyTorch's names") {
  const nn::TransformerEncoderLayer encoder(8, 2, {.dim_feedforward = 16});
  CHECK(names(encoder) == std::vector<std::string>{"linear1.bias", "linear1.weight", "linear2.bias", "linear2.weight",
                                                   "norm1.bias", "norm1.weight", "norm2.bias", "norm2.weight",
                                                   "self_attn.in_proj_bias", "self_attn.in_proj_weight",
                                                   "self_attn.out_proj.bias", "self_attn.out_proj.weight"});
  const nn::TransformerDecoderLayer decoder(8, 2, {.dim_feedforward = 16});
  CHECK(names(decoder) == std::vector<std::string>{"linear1.bias", "linear1.weight", "linear2.bias", "linear2.weight",
                                                   "multihead_attn.in_proj_bias", "multihead_attn.in_proj_weight",
                                                   "multihead_attn.out_proj.bias", "multihead_attn.out_proj.weight",
                                                   "norm1.bias", "norm1.weight", "norm2.bias", "norm2.weight",
                                                   "norm3.bias", "norm3.weight", "self_attn.in_proj_bias",
                                                   "self_attn.in_proj_weight", "self_attn.out_proj.bias",
                                                   "self_attn.out_proj.weight"});
  CHECK(encoder.linear1.weight.shape() == Shape{16, 8});
  for (const std::string& name : names(nn::TransformerEncoderLayer(8, 2, {.bias = false})))
    CHECK(name.find("bias") == std::string::npos);
}

TEST_CASE("Transformer layers: values agree with their definition, before and after the norms") {
  manual_seed(4);
  for (bool norm_first : {false, true}) {
    CAPTURE(norm_first);
    const nn::TransformerLayerOptions options{
        .dim_feedforward = 10, .dropout = 0, .activation = gelu, .batch_first = true, .norm_first = norm_first};
    const Tensor x = randn({2, 5, 4}, float64), memory = randn({2, 3, 4}, float64);
    const Tensor later = hidden(unsqueeze(arange(5), 1) < arange(5));

    const auto encoder = scrambled(nn::TransformerEncoderLayer(4, 2, options));
    const auto feed_forward = [](const auto& net, const Tensor& y) { return net.linear2(gelu(net.linear1(y))); };
    const auto attend = [&](const nn::MultiheadAttention& net, const Tensor& y) {
      return definition(net, y, y, y, later);
    };
    Tensor y =
        norm_first ? x + attend(encoder.self_attn, encoder.norm1(x)) : encoder.norm1(x + attend(encoder.self_attn, x));
    y = norm_first ? y + feed_forward(encoder, encoder.norm2(y)) : encoder.norm2(y + feed_forward(encoder, y));
    CHECK(distance(encoder(x, {.is_causal = true}), y) < 1e-12);

    const auto decoder = scrambled(nn::TransformerDecoderLayer(4, 2, options));
    const auto look = [&](const Tensor& z) { return definition(decoder.multihead_attn, z, memory, memory); };
    y = norm_first ? x + attend(decoder.self_attn, decoder.norm1(x)) : decoder.norm1(x + attend(decoder.self_attn, x));
    y = norm_first ? y + look(decoder.norm2(y)) : decoder.norm2(y + look(y));
    y = norm_first ? y + feed_forward(decoder, decoder.norm3(y)) : decoder.norm3(y + feed_forward(decoder, y));
    CHECK(distance(decoder(x, memory, {.is_causal = true}), y) < 1e-12);
    CHECK(gradcheck([&](const Tensor& a, const Tensor& b) { return decoder(a, b, {.is_causal = true}); },
                    {.second_order = true}, x, memory));
    const Tensor loss = sum(square(decoder(x, memory)));
    loss.backward();
    for (const Tensor& parameter : parameters(decoder)) CHECK(parameter.grad().defined());
  }
}

TEST_CASE("Transformer layers: dropout in training, none in evaluation") {
  manual_seed(5);
  nn::TransformerEncoderLayer net(4, 2, {.dim_feedforward = 8});
  const Tensor x = randn({6, 2, 4});
  CHECK(distance(net(x), net(x)) > 1e-3);
  eval(net);
  CHECK(distance(net(x), net(x)) == 0);
}

TEST_CASE("key/value cache: positions one at a time, or in parts, give what the whole sequence gives") {
  manual_seed(6);
  for (bool batch_first : {true, false}) {
    const nn::TransformerLayerOptions options{
        .dim_feedforward = 10, .dropout = 0, .batch_first = batch_first, .norm_first = true};
    const std::vector<nn::TransformerEncoderLayer> layers{scrambled(nn::TransformerEncoderLayer(6, 3, options)),
                                                          scrambled(nn::TransformerEncoderLayer(6, 3, options))};
    const auto decoder = scrambled(nn::TransformerDecoderLayer(6, 3, options));
    const Tensor x = randn(batch_first ? Shape{2, 9, 6} : Shape{9, 2, 6}, float64), memory = randn({2, 2, 6}, float64);
    const int time = batch_first ? 1 : 0;
    const auto run = [&](Tensor y, std::vector<nn::KeyValueCache>* caches) {
      for (size_t i = 0; i < layers.size(); ++i)
        y = layers[i](y, {.is_causal = true}, caches ? &(*caches)[i] : nullptr);
      return decoder(y, memory, {.is_causal = true}, {}, caches ? &caches->back() : nullptr);
    };
    const Tensor whole = run(x, nullptr);
    for (const std::vector<int64_t>& parts : {std::vector<int64_t>(9, 1), {4, 1, 3, 1}, {9}}) {
      const NoGrad off;
      std::vector<nn::KeyValueCache> caches(3);
      std::vector<Tensor> found;
      for (const Tensor& part : split(x, parts, time)) found.push_back(run(part, &caches));
      CHECK(distance(cat(found, time), whole) < 1e-12);
      CHECK(caches[0].length() == 9);
      CHECK(caches[0].key.shape() == Shape{2, 3, 9, 2});
    }
  }
}

TEST_CASE("attention layers: errors") {
  CHECK(error_here([] { nn::MultiheadAttention(10, 3); }) ==
        "MultiheadAttention: embed_dim is 10 and num_heads 3; the heads must divide the dimension evenly (here)");
  CHECK(error_here([] { nn::TransformerEncoderLayer(10, 3); }) ==
        "MultiheadAttention: embed_dim is 10 and num_heads 3; the heads must divide the dimension evenly (here)");
  const nn::MultiheadAttention net(8, 2), batch_first(8, 2, {.batch_first = true});
  const Tensor x = ones({5, 2, 8});
  CHECK(error_here([&] {
          net.attention_weights(x, ones({4, 2, 6}));
        }) ==
        "MultiheadAttention: query is [5, 2, 8], key is [4, 2, 6]; they must be [T, B, 8], [S, B, 8] (or without B) "
        "(here)");
  CHECK(error_here([] { nn::MultiheadAttention(8, 2, {.kdim = 0}); }) ==
        "MultiheadAttention: kdim is 0 and vdim 8; both must be at least 1 (here)");
  CHECK(
      error_here([&] {
        net(x, ones({4, 3, 8}), ones({4, 3, 8}));
      }) ==
      "MultiheadAttention: query is [5, 2, 8], key is [4, 3, 8] and value is [4, 3, 8]; they must be [T, B, 8], [S, B, "
      "8] and [S, B, 8] (or without B) (here)");
  CHECK(
      error_here([&] {
        batch_first(ones({2, 5, 6}), x, x);
      }) ==
      "MultiheadAttention: query is [2, 5, 6], key is [5, 2, 8] and value is [5, 2, 8]; they must be [B, T, 8], [B, S, "
      "8] and [B, S, 8] (or without B) (here)");
  CHECK(
      error_here([&] {
        net(x, x, x, {.attn_mask = ones({4, 5})});
      }) ==
      "scaled_dot_product_attention: attn_mask is [4, 5] (float32); it must be bool or floating-point and broadcast to "
      "the scores, [2, 2, 5, 5] (here)");
}
