#include <doctest/doctest.h>

#include "nn/pool.h"
#include "nn/upsample.h"
#include "tests/golden.h"

using namespace gradus;

namespace {

// Cases of a layer, which is given with its settings.
struct Check {
  golden::File& file;
  std::string prefix;
  template <class Layer> void operator()(const std::string& name, const Layer& layer) const {
    file.layer(prefix + name, [&] { return layer; });
  }
};

template <class Max> void largest(const Check& check) {
  check("plain", Max{.kernel_size = 2});
  check("unbatched", Max{.kernel_size = 2});
  check("stride", Max{.kernel_size = 3, .stride = 2});
  check("overlap", Max{.kernel_size = 3, .stride = 1});
  check("padding", Max{.kernel_size = 3, .stride = 2, .padding = 1});
  check("ceil_mode", Max{.kernel_size = 2, .ceil_mode = true});
  check("ceil_mode_padding", Max{.kernel_size = 3, .stride = 2, .padding = 1, .ceil_mode = true});
  check("dilation", Max{.kernel_size = 2, .stride = 1, .dilation = 2});
  check("ties", Max{.kernel_size = 3, .stride = 2, .padding = 1});
}

template <class Average> void average(const Check& check) {
  check("plain", Average{.kernel_size = 2});
  check("unbatched", Average{.kernel_size = 2});
  check("stride", Average{.kernel_size = 3, .stride = 2});
  check("overlap", Average{.kernel_size = 3, .stride = 1});
  check("padding", Average{.kernel_size = 3, .stride = 2, .padding = 1});
  check("ceil_mode", Average{.kernel_size = 2, .ceil_mode = true});
  check("ceil_mode_padding", Average{.kernel_size = 3, .stride = 2, .padding = 1, .ceil_mode = true});
  const Average inside{.kernel_size = 3, .stride = 2, .padding = 1, .count_include_pad = false};
  check("count_include_pad", inside);
  Average beyond = inside;
  beyond.ceil_mode = true;
  check("count_include_pad_ceil_mode", beyond);
}

template <class Adaptive> void adaptive(const Check& check) {
  for (const int64_t size : {1, 3, 4}) check(std::to_string(size), Adaptive{.output_size = size});
}

}  // namespace

TEST_CASE("golden: pooling and upsampling agree with PyTorch") {
  golden::File file("pool");
  largest<nn::MaxPool1d>({file, "MaxPool1d/"});
  largest<nn::MaxPool2d>({file, "MaxPool2d/"});
  average<nn::AvgPool1d>({file, "AvgPool1d/"});
  average<nn::AvgPool2d>({file, "AvgPool2d/"});
  adaptive<nn::AdaptiveAvgPool1d>({file, "AdaptiveAvgPool1d/"});
  adaptive<nn::AdaptiveAvgPool2d>({file, "AdaptiveAvgPool2d/"});
  adaptive<nn::AdaptiveMaxPool1d>({file, "AdaptiveMaxPool1d/"});
  adaptive<nn::AdaptiveMaxPool2d>({file, "AdaptiveMaxPool2d/"});
  const Check check{file, ""};
  check("MaxPool2d/both_sizes", nn::MaxPool2d{.kernel_size = {3, 2}, .stride = {1, 2}, .padding = {1, 0}});
  check("AvgPool2d/both_sizes", nn::AvgPool2d{.kernel_size = {3, 2}, .stride = {1, 2}, .padding = {1, 0}});
  check("AdaptiveAvgPool2d/both_sizes", nn::AdaptiveAvgPool2d{.output_size = {2, 3}});
  check("AdaptiveMaxPool2d/both_sizes", nn::AdaptiveMaxPool2d{.output_size = {2, 3}});

  const Check upsample{file, "Upsample/"};
  using nn::Upsample;
  const Interpolation bilinear = Interpolation::bilinear;
  upsample("nearest_2", Upsample{.scale_factor = 2});
  upsample("nearest_3", Upsample{.scale_factor = 3});
  upsample("nearest_1.5", Upsample{.scale_factor = 1.5});
  upsample("nearest_size", Upsample{.size = {5, 3}});
  upsample("bilinear_2", Upsample{.scale_factor = 2, .mode = bilinear});
  upsample("bilinear_1.5", Upsample{.scale_factor = 1.5, .mode = bilinear});
  upsample("bilinear_0.5", Upsample{.scale_factor = 0.5, .mode = bilinear});
  upsample("bilinear_size", Upsample{.size = {5, 3}, .mode = bilinear});
  upsample("align_corners", Upsample{.scale_factor = 2, .mode = bilinear, .align_corners = true});
  upsample("align_corners_size", Upsample{.size = {1, 7}, .mode = bilinear, .align_corners = true});
}
