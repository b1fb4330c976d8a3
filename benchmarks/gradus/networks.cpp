// Training steps of networks for pictures, and of a tiny one.

#include "benchmarks/gradus/training.h"

using namespace gradus;

namespace {

struct Mlp {
  nn::Linear first, second, third;
  Mlp(int64_t in, int64_t hidden1, int64_t hidden2, int64_t out)
      : first(in, hidden1, {.relu = true}), second(hidden1, hidden2, {.relu = true}), third(hidden2, out) {}
  Tensor operator()(const Tensor& x) const { return third(second(first(x))); }
  GRADUS_FIELDS(first, second, third)
};

struct Cnn {
  nn::Conv2d conv1{1, workloads::cnn::channels1, 3, {.padding = 1, .relu = true}};
  nn::Conv2d conv2{workloads::cnn::channels1, workloads::cnn::channels2, 3, {.padding = 1, .relu = true}};
  nn::Linear hidden{workloads::cnn::features, workloads::cnn::hidden, {.relu = true}};
  nn::Linear out{workloads::cnn::hidden, workloads::classes};

  Tensor operator()(const Tensor& image) const {
    const Tensor x = max_pool2d(conv2(max_pool2d(conv1(image), 2)), 2);
    return out(hidden(flatten(x, 1)));
  }
  GRADUS_FIELDS(conv1, conv2, hidden, out)
};

struct ResidualBlock {
  nn::Conv2d conv1, conv2;
  nn::BatchNorm2d norm1, norm2;

  explicit ResidualBlock(int64_t channels)
      : conv1{channels, channels, 3, {.padding = 1, .bias = false}},
        conv2{channels, channels, 3, {.padding = 1, .bias = false}},
        norm1{channels},
        norm2{channels} {}
  Tensor operator()(const Tensor& x) const { return relu(norm2(conv2(relu(norm1(conv1(x))))) + x); }
  GRADUS_FIELDS(conv1, conv2, norm1, norm2)
};

struct ResidualNet {
  std::vector<ResidualBlock> blocks;

  Tensor operator()(const Tensor& image) const {
    Tensor x = image;
    for (const ResidualBlock& block : blocks) x = block(x);
    return x;
  }
  GRADUS_FIELDS(blocks)
};

/// The cross-entropy on one batch of Fashion-MNIST after the other.
auto classification(const data::ImageOptions& options) {
  return [images = data::fashion_mnist(options).train, i = int64_t(0)](const auto& net) mutable {
    const auto [image, label] = images.slice(i * workloads::batch, (i + 1) * workloads::batch);
    i = (i + 1) % workloads::batches;
    return cross_entropy(net(image), label);
  };
}

void add_scalar_mlp(int batch) {
  workloads::add("scalar_mlp_b" + std::to_string(batch), [=] {
    manual_seed(1);
    Tensor x = randn({batch, 2}), y = sign(randn({batch, 1}));
    return training_step<optim::SGD>(Mlp(2, 16, 16, 1), optim::SGDOptions{.lr = 0.05},
                                     [=](const Mlp& net) { return mse_loss(net(x), y); });
  });
}

void add_mlp() {
  workloads::add("mlp", [] {
    manual_seed(1);
    return training_step<optim::SGD>(Mlp(workloads::pixels, workloads::hidden1, workloads::hidden2, workloads::classes),
                                     optim::SGDOptions{.lr = 0.05, .momentum = 0.9}, classification({}));
  });
}

void add_cnn() {
  workloads::add("cnn", [] {
    manual_seed(1);
    return training_step<optim::Adam>(Cnn(), optim::AdamOptions{.lr = 1e-3}, classification({.flatten = false}));
  });
}

void add_residual_net() {
  using namespace workloads::residual;
  workloads::add("resblock", [] {
    manual_seed(1);
    ResidualNet net;
    for (int64_t i = 0; i < blocks; ++i) net.blocks.push_back(ResidualBlock(channels));
    Tensor x = randn({batch, channels, side, side}), target = randn({batch, channels, side, side});
    return training_step<optim::SGD>(net, optim::SGDOptions{.lr = 0.01, .momentum = 0.9},
                                     [=](const ResidualNet& trained) { return mse_loss(trained(x), target); });
  });
}

}  // namespace

void workloads::add_networks() {
  for (int size : {1, 32}) add_scalar_mlp(size);
  add_mlp();
  add_cnn();
  add_residual_net();
}
