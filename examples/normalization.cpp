// Why deep networks normalise: where the gradients of layer and batch normalisation come from, with numbers that can be
// followed by hand; and the same deep network without normalisation, with batch and with layer normalisation, trained
// on batches of 2, 16 and 128.

#include <gradus.h>

#include <algorithm>
#include <cstdio>
#include <functional>
#include <iomanip>
#include <iostream>
#include <string>
#include <vector>

#include "examples/training.h"

using namespace gradus;

// ---------------------------------------------------------------------------------------- the gradients, step by step

// The rows of a matrix and those of another beside them.
void print_beside(const std::string& name, const Tensor& left, const Tensor& right, const std::string& remark) {
  const auto columns = [](const Tensor& x) { return x.dim() == 0 ? 1 : x.size(-1); };
  for (int64_t row = 0; row < left.numel() / columns(left); ++row) {
    std::cout << std::left << std::setw(12) << (row == 0 ? name : "") << std::right;
    for (const Tensor& x : {left, right}) {
      for (int64_t i = 0; i < columns(x); ++i) std::cout << std::setw(9) << x.at(row * columns(x) + i) + 0.;
      std::cout << std::string(size_t(9 * (3 - columns(x)) + 4), ' ');
    }
    std::cout << (row == 0 ? remark : "") << '\n';
  }
}

// How loss = Σ f(x)·dy changes with each element of x.
template <class F> Tensor central_differences(const F& f, const Tensor& x, const Tensor& dy) {
  const NoGrad no_grad;
  const double step = 1e-5;
  Tensor result = zeros_like(x);
  for (int64_t i = 0; i < x.numel(); ++i) {
    Tensor above = clone(x), below = clone(x);
    above.mutable_data<double>()[i] += step;
    below.mutable_data<double>()[i] -= step;
    result.mutable_data<double>()[i] = sum((f(above) - f(below)) * dy).template item<double>() / (2 * step);
  }
  return result;
}

// Normalises x along `dim` in plain steps, walks back, and compares with the fused operation.
template <class Fused>
void derive(const Tensor& x, const Tensor& weight, int64_t dim, const Tensor& dy, const Fused& fused) {
  const Tensor bias = zeros(weight.shape(), float64).named("bias").requires_grad();
  const Tensor average = mean(x, dim, true).named("mean");
  const Tensor centered = (x - average).named("centered");
  const Tensor variance = mean(square(centered), dim, true).named("variance");
  const Tensor deviation = sqrt(variance + 1e-5).named("deviation");
  const Tensor normal = (centered / deviation).named("normal");
  const Tensor y = (normal * weight + bias).named("y");
  const Tensor loss = sum(y * dy).named("loss");
  std::cout << Tape(loss) << '\n';

  for (const Tensor& step : {average, centered, variance, deviation, normal, y}) step.retain_grad();
  loss.backward();
  std::cout << "The values, and the gradients that the walk back along the tape has found:\n\n"
            << std::left << std::setw(14) << "" << std::setw(31) << "value" << std::setw(29) << "gradient"
            << "how it came about\n";
  for (const auto& [step, rule] :
       std::vector<std::pair<Tensor, std::string>>{{y, "dy, as given"},
                                                   {bias, "sum dy"},
                                                   {weight, "sum dy * normal"},
                                                   {normal, "g = dy * weight"},
                                                   {deviation, "-sum g * normal / deviation"},
                                                   {variance, "ddeviation / (2 * deviation)"},
                                                   {centered, "g / deviation + dvariance * 2 * centered / n"},
                                                   {average, "-sum dcentered"},
                                                   {x, "dcentered + dmean / n"}})
    print_beside(step.name(), step, step.grad(), rule);

  const Tensor input = x.detach().requires_grad(), of_fused = grad(sum(fused(input, weight) * dy), input);
  const NoGrad no_grad;
  const Tensor g = dy * weight;
  const Tensor closed = (g - mean(g, dim, true) - normal * mean(g * normal, dim, true)) / deviation;
  std::cout << "\nPut together: dx = (g - mean(g) - normal * mean(g * normal)) / deviation. What would only shift or\n"
               "stretch x is taken out of the gradient, as normalisation would undo it.\n\n";
  print_beside("dx", closed, x.grad(), "by this formula | by the tape above");
  print_beside("", of_fused, central_differences([&](const Tensor& at) { return fused(at, weight); }, x, dy),
               "by the fused operation | by central differences");
  std::cout << "\nFirst and second derivatives: " << gradcheck(fused, {.second_order = true}, x, weight) << "\n\n";
}

void derive_both() {
  std::cout << std::fixed << std::setprecision(4);
  const Tensor values = tensor({{1, 2, 6}, {4, 0, 2}}, float64), upstream = tensor({{1, 0, 2}, {0, 1, -1}}, float64);
  const auto leaf = [](const Tensor& x, const char* name) { return clone(x).named(name).requires_grad(); };
  std::cout << "LAYER NORMALISATION of 2 examples with 3 features: each row gets mean 0 and variance 1.\n\n";
  derive(leaf(values, "x"), leaf(tensor({1, 2, 0.5}, float64), "weight"), 1, clone(upstream).named("dy"),
         [](const Tensor& x, const Tensor& weight) { return layer_norm(x, {3}, weight); });
  std::cout << "BATCH NORMALISATION of 3 examples with 2 features, the same numbers turned over: now each column gets\n"
               "mean 0 and variance 1, and the gradient of an example depends on the others. All else is the same.\n\n";
  derive(leaf(t(values), "x"), leaf(tensor({1, 2}, float64), "weight"), 0, clone(t(upstream)).named("dy"),
         [](const Tensor& x, const Tensor& weight) { return batch_norm(x, {}, {}, weight, {}, {.training = true}); });
}

// ------------------------------------------------------------------------------------------------- the deep networks

constexpr int64_t width = 64, depth = 10;

struct NoNorm {
  explicit NoNorm(int64_t) {}
  Tensor operator()(const Tensor& x) const { return x; }
  GRADUS_FIELDS()
};

template <class Norm> struct Block {
  nn::Linear linear;
  Norm norm;
  explicit Block(int64_t in) : linear(in, width), norm(width) {}
  Tensor operator()(const Tensor& x) const { return relu(norm(linear(x))); }
  GRADUS_FIELDS(linear, norm)
};

template <class Norm> struct Net {
  std::vector<Block<Norm>> hidden{Block<Norm>(784)};
  nn::Linear out{width, 10};
  Net() {
    while (hidden.size() < depth) hidden.emplace_back(width);
  }
  Tensor features(Tensor x) const {
    for (const auto& block : hidden) x = block(x);
    return x;
  }
  Tensor operator()(const Tensor& x) const { return out(features(x)); }
  GRADUS_FIELDS(hidden, out)
};

struct Settings {
  int64_t images = 60000;
  double lr = 0.01;
  uint64_t seed = 1;
  int threads = 1;  // more do not pay for such small products
  std::string data, plot;
};

// How far apart the images of a batch are after the hidden layers: the mean standard deviation of a feature.
template <class N> double signal(N net, const data::TensorDataset& batch) {
  const NoGrad no_grad;
  return mean(gradus::std(copy(net).features(batch.inputs), 0)).item();
}

// The table of one network's training; adds the curve of its accuracy to the chart.
template <class Norm>
Net<Norm> train_net(const char* name, int64_t batch, const data::Split& data, const Settings& settings, Chart& chart) {
  manual_seed(settings.seed);
  Net<Norm> net;
  const double signal_at_start = signal(net, data.train.slice(0, 128));
  optim::SGD sgd(parameters(net), {.lr = settings.lr * double(batch) / 128, .momentum = 0.9});
  const data::Loader loader(data.train, {.batch = batch, .shuffle = true, .drop_last = true});
  Chart::Series curve;
  curve.name = name;
  const Stopwatch stopwatch;
  const int64_t steps = settings.images / batch, interval = std::max<int64_t>(steps / 10, 1);
  for (int64_t step = 0; step < steps;)
    for (auto [image, label] : loader) {
      const Tensor loss = cross_entropy(net(image), label);
      sgd.zero_grad();
      loss.backward();
      sgd.step();
      if (++step % interval == 0) {
        curve.x.push_back(double(step * batch));
        curve.y.push_back(evaluate(net, data.test.slice(0, 2000)).accuracy.mean());
      }
      if (step == steps) break;
    }
  const double seconds = stopwatch.seconds();
  const Score score = evaluate(net, data.test);
  std::printf("%-10s %6lld %16.6f %11.4f %14.4f %8.1f s\n", name, static_cast<long long>(batch), signal_at_start,
              score.loss.mean(), score.accuracy.mean(), seconds);
  std::fflush(stdout);
  chart.series.push_back(curve);
  return net;
}

// One network in both modes: its accuracy, and what it thinks of one image in the company of two sets of others.
template <class N> void show_modes(const char* name, int64_t batch, N net, const data::TensorDataset& test) {
  const NoGrad no_grad;
  net = copy(net);  // the running statistics of the copy change below
  std::printf("%-10s %6lld", name, static_cast<long long>(batch));
  for (bool training : {false, true}) {
    train(net, training);
    const double right = accuracy([&](const Tensor& x) { return net(x); }, test.slice(0, 2000), batch);
    std::printf("    %8.4f ", right);
    for (int64_t others : {100, 200}) {
      const Tensor images = cat({test.slice(0, 1).inputs, test.slice(others, others + batch - 1).inputs}, 0);
      std::printf(" %7.4f", softmax(net(images), 1).at(int64_t(test.targets.at(0))));
    }
  }
  std::printf("\n");
}

void train_all(const Settings& settings) {
  const data::Split data = data::fashion_mnist({.folder = settings.data});
  std::printf(
      "A NETWORK with %lld hidden layers of %lld, trained on %lld images of Fashion-MNIST by SGD.\n"
      "The signal is how far apart the images of a batch are after the hidden layers, before training.\n\n"
      "norm        batch  signal at start   test loss  test accuracy       time\n",
      static_cast<long long>(depth), static_cast<long long>(width), static_cast<long long>(settings.images));
  std::vector<Chart> charts;
  std::vector<std::function<void()>> modes;
  for (int64_t batch : {2, 16, 128}) {
    Chart chart;
    chart.title = "batches of " + std::to_string(batch);
    chart.x_label = "images seen";
    chart.y_label = "test accuracy";
    chart.y_limits = {0, 1};
    train_net<NoNorm>("none", batch, data, settings, chart);
    const auto with_batch_norm = train_net<nn::BatchNorm1d>("BatchNorm", batch, data, settings, chart);
    const auto with_layer_norm = train_net<nn::LayerNorm>("LayerNorm", batch, data, settings, chart);
    charts.push_back(chart);
    modes.push_back([=] {
      show_modes("BatchNorm", batch, with_batch_norm, data.test);
      show_modes("LayerNorm", batch, with_layer_norm, data.test);
    });
  }
  std::printf(
      "\nPyTorch's first weights, used here, shrink the signal from layer to layer, and with it the gradients: "
      "without\n"
      "normalisation nothing is learned. Of two images BatchNorm keeps only which one is larger, +1 or -1.\n\n"
      "TRAINING AND EVALUATION. In training BatchNorm takes the statistics of the batch, so that an image gets "
      "another\n"
      "probability in the company of images A than in that of B; in evaluation it takes the running averages.\n"
      "LayerNorm looks at one image at a time: there is nothing to switch.\n\n"
      "                     in evaluation                in training\n"
      "norm        batch    accuracy   with A  with B    accuracy   with A  with B\n");
  for (const auto& show : modes) show();
  if (!settings.plot.empty()) write_svg(settings.plot, charts, "A deep network with and without normalisation");
}

int main(int argc, char** argv) try {
  Settings settings;
  CLI::App app{"Normalisation: its gradients step by step, and what it does for a deep network"};
  app.option_defaults()->always_capture_default();
  app.add_option("--images", settings.images, "how many images each network is trained on; 0: only the gradients")
      ->check(CLI::NonNegativeNumber);
  app.add_option("--lr", settings.lr, "learning rate for batches of 128; in proportion for the others")
      ->check(CLI::PositiveNumber);
  app.add_option("--seed", settings.seed, "of the first weights and the order of the images");
  app.add_option("--threads", settings.threads, "threads for the computation")->check(CLI::PositiveNumber);
  app.option_defaults()->always_capture_default(false);
  app.add_option("--data", settings.data, "where Fashion-MNIST is, if not where Debian's packages put it");
  app.add_option("--plot", settings.plot, "SVG file for the accuracies as curves");
  CLI11_PARSE(app, argc, argv);

  set_num_threads(settings.threads);
  derive_both();
  if (settings.images > 0) train_all(settings);
} catch (const Error& error) {
  std::cerr << error.what() << '\n';
  return 1;
}
