// How the time and the memory of a training step grow with the batch, the width, the depth and the sequence, and what
// checkpoints save and cost. Prints Markdown; scripts/measure-scaling puts it into docs/benchmarks.md.

#include <algorithm>
#include <atomic>
#include <cmath>
#include <iostream>
#include <thread>

#include "benchmarks/gradus/training.h"

using namespace gradus;
using workloads::Work;

namespace {

/// A block of a deep network, four times as wide inside, like those of Transformers.
struct ResidualBlock {
  nn::LayerNorm norm{128};
  nn::Linear hidden{128, 4 * 128}, out{4 * 128, 128};
  Tensor operator()(const Tensor& x) const { return x + out(relu(hidden(norm(x)))); }
  GRADUS_FIELDS(norm, hidden, out)
};

struct DeepNet {
  std::vector<ResidualBlock> blocks;
  int64_t segment;  ///< so many blocks to a checkpoint; 0: no checkpoints
  DeepNet(int64_t depth, int64_t blocks_a_checkpoint) : blocks(size_t(depth)), segment(blocks_a_checkpoint) {}
  Tensor operator()(Tensor x) const {
    const size_t count = segment ? size_t(segment) : blocks.size();
    for (size_t first = 0; first < blocks.size(); first += count) {
      const auto part = [=, this](Tensor y) {
        for (size_t i = first; i < std::min(first + count, blocks.size()); ++i) y = blocks[i](y);
        return y;
      };
      x = segment ? checkpoint(part, x) : part(x);
    }
    return x;
  }
  GRADUS_FIELDS(blocks, segment)
};

/// A step that trains a network to give `outputs` numbers for random inputs of this shape.
template <class Net> Work train_on(const Net& net, const Shape& inputs, int64_t outputs) {
  Shape shape = inputs;
  shape[shape.dim() - 1] = outputs;
  const Tensor x = randn(inputs), target = randn(shape);
  return training_step<optim::SGD>(net, optim::SGDOptions{.lr = 1e-3},
                                   [=](const Net& trained) { return mse_loss(trained(x), target); });
}

Work with_batch(int64_t batch) {
  return train_on(nn::Sequential(nn::Linear(128, 128), relu, nn::Linear(128, 128), relu, nn::Linear(128, 10)),
                  {batch, 128}, 10);
}
Work with_width(int64_t width) {
  return train_on(nn::Sequential(nn::Linear(256, width), relu, nn::Linear(width, 256)), {256, 256}, 256);
}
Work with_depth(int64_t depth) { return train_on(DeepNet(depth, 0), {256, 128}, 128); }
Work with_checkpoints(int64_t segment) { return train_on(DeepNet(16, segment), {512, 128}, 128); }

struct Lstm {
  nn::LSTM layer{64, 128};
  Tensor operator()(const Tensor& x) const { return layer(x).output; }
  GRADUS_FIELDS(layer)
};
Work with_lstm_length(int64_t length) { return train_on(Lstm(), {length, 16, 64}, 128); }

/// Attention alone, forward and backward: 8 heads of 64 numbers.
Work with_attention_length(int64_t length) {
  const auto random = [=] { return randn({8, length, 64}); };
  const Tensor query = random().requires_grad(), key = random().requires_grad(), value = random().requires_grad();
  return {[=, gradient = random()] {
    for (const Tensor& leaf : {query, key, value}) leaf.set_grad({});
    scaled_dot_product_attention(query, key, value, {.is_causal = true}).backward(gradient);
    return 0.;
  }};
}

/// How many bytes the tensors hold at most beyond what they held before the first step. A second thread looks again and
/// again, for the peak lies somewhere inside the backward pass.
double peak_growth(const Work& work) {
  std::atomic<int64_t> before = 0, most = 0, samples = 0;
  std::jthread sampler([&](const std::stop_token& stop) {
    for (before = allocator_statistics().bytes_in_use; !stop.stop_requested(); ++samples) {
      most = std::max<int64_t>(most, allocator_statistics().bytes_in_use);
      std::this_thread::sleep_for(std::chrono::microseconds(10));
    }
  });
  while (samples == 0) std::this_thread::yield();
  for (int steps = 0; steps < 2 || (samples < 500 && steps < 50); ++steps) work.step();
  return double(most - before);
}

/// Something that grows, mostly by doubling, and what was measured.
struct Series {
  std::string name;
  std::vector<int64_t> sizes;
  Work (*prepare)(int64_t);
  std::vector<double> seconds = std::vector<double>(sizes.size(), INFINITY), bytes = std::vector<double>(sizes.size());

  void measure() {
    for (size_t i = 0; i < sizes.size(); ++i) {
      const Work work = prepare(sizes[i]);
      bytes[i] = std::max(bytes[i], peak_growth(work));
      const Stopwatch all;
      for (int steps = 0; steps < 3 || all.seconds() < 0.15; ++steps) {
        const Stopwatch one;
        work.step();
        seconds[i] = std::min(seconds[i], one.seconds());
      }
    }
  }
};

/// The exponent p if values grow as sizeᵖ and the sizes double: the slope of log2 y over 0, 1, 2, …, by least squares.
double exponent(const std::vector<double>& values) {
  double above = 0, below = 0, x = (1 - double(values.size())) / 2;
  for (const double value : values) above += x * std::log2(value), below += x * x, ++x;
  return above / below;
}

Chart draw(const std::vector<Series>& all, const char* label, std::vector<double> Series::*values) {
  Chart chart{.x_label = "size / first size", .y_label = label, .log_x = true, .log_y = true, .height = 400};
  for (const Series& series : all) {
    Chart::Series line{.name = series.name};
    for (const int64_t size : series.sizes) line.x.push_back(double(size) / double(series.sizes[0]));
    for (const double value : series.*values) line.y.push_back(value / (series.*values)[0]);
    chart.series.push_back(line);
  }
  for (const double power : {1., 2.}) {
    Chart::Series guide{.color = "#999", .line_width = 1, .markers = false};
    for (int i = 0; i <= 80; ++i) {
      guide.x.push_back(std::exp2(i / 20.));
      guide.y.push_back(i % 3 == 2 ? NAN : std::exp2(power * i / 20.));  // gaps make dashes
    }
    chart.series.push_back(guide);
  }
  return chart;
}

void print_growth(const std::vector<Series>& all) {
  std::string exponents = "\n| what grows | exponent of the time | exponent of the memory |\n|---|---|---|\n";
  std::printf(
      "| what grows | size | time, ms | / first | memory, MB | kB for each more |\n|---|---|---|---|---|---|\n");
  for (const Series& now : all) {
    std::vector<double> added;
    for (size_t i = 0; i < now.sizes.size(); ++i) {
      std::printf("| %s | %lld | %.2f | %.2f | %.2f | ", now.name.c_str(), static_cast<long long>(now.sizes[i]),
                  now.seconds[i] * 1e3, now.seconds[i] / now.seconds[0], now.bytes[i] / 1e6);
      if (i > 0) added.push_back(now.bytes[i] - now.bytes[i - 1]);
      if (i > 0) std::printf("%.2f ", added.back() / 1e3 / double(now.sizes[i] - now.sizes[i - 1]));
      std::printf("|\n");
    }
    char line[100];
    std::snprintf(line, sizeof line, "| %s | %.2f | %.2f |\n", now.name.c_str(), exponent(now.seconds),
                  exponent(added));
    exponents += line;
  }
  std::printf("%s", exponents.c_str());
}

void print_checkpoints(const Series& now) {
  std::printf("\n| blocks a checkpoint | time, ms | / without | memory, MB | / without |\n|---|---|---|---|---|\n");
  for (size_t i = 0; i < now.sizes.size(); ++i)
    std::printf("| %s | %.2f | %.2f | %.2f | %.2f |\n", i == 0 ? "without" : std::to_string(now.sizes[i]).c_str(),
                now.seconds[i] * 1e3, now.seconds[i] / now.seconds[0], now.bytes[i] / 1e6, now.bytes[i] / now.bytes[0]);
}

void run(const std::string& svg) {
  std::vector<Series> all{{"batch", {512, 1024, 2048, 4096, 8192}, with_batch},
                          {"width", {256, 512, 1024, 2048, 4096}, with_width},
                          {"depth", {2, 4, 8, 16, 32}, with_depth},
                          {"length, LSTM", {32, 64, 128, 256, 512}, with_lstm_length},
                          {"length, attention", {128, 256, 512, 1024, 2048}, with_attention_length},
                          {"checkpoints", {0, 1, 2, 4, 8}, with_checkpoints}};
  constexpr int rounds = 3;
  const Stopwatch stopwatch;
  for (int round = 1; round <= rounds; ++round)
    for (Series& series : all) {
      if (stopwatch.seconds() > 2) std::cerr << "round " << round << " of " << rounds << ": " << series.name << '\n';
      series.measure();
    }
  const Series checkpoints = all.back();
  all.pop_back();
  print_growth(all);
  print_checkpoints(checkpoints);
  if (!svg.empty())
    write_svg(svg,
              {draw(all, "time / first time", &Series::seconds), draw(all, "memory / first memory", &Series::bytes)},
              "How a training step grows; dashed: slopes 1 and 2");
}

}  // namespace

int main(int argc, char** argv) try {
  const std::string usage =
      "usage: gradus_scaling [--threads N] [--svg FILE]\n"
      "Prints how the time and the memory of training steps grow, as tables in Markdown; --svg also draws them.\n";
  const int threads = workloads::take_threads(argc, argv);
  const std::string option = argc > 1 ? argv[1] : "";
  if (option == "--help" || option == "-h") return std::cout << usage, 0;
  const bool plot = argc == 3 && option == "--svg";
  if (threads < 1 || (argc > 1 && !plot)) return std::cerr << usage, 2;
  set_num_threads(threads);
  run(plot ? argv[2] : "");
  return 0;
} catch (const std::exception& error) {
  std::cerr << error.what() << '\n';
  return 1;
}
