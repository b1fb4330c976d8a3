#include "nn/transforms.h"

#include <string>

#include "ops/arithmetic.h"
#include "ops/view.h"

namespace gradus::data {
namespace {

// A batch of images in which every pixel comes from another place of the same channel. `choose` gets the random words
// of an image and gives a function from the row and column of a pixel to those of its source; outside of the image is
// zero.
template <class Choose> Tensor move_pixels(const Tensor& inputs, Generator& generator, Choose choose) {
  if (inputs.dim() != 4)
    fail("the inputs must be images of shape [N, C, H, W], but their shape is " + to_string(inputs.shape()));
  const int64_t images = inputs.size(0), channels = inputs.size(1), height = inputs.size(2), width = inputs.size(3);
  const Tensor source = contiguous(inputs);
  Tensor result = Tensor::empty(inputs.shape(), inputs.dtype());
  const GeneratorState state = generator.reserve(uint64_t(images));
  visit(inputs.dtype(), [&]<class T>() {
    const T* from = source.data<T>();
    T* to = result.mutable_data<T>();
    for (int64_t image = 0; image < images; ++image) {
      const auto place = choose(philox(state.seed, state.offset + uint64_t(image)));
      for (int64_t channel = 0; channel < channels; ++channel, from += height * width)
        for (int64_t row = 0; row < height; ++row)
          for (int64_t column = 0; column < width; ++column) {
            const auto [y, x] = place(row, column);
            *to++ = y >= 0 && y < height && x >= 0 && x < width ? from[y * width + x] : T{};
          }
    }
  });
  return result;
}

}  // namespace

Transform normalize(const Tensor& mean, const Tensor& std, Location where) {
  const Scope scope("normalize", where);
  if (mean.shape() != std.shape() || mean.dim() > 1)
    fail("mean and std must be numbers, or have one value for each channel, but their shapes are " +
         to_string(mean.shape()) + " and " + to_string(std.shape()));
  return [mean, std, where](const Tensor& inputs, Generator&) {
    const Scope inner("normalize", where);
    Shape shape = mean.shape();  // [C, 1, 1], to go with [N, C, H, W]
    for (int i = 2; i < inputs.dim() && !shape.empty(); ++i) shape.push_back(1);
    return (inputs - reshape(mean, shape)) / reshape(std, shape);
  };
}

Transform random_crop(int64_t padding, Location where) {
  const Scope scope("random_crop", where);
  if (padding < 0 || padding > 1 << 20) fail("a padding of " + std::to_string(padding) + " pixels is not possible");
  return [padding, where](const Tensor& inputs, Generator& generator) {
    const Scope inner("random_crop", where);
    return move_pixels(inputs, generator, [&](const std::array<uint32_t, 4>& words) {
      const int64_t down = words[0] % (2 * padding + 1) - padding, right = words[1] % (2 * padding + 1) - padding;
      return [down, right](int64_t row, int64_t column) { return std::pair(row + down, column + right); };
    });
  };
}

Transform random_horizontal_flip(double p, Location where) {
  const Scope scope("random_horizontal_flip", where);
  if (!(p >= 0 && p <= 1)) fail("p must be a probability from 0 to 1, but it is " + std::to_string(p));
  return [p, where](const Tensor& inputs, Generator& generator) {
    const Scope inner("random_horizontal_flip", where);
    return move_pixels(inputs, generator, [&](const std::array<uint32_t, 4>& words) {
      const bool flipped = to_uniform(words[0]) < float(p);
      const int64_t last = inputs.size(-1) - 1;
      return [=](int64_t row, int64_t column) { return std::pair(row, flipped ? last - column : column); };
    });
  };
}

}  // namespace gradus::data
