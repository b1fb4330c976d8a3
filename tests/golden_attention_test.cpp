#include <doctest/doctest.h>

#include "ops/attention.h"
#include "tests/golden.h"

using namespace gradus;

TEST_CASE("golden: attention agrees with PyTorch") {
  golden::File file("attention");
  const auto check = [&](const std::string& name, AttentionOptions options) {
    file.function("scaled_dot_product_attention/" + name, [&](const golden::Tensors& in) {
      if (in.size() == 4) options.attn_mask = in[3];
      return scaled_dot_product_attention(in[0], in[1], in[2], options);
    });
  };
  check("plain", {});
  check("three_dimensions", {});
  check("scale", {.scale = 0.3});
  check("causal", {.is_causal = true});
  check("causal_longer", {.is_causal = true});
  check("long", {.is_causal = true});
  check("mask", {});
  check("additive_mask", {});
  check("mask_each", {});
}
