#include <doctest/doctest.h>

#include "nn/conv.h"
#include "tests/golden.h"

using namespace gradus;

namespace {

template <class Layer> void convolutions(golden::File& file, const std::string& prefix) {
  const auto check = [&](const std::string& name, int64_t channels, int64_t kernel, nn::ConvLayerOptions options) {
    file.layer(prefix + name, [&] { return Layer(2, channels, kernel, options); });
  };
  check("plain", 3, 3, {});
  check("unbatched", 3, 3, {});
  check("no_bias", 3, 3, {.bias = false});
  check("one_by_one", 3, 1, {});
  check("stride", 3, 3, {.stride = 2});
  check("padding", 3, 3, {.padding = 1});
  check("stride_padding", 3, 3, {.stride = 3, .padding = 2});
  check("same", 3, 3, {.padding = Padding::same});
  check("same_even", 3, 4, {.padding = Padding::same});
  check("same_dilation", 3, 3, {.padding = Padding::same, .dilation = 2});
  check("dilation", 3, 2, {.dilation = 3});
  check("groups", 4, 3, {.padding = 1, .groups = 2});
  check("depthwise", 4, 3, {.stride = 2, .padding = 1, .groups = 2, .bias = false});
}

template <class Layer> void transposed(golden::File& file, const std::string& prefix) {
  const auto check = [&](const std::string& name, int64_t channels, int64_t kernel,
                         nn::ConvTransposeLayerOptions options) {
    file.layer(prefix + name, [&] { return Layer(2, channels, kernel, options); });
  };
  check("plain", 3, 3, {});
  check("unbatched", 3, 3, {});
  check("no_bias", 3, 3, {.bias = false});
  check("stride", 3, 2, {.stride = 2});
  check("padding", 3, 3, {.stride = 2, .padding = 1});
  check("output_padding", 3, 3, {.stride = 2, .padding = 1, .output_padding = 1});
  check("dilation", 3, 2, {.stride = 2, .dilation = 2});
  check("groups", 4, 3, {.stride = 2, .groups = 2});
}

}  // namespace

TEST_CASE("golden: convolutions agree with PyTorch") {
  golden::File file("conv");
  convolutions<nn::Conv1d>(file, "Conv1d/");
  convolutions<nn::Conv2d>(file, "Conv2d/");
  file.layer("Conv2d/both_sizes", [] {
    return nn::Conv2d(2, 3, {3, 2}, {.stride = {2, 1}, .padding = {1, 2}, .dilation = {1, 2}});
  });
  file.layer("Conv2d/three_by_three", [] { return nn::Conv2d(3, 4, 3, {.padding = 1}); });
  file.layer("Conv2d/many_channels", [] { return nn::Conv2d(17, 9, 3, {.padding = 1}); });
  transposed<nn::ConvTranspose1d>(file, "ConvTranspose1d/");
  transposed<nn::ConvTranspose2d>(file, "ConvTranspose2d/");
  file.layer("ConvTranspose2d/both_sizes", [] {
    return nn::ConvTranspose2d(2, 3, {3, 2}, {.stride = {2, 3}, .padding = {1, 0}, .output_padding = {1, 2}});
  });
}
