#pragma once
// What a Loader can do to its batches: normalise them, and vary them at random (data augmentation).

#include <functional>

#include "core/random.h"
#include "core/tensor.h"

namespace gradus::data {

/// Makes another batch of inputs out of one; whatever is random about it comes from the generator.
using Transform = std::function<Tensor(const Tensor& inputs, Generator& generator)>;

/// (x - mean) / std, by channel; mean and std have one value, or one for each channel. inputs: [N, C, ...]
Transform normalize(const Tensor& mean, const Tensor& std, Location where = Location::here());

/// Each image shifted by up to `padding` pixels along both axes; zeros come in at the edges. inputs: [N, C, H, W]
Transform random_crop(int64_t padding, Location where = Location::here());

/// Each image mirrored left to right with probability p. inputs: [N, C, H, W]
Transform random_horizontal_flip(double p = 0.5, Location where = Location::here());

}  // namespace gradus::data
