// A multilayer perceptron, 784-256-128-10, that learns to tell ten kinds of clothes apart (Fashion-MNIST).

#include <gradus.h>

#include <CLI/CLI.hpp>
#include <algorithm>
#include <cstdio>
#include <iostream>
#include <optional>
#include <string>
#include <vector>

using namespace gradus;

struct Net {
  nn::Linear hidden1{784, 256}, hidden2{256, 128}, out{128, 10};
  Tensor operator()(const Tensor& x) const { return out(relu(hidden2(relu(hidden1(x))))); }
  GRADUS_FIELDS(hidden1, hidden2, out)
};

struct Settings {
  int epochs = 10, threads = num_threads();
  int64_t batch = 64;
  std::optional<double> lr;
  std::string optimizer = "adam", data, save, load;
  uint64_t seed = 1;
};

struct Score {
  Average loss, accuracy;
  void add(const Tensor& scores, const Tensor& label, double batch_loss) {
    const double count = double(label.size(0));
    loss.add(batch_loss, count);
    accuracy.add(double(count_correct(scores, label)) / count, count);
  }
};

template <class Optimizer>
Score train_epoch(const Net& net, Optimizer& optimizer, const data::Loader& loader, int epoch) {
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

Score evaluate(const Net& net, const data::TensorDataset& dataset, ConfusionMatrix* confusion = nullptr) {
  const NoGrad no_grad;
  Score score;
  for (auto [image, label] : data::Loader(dataset, {.batch = 1000})) {
    const Tensor scores = net(image);
    score.add(scores, label, cross_entropy(scores, label).item());
    if (confusion) confusion->add(argmax(scores, 1), label);
  }
  return score;
}

void print_line(int epoch, const Score& train, const Score& test, double seconds) {
  std::printf("epoch %2d   train: loss %.4f, accuracy %.4f   test: loss %.4f, accuracy %.4f   %.1f s\n", epoch,
              train.loss.mean(), train.accuracy.mean(), test.loss.mean(), test.accuracy.mean(), seconds);
  std::fflush(stdout);
}

template <class Optimizer> void run(const Net& net, Optimizer optimizer, const Settings& settings) {
  const auto [train, test] = data::fashion_mnist({.folder = settings.data});
  const data::Loader loader(train, {.batch = settings.batch, .shuffle = true});
  optim::Scheduler scheduler(optimizer, optim::CosineAnnealingLR{.T_max = std::max(settings.epochs, 1)});
  int64_t epoch = settings.load.empty() ? 0 : load_checkpoint(settings.load, net, optimizer);
  scheduler.jump(epoch);
  std::cout << count(net) << " parameters, " << train.size() << " training and " << test.size() << " test images, "
            << num_threads() << " threads\n";

  double training_seconds = 0;
  while (epoch < settings.epochs) {
    const Stopwatch stopwatch;
    const Score score = train_epoch(net, optimizer, loader, int(++epoch));
    scheduler.step();
    const double seconds = stopwatch.seconds();
    training_seconds += seconds;
    print_line(int(epoch), score, evaluate(net, test), seconds);
    if (!settings.save.empty()) save_checkpoint(settings.save, net, optimizer, epoch);
  }
  ConfusionMatrix confusion(10);
  const Score score = evaluate(net, test, &confusion);
  std::printf("test accuracy %.4f after %.1f s of training; who is taken for whom:\n\n", score.accuracy.mean(),
              training_seconds);
  confusion.print(std::cout, data::fashion_mnist_classes());
}

int main(int argc, char** argv) try {
  Settings settings;
  CLI::App app{"Trains a multilayer perceptron, 784-256-128-10, on Fashion-MNIST."};
  app.option_defaults()->always_capture_default();
  app.add_option("--epochs", settings.epochs, "how often to go through the training images")
      ->check(CLI::NonNegativeNumber);
  app.add_option("--batch", settings.batch, "images in a step")->check(CLI::PositiveNumber);
  app.add_option("--optimizer", settings.optimizer, "how weights follow their gradients")
      ->check(CLI::IsMember({"sgd", "adam", "adamw", "rmsprop"}));
  app.add_option("--lr", settings.lr,
                 "learning rate at the start; falls along a cosine to 0 (default: 0.05 for sgd, else 0.001)")
      ->always_capture_default(false);
  app.add_option("--seed", settings.seed, "of the first weights and the order of the images");
  app.add_option("--data", settings.data,
                 "folder with the four files of Fashion-MNIST (default: where Debian puts them)")
      ->always_capture_default(false);
  app.add_option("--threads", settings.threads, "threads for the computation")->check(CLI::PositiveNumber);
  app.add_option("--save", settings.save, "checkpoint file to write after each epoch");
  app.add_option("--load", settings.load, "checkpoint file to go on from");
  CLI11_PARSE(app, argc, argv);

  manual_seed(settings.seed);
  set_num_threads(settings.threads);
  const Net net;
  const std::vector<Tensor> weights = parameters(net);
  const double lr = settings.lr.value_or(settings.optimizer == "sgd" ? 0.05 : 1e-3);
  if (settings.optimizer == "sgd") run(net, optim::SGD(weights, {.lr = lr, .momentum = 0.9}), settings);
  if (settings.optimizer == "adam") run(net, optim::Adam(weights, {.lr = lr}), settings);
  if (settings.optimizer == "adamw") run(net, optim::AdamW(weights, {.lr = lr}), settings);
  if (settings.optimizer == "rmsprop") run(net, optim::RMSprop(weights, {.lr = lr}), settings);
} catch (const Error& error) {
  std::cerr << error.what() << '\n';
  return 1;
}
