#pragma once
// The shapes of the workloads.

#include <cstdint>

namespace workloads {

constexpr int chain_length = 1000;  // operations; so microseconds a chain are nanoseconds an operation

/// Fashion-MNIST, and the fully connected network on it.
constexpr int64_t batch = 64, batches = 16, side = 28, pixels = side * side, hidden1 = 256, hidden2 = 128, classes = 10;

/// The convolutional network: two convolutions 3 x 3, each with a max pooling of 2 behind it, two linear layers.
namespace cnn {
constexpr int64_t channels1 = 32, channels2 = 64, hidden = 128;
constexpr int64_t features = channels2 * (side / 4) * (side / 4);
}  // namespace cnn

/// The residual network: two blocks of two convolutions 3 x 3.
namespace residual {
constexpr int64_t batch = 32, channels = 64, side = 16, blocks = 2;
}

/// The recurrent networks: one layer, and a guess at every step.
namespace recurrent {
constexpr int64_t length = 64, batch = 32, inputs = 64, hidden = 128, classes = 65;
}

/// The language model.
namespace gpt {
constexpr int64_t layers = 4, heads = 4, width = 128, length = 64, batch = 12, characters = 65;
}

/// Single operations.
namespace operations {
constexpr int64_t matrix_sizes[] = {64, 256, 512, 1024};
/// A convolution 3 x 3 with padding 1.
struct Convolution {
  const char* name;
  int64_t batch, channels, side, kernels;
};
constexpr Convolution convolutions[] = {{"conv_c64", 32, 64, 16, 64}, {"conv_c1", 64, 1, 28, 32}};
constexpr int64_t examples = 4096, classes = 1000;                      // softmax_ce
constexpr int64_t layer_norm_rows = 8192, layer_norm_width = 512;       // layernorm
constexpr int64_t norm_batch = 32, norm_channels = 64, norm_side = 32;  // batchnorm
constexpr int64_t elements = 1 << 22;                                   // gelu, tanh, exp
constexpr int64_t matrix_side = 4096;                                   // sum0, sum1, transpose
constexpr int64_t broadcast_rows = 4096, broadcast_width = 1024;        // bcast_add
constexpr int64_t vectors = 10000, vector_width = 256, lookups = 8192;  // embedding
}  // namespace operations

}  // namespace workloads
