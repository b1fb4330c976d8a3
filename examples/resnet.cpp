// A small residual network on Fashion-MNIST: He et al., "Deep residual learning for image recognition", 2016, with the
// images shifted and mirrored at random, and the learning rate in one cycle.

#include <gradus.h>

#include <algorithm>
#include <iostream>
#include <string>
#include <vector>

#include "examples/training.h"

using namespace gradus;

/// Two convolutions beside a shortcut. A stride of 2 halves height and width; the shortcut is then a convolution, too.
struct Block {
  nn::Conv2d conv1, conv2;
  nn::BatchNorm2d norm1, norm2;
  std::vector<nn::Conv2d> downsample;
  std::vector<nn::BatchNorm2d> downsample_norm;

  Block(int64_t in, int64_t out, int64_t stride)
      : conv1{in, out, 3, {.stride = stride, .padding = 1, .bias = false}},
        conv2{out, out, 3, {.padding = 1, .bias = false}},
        norm1{out},
        norm2{out} {
    if (in == out && stride == 1) return;
    downsample.push_back({in, out, 1, {.stride = stride, .bias = false}});
    downsample_norm.push_back(nn::BatchNorm2d{out});
  }

  Tensor operator()(const Tensor& x) const {
    const Tensor shortcut = downsample.empty() ? x : downsample_norm[0](downsample[0](x));
    return relu(norm2(conv2(relu(norm1(conv1(x))))) + shortcut);
  }
  GRADUS_FIELDS(conv1, conv2, norm1, norm2, downsample, downsample_norm)
};

struct Net {
  nn::Conv2d conv;
  nn::BatchNorm2d norm;
  std::vector<Block> blocks;
  nn::Linear out;

  /// `width`: the channels at full size; twice and four times as many at a half and a quarter.
  explicit Net(int64_t width)
      : conv{1, width, 3, {.padding = 1, .bias = false}},
        norm{width},
        blocks{{width, width, 1}, {width, 2 * width, 2}, {2 * width, 4 * width, 2}},
        out{4 * width, 10} {}

  Tensor operator()(const Tensor& image) const {  // [N, 1, 28, 28] → [N, 10]
    Tensor x = relu(norm(conv(image)));
    for (const Block& block : blocks) x = block(x);
    return out(flatten(adaptive_avg_pool2d(x, 1), 1));
  }
  GRADUS_FIELDS(conv, norm, blocks, out)
};

int main(int argc, char** argv) try {
  Training training("A residual network on Fashion-MNIST", {.epochs = 12, .batch = 128, .lr = 0.1});
  int64_t width = 24;
  training.app.add_option("--width", width, "channels of the first block")->check(CLI::PositiveNumber);
  training.parse(argc, argv);

  const auto [train, test] = data::fashion_mnist({.folder = training.data, .flatten = false});
  const data::Loader loader(train, {.batch = training.batch,
                                    .shuffle = true,
                                    .device = training.device,
                                    .transforms = {data::random_crop(2), data::random_horizontal_flip()}});
  Net net(width);
  to(net, training.device);
  optim::SGD sgd(parameters(net), {.lr = training.lr, .momentum = 0.9, .weight_decay = 5e-4, .nesterov = true});
  const int64_t steps = std::max<int64_t>(1, training.epochs * loader.size());
  optim::Scheduler scheduler(sgd, optim::OneCycleLR{.total_steps = steps});
  for (int64_t epoch = training.start(net, sgd); epoch <= training.epochs; ++epoch) {
    scheduler.jump((epoch - 1) * loader.size());
    Score score;
    Progress progress("epoch " + std::to_string(epoch), loader.size());
    for (auto [image, label] : loader) {
      const Tensor scores = net(image);
      const Tensor loss = cross_entropy(scores, label, {.label_smoothing = 0.1});
      sgd.zero_grad();
      loss.backward();
      sgd.step();
      scheduler.step();
      score.add(scores, label, loss.item());
      progress.advance("loss " + std::to_string(score.loss.mean()));
    }
    training.finish_epoch(epoch, net, sgd, figures(score, evaluate(net, test)));
  }
  training.print_summary();
} catch (const Error& error) {
  std::cerr << error.what() << '\n';
  return 1;
}
