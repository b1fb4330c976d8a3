// Training steps of networks for pictures, and of a tiny one.

#include <zlib.h>

#include <stdexcept>

#include "benchmarks/libtorch/training.h"

namespace nn = torch::nn;
using torch::Tensor;

namespace {

struct Mlp : nn::Module {
  nn::Linear first, second, third;
  Mlp(int64_t in, int64_t hidden1, int64_t hidden2, int64_t out)
      : first(in, hidden1), second(hidden1, hidden2), third(hidden2, out) {
    register_module("first", first);
    register_module("second", second);
    register_module("third", third);
  }
  Tensor forward(const Tensor& x) { return third(torch::relu(second(torch::relu(first(x))))); }
};

/// A convolution 3 x 3 that keeps the size.
nn::Conv2d convolution(int64_t in, int64_t out, bool bias) {
  return nn::Conv2d(nn::Conv2dOptions(in, out, 3).padding(1).bias(bias));
}

struct Cnn : nn::Module {
  nn::Conv2d conv1 = convolution(1, workloads::cnn::channels1, true);
  nn::Conv2d conv2 = convolution(workloads::cnn::channels1, workloads::cnn::channels2, true);
  nn::Linear hidden{workloads::cnn::features, workloads::cnn::hidden};
  nn::Linear out{workloads::cnn::hidden, workloads::classes};

  Cnn() {
    register_module("conv1", conv1);
    register_module("conv2", conv2);
    register_module("hidden", hidden);
    register_module("out", out);
  }
  Tensor forward(const Tensor& image) {
    Tensor x = torch::max_pool2d(torch::relu(conv1(image)), 2);
    x = torch::max_pool2d(torch::relu(conv2(x)), 2);
    return out(torch::relu(hidden(x.flatten(1))));
  }
};

struct ResidualBlock : nn::Module {
  nn::Conv2d conv1, conv2;
  nn::BatchNorm2d norm1, norm2;

  explicit ResidualBlock(int64_t channels)
      : conv1(convolution(channels, channels, false)),
        conv2(convolution(channels, channels, false)),
        norm1(channels),
        norm2(channels) {
    register_module("conv1", conv1);
    register_module("conv2", conv2);
    register_module("norm1", norm1);
    register_module("norm2", norm2);
  }
  Tensor forward(const Tensor& x) { return torch::relu(norm2(conv2(torch::relu(norm1(conv1(x))))) + x); }
};

struct ResidualNet : nn::Module {
  std::vector<std::shared_ptr<ResidualBlock>> blocks;

  void push_back(const std::shared_ptr<ResidualBlock>& block) {
    blocks.push_back(register_module("block" + std::to_string(blocks.size()), block));
  }
  Tensor forward(const Tensor& image) {
    Tensor x = image;
    for (const auto& block : blocks) x = block->forward(x);
    return x;
  }
};

/// The first `count` bytes of a compressed file of Fashion-MNIST, without the header.
Tensor read_idx(const char* name, int header, int64_t count) {
  const char* data = std::getenv("GRADUS_DATA");
  const std::string path = std::string(data ? data : "/usr/share/datasets") + "/fashion-mnist/" + name;
  Tensor bytes = torch::empty({count}, torch::kUInt8);
  gzFile file = gzopen(path.c_str(), "rb");
  if (!file || gzseek(file, header, SEEK_SET) < 0 || gzread(file, bytes.data_ptr(), unsigned(count)) != count)
    throw std::runtime_error("cannot read " + path);
  gzclose(file);
  return bytes;
}

/// The cross-entropy on one batch of Fashion-MNIST after the other.
auto classification(const std::vector<int64_t>& shape_of_image) {
  using namespace workloads;
  std::vector<int64_t> shape = {batches, batch};
  shape.insert(shape.end(), shape_of_image.begin(), shape_of_image.end());
  Tensor image =
      read_idx("train-images-idx3-ubyte.gz", 16, batches * batch * pixels).view(shape).to(torch::kFloat) / 255;
  Tensor label = read_idx("train-labels-idx1-ubyte.gz", 8, batches * batch).view({batches, batch}).to(torch::kLong);
  return [images = image.unbind(), labels = label.unbind(), i = size_t(0)](auto& net) mutable {
    Tensor loss = nn::functional::cross_entropy(net.forward(images[i]), labels[i]);
    i = (i + 1) % batches;
    return loss;
  };
}

void add_scalar_mlp(int batch) {
  workloads::add("scalar_mlp_b" + std::to_string(batch), [=] {
    torch::manual_seed(1);
    Tensor x = torch::randn({batch, 2}), y = torch::randn({batch, 1}).sign();
    return training_step<torch::optim::SGD>(std::make_shared<Mlp>(2, 16, 16, 1), torch::optim::SGDOptions(0.05),
                                            [=](Mlp& net) { return torch::mse_loss(net.forward(x), y); });
  });
}

void add_mlp() {
  using namespace workloads;
  add("mlp", [] {
    torch::manual_seed(1);
    return training_step<torch::optim::SGD>(std::make_shared<Mlp>(pixels, hidden1, hidden2, classes),
                                            torch::optim::SGDOptions(0.05).momentum(0.9), classification({pixels}));
  });
}

void add_cnn() {
  workloads::add("cnn", [] {
    torch::manual_seed(1);
    return training_step<torch::optim::Adam>(std::make_shared<Cnn>(), torch::optim::AdamOptions(1e-3),
                                             classification({1, workloads::side, workloads::side}));
  });
}

void add_residual_net() {
  using namespace workloads::residual;
  workloads::add("resblock", [] {
    torch::manual_seed(1);
    auto net = std::make_shared<ResidualNet>();
    for (int64_t i = 0; i < blocks; ++i) net->push_back(std::make_shared<ResidualBlock>(channels));
    Tensor x = torch::randn({batch, channels, side, side}), target = torch::randn({batch, channels, side, side});
    return training_step<torch::optim::SGD>(
        net, torch::optim::SGDOptions(0.01).momentum(0.9),
        [=](ResidualNet& trained) { return torch::mse_loss(trained.forward(x), target); });
  });
}

}  // namespace

void workloads::add_networks() {
  for (int size : {1, 32}) add_scalar_mlp(size);
  add_mlp();
  add_cnn();
  add_residual_net();
}
