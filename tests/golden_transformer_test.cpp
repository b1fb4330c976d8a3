#include <doctest/doctest.h>

#include "nn/attention.h"
#include "nn/transformer.h"
#include "tests/golden.h"

using namespace gradus;
using golden::Tensors;

TEST_CASE("golden: attention layers and transformers agree with PyTorch") {
  golden::File file("transformer");

  const auto attention = [&](const std::string& name, auto options, const auto& forward, int64_t num_heads = 2) {
    options.batch_first = name != "sequence_first" && name != "weights_unbatched";
    file.layer(
        "MultiheadAttention/" + name, [&] { return nn::MultiheadAttention(6, num_heads, options); }, forward);
  };
  using Options = nn::MultiheadAttentionOptions;
  const auto same = [](auto& net, const Tensors& in) { return net(in[0], in[0], in[0]); };
  const auto masked = [](auto& net, const Tensors& in) { return net(in[0], in[0], in[0], {.attn_mask = in[1]}); };
  attention("plain", Options{}, same);
  attention("one_head", Options{}, same, 1);
  attention("no_bias", Options{.bias = false}, same);
  attention("sequence_first", Options{}, same);
  attention("unbatched", Options{}, same);
  attention("cross", Options{}, [](auto& net, const Tensors& in) { return net(in[0], in[1], in[2]); });
  attention("causal", Options{}, masked);
  attention("additive_mask", Options{}, masked);
  attention("mask_each", Options{}, masked);
  attention("key_padding_mask", Options{},
            [](auto& net, const Tensors& in) { return net(in[0], in[0], in[0], {.key_padding_mask = in[1]}); });

  const auto cross = [](auto& net, const Tensors& in) { return net(in[0], in[1], in[2]); };
  attention("dims", Options{.kdim = 5, .vdim = 7}, cross);
  attention("kdim", Options{.bias = false, .kdim = 5}, cross);
  const auto weights = [](auto& net, const Tensors& in) {
    return Tensors{net(in[0], in[1], in[1]), net.attention_weights(in[0], in[1])};
  };
  attention("weights", Options{}, weights);
  attention("weights_unbatched", Options{}, weights);
  attention("weights_heads", Options{}, [](auto& net, const Tensors& in) {
    const nn::AttentionMask mask{.key_padding_mask = in[1]};
    return Tensors{net(in[0], in[0], in[0], mask), net.attention_weights(in[0], in[0], mask, false)};
  });

  const auto layer = [&]<class Layer>(const std::string& name, nn::TransformerLayerOptions options,
                                      const auto& forward) {
    options.dim_feedforward = 5, options.dropout = 0, options.batch_first = name != "sequence_first";
    file.layer(
        nn::type_name<Layer>() + '/' + name, [&] { return Layer(6, 2, options); }, forward);
  };
  const auto encoder = [&](const std::string& name, const nn::TransformerLayerOptions& options, const auto& mask) {
    layer.template operator()<nn::TransformerEncoderLayer>(
        name, options, [&](auto& net, const Tensors& in) { return net(in[0], mask(in)); });
  };
  const auto decoder = [&](const std::string& name, const nn::TransformerLayerOptions& options, const auto& mask) {
    layer.template operator()<nn::TransformerDecoderLayer>(
        name, options, [&](auto& net, const Tensors& in) { return net(in[0], in[1], mask(in)); });
  };
  const auto both = [&](const std::string& name, const nn::TransformerLayerOptions& options) {
    const auto no_mask = [](const Tensors&) { return nn::AttentionMask{}; };
    encoder(name, options, no_mask);
    decoder(name, options, no_mask);
  };
  both("relu", {});
  both("gelu", {.activation = gelu});
  both("norm_first", {.norm_first = true});
  both("norm_first_gelu", {.activation = gelu, .norm_first = true});
  both("sequence_first", {});
  encoder("causal", {}, [](const Tensors& in) { return nn::AttentionMask{.attn_mask = in[1]}; });
  encoder("padding", {}, [](const Tensors& in) { return nn::AttentionMask{.key_padding_mask = in[1]}; });
  decoder("causal", {}, [](const Tensors& in) { return nn::AttentionMask{.attn_mask = in[2]}; });
}
