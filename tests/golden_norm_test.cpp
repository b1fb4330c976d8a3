#include <doctest/doctest.h>

#include "nn/norm.h"
#include "tests/golden.h"

using namespace gradus;

namespace {

template <class BatchNorm> void batch_norm(golden::File& file, const std::string& prefix) {
  const auto check = [&](const std::string& name, const nn::BatchNormOptions& options) {
    file.layer(prefix + name, [&] { return BatchNorm(3, options); });
  };
  check("train", {});
  check("momentum", {.eps = 1e-2, .momentum = 0.3});
  check("momentum_none", {.momentum = {}});
  check("no_affine", {.affine = false});
  check("no_running_statistics", {.track_running_stats = false});
  file.layer(prefix + "eval", [] {
    BatchNorm layer(3);
    eval(layer);
    return layer;
  });
  file.layer(
      prefix + "twice", [] { return BatchNorm(3, {.momentum = {}}); },
      [](auto& net, const auto& in) {
        return golden::Tensors{net(in[0]), net(in[1])};
      });
}

template <class InstanceNorm> void instance_norm(golden::File& file, const std::string& prefix) {
  const auto check = [&](const std::string& name, const nn::InstanceNormOptions& options, bool training = true) {
    file.layer(prefix + name, [&] {
      InstanceNorm layer(3, options);
      train(layer, training);
      return layer;
    });
  };
  check("plain", {});
  check("unbatched", {});
  check("affine", {.eps = 1e-2, .affine = true});
  check("tracked", {.momentum = 0.3, .affine = true, .track_running_stats = true});
  check("tracked_eval", {.affine = true, .track_running_stats = true}, false);
}

}  // namespace

TEST_CASE("golden: normalisation layers agree with PyTorch") {
  golden::File file("norm");
  batch_norm<nn::BatchNorm1d>(file, "BatchNorm1d/");
  batch_norm<nn::BatchNorm1d>(file, "BatchNorm1d/sequence_");
  batch_norm<nn::BatchNorm2d>(file, "BatchNorm2d/");
  file.layer("LayerNorm/plain", [] { return nn::LayerNorm(6); });
  file.layer("LayerNorm/three_dimensions", [] { return nn::LayerNorm(6, {.eps = 1e-2}); });
  file.layer("LayerNorm/two_of_three", [] { return nn::LayerNorm({3, 4}); });
  file.layer("LayerNorm/no_affine", [] { return nn::LayerNorm(6, {.elementwise_affine = false}); });
  file.layer("GroupNorm/plain", [] { return nn::GroupNorm(2, 4); });
  file.layer("GroupNorm/image", [] { return nn::GroupNorm(3, 6, {.eps = 1e-2}); });
  file.layer("GroupNorm/one_group", [] { return nn::GroupNorm(1, 4); });
  file.layer("GroupNorm/no_affine", [] { return nn::GroupNorm(2, 4, {.affine = false}); });
  instance_norm<nn::InstanceNorm1d>(file, "InstanceNorm1d/");
  instance_norm<nn::InstanceNorm2d>(file, "InstanceNorm2d/");
  file.layer("RMSNorm/plain", [] { return nn::RMSNorm(6); });
  file.layer("RMSNorm/eps", [] { return nn::RMSNorm(6, {.eps = 1e-5}); });
  file.layer("RMSNorm/three_dimensions", [] { return nn::RMSNorm(6, {.eps = 1e-2}); });
}
