// A convolutional network that learns to tell ten kinds of clothes apart (Fashion-MNIST). It follows LeCun et al.,
// "Gradient-based learning applied to document recognition", 1998, with what has proved itself since.

#include <gradus.h>

#include <algorithm>
#include <iostream>
#include <string>

#include "examples/training.h"

using namespace gradus;

struct Net {
  nn::Conv2d conv1{1, 32, 3, {.padding = 1, .bias = false}};  // the bias is that of the normalisation
  nn::BatchNorm2d norm1{32};
  nn::Conv2d conv2{32, 64, 3, {.padding = 1, .bias = false}};
  nn::BatchNorm2d norm2{64};
  nn::Linear hidden{64 * 7 * 7, 128};
  nn::Dropout dropout{0.5};
  nn::Linear out{128, 10};

  Tensor operator()(const Tensor& image) const {  // [N, 1, 28, 28] → [N, 10]
    Tensor x = max_pool2d(relu(norm1(conv1(image))), 2);
    x = max_pool2d(relu(norm2(conv2(x))), 2);
    return out(dropout(relu(hidden(flatten(x, 1)))));
  }
  GRADUS_FIELDS(conv1, norm1, conv2, norm2, hidden, dropout, out)
};

int main(int argc, char** argv) try {
  Training training("A convolutional network on Fashion-MNIST", {.epochs = 8, .batch = 64, .lr = 1e-3});
  training.parse(argc, argv);

  const auto [train, test] = data::fashion_mnist({.folder = training.data, .flatten = false});
  const data::Loader loader(train, {.batch = training.batch, .shuffle = true, .device = training.device});
  Net net;
  to(net, training.device);
  optim::Adam adam(parameters(net), {.lr = training.lr});  // falls along a cosine to 0
  const int64_t steps = std::max<int64_t>(1, training.epochs * loader.size());
  optim::Scheduler scheduler(adam, optim::CosineAnnealingLR{.T_max = steps});
  for (int64_t epoch = training.start(net, adam); epoch <= training.epochs; ++epoch) {
    scheduler.jump((epoch - 1) * loader.size());
    Score score;
    Progress progress("epoch " + std::to_string(epoch), loader.size());
    for (auto [image, label] : loader) {
      const Tensor scores = net(image);
      const Tensor loss = cross_entropy(scores, label);
      adam.zero_grad();
      loss.backward();
      adam.step();
      scheduler.step();
      score.add(scores, label, loss.item());
      progress.advance("loss " + std::to_string(score.loss.mean()));
    }
    training.finish_epoch(epoch, net, adam, figures(score, evaluate(net, test)));
  }
  training.print_summary();
} catch (const Error& error) {
  std::cerr << error.what() << '\n';
  return 1;
}
