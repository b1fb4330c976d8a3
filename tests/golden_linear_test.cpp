#include <doctest/doctest.h>

#include "nn/embedding.h"
#include "nn/linear.h"
#include "tests/golden.h"

using namespace gradus;

TEST_CASE("golden: linear layers and embeddings agree with PyTorch") {
  golden::File file("linear");
  file.layer("Linear/bias", [] { return nn::Linear(5, 3); });
  file.layer("Linear/no_bias", [] { return nn::Linear(5, 3, {.bias = false}); });
  file.layer("Linear/one_row", [] { return nn::Linear(5, 3); });
  file.layer("Linear/three_dimensions", [] { return nn::Linear(5, 3); });
  file.layer("Embedding/plain", [] { return nn::Embedding(6, 4); });
  file.layer("Embedding/padding_idx", [] { return nn::Embedding(6, 4, {.padding_idx = 3}); });
}
