// A multilayer perceptron, 784-256-128-10, that learns to tell ten kinds of clothes apart (Fashion-MNIST).

#include <gradus.h>

#include <algorithm>
#include <iostream>
#include <string>

#include "examples/training.h"

using namespace gradus;

struct Net {
  nn::Linear hidden1{784, 256}, hidden2{256, 128}, out{128, 10};
  Tensor operator()(const Tensor& x) const { return out(relu(hidden2(relu(hidden1(x))))); }
  GRADUS_FIELDS(hidden1, hidden2, out)
};

template <class Optimizer>
Score train_epoch(const Net& net, Optimizer& optimizer, const data::Loader& loader, int64_t epoch) {
  Score score;
  Progress progress("epoch " + std::to_string(epoch), loader.size());
  for (auto [image, label] : loader) {
    const Tensor scores = net(image);
    const Tensor loss = cross_entropy(scores, label);
    optimizer.zero_grad();
    loss.backward();
    optimizer.step();
    score.add(scores, label, loss.item());
    progress.advance("loss " + std::to_string(score.loss.mean()));
  }
  return score;
}

template <class Optimizer> void run(Training& training, Net& net, Optimizer optimizer) {
  const auto [train, test] = data::fashion_mnist({.folder = training.data});
  const data::Loader loader(train, {.batch = training.batch, .shuffle = true, .device = training.device});
  optim::Scheduler scheduler(optimizer, optim::CosineAnnealingLR{.T_max = std::max<int64_t>(training.epochs, 1)});
  for (int64_t epoch = training.start(net, optimizer); epoch <= training.epochs; ++epoch) {
    scheduler.jump(epoch - 1);
    const Score score = train_epoch(net, optimizer, loader, epoch);
    training.finish_epoch(epoch, net, optimizer, figures(score, evaluate(net, test)));
  }
  training.print_summary();

  ConfusionMatrix confusion(10);
  const NoGrad no_grad;
  for (auto [image, label] : data::Loader(test, {.batch = 1000, .device = training.device}))
    confusion.add(argmax(net(image), 1), label);
  std::cout << "\nWho is taken for whom:\n\n";
  confusion.print(std::cout, data::fashion_mnist_classes());
}

int main(int argc, char** argv) try {
  Training training("A multilayer perceptron, 784-256-128-10, on Fashion-MNIST",
                    {.epochs = 10, .batch = 64, .lr = 1e-3});
  std::string optimizer = "adam";
  training.app.add_option("--optimizer", optimizer, "how weights follow their gradients")
      ->check(CLI::IsMember({"sgd", "adam", "adamw", "rmsprop"}));
  training.parse(argc, argv);

  Net net;
  to(net, training.device);
  if (optimizer == "sgd" && training.app.count("--lr") == 0) training.lr = 0.05;
  const double lr = training.lr;  // falls along a cosine to 0
  if (optimizer == "sgd") run(training, net, optim::SGD(parameters(net), {.lr = lr, .momentum = 0.9}));
  if (optimizer == "adam") run(training, net, optim::Adam(parameters(net), {.lr = lr}));
  if (optimizer == "adamw") run(training, net, optim::AdamW(parameters(net), {.lr = lr}));
  if (optimizer == "rmsprop") run(training, net, optim::RMSprop(parameters(net), {.lr = lr}));
} catch (const Error& error) {
  std::cerr << error.what() << '\n';
  return 1;
}
