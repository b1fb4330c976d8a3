// How the time and the memory of a training step grow with the batch, the width, the depth and the sequence, and what
// checkpoints cost and save. Prints Markdown; benchmarks/workloads.h and docs/benchmarks.md say what is measured.

#include <algorithm>
#include <atomic>
#include <cmath>
#include <iostream>
#include <thread>

#include "benchmarks/gradus/training.h"

using namespace gradus;
using workloads::Work;

namespace {

/// A layer of a deep network that is a fourfold wider inside, as those of Transformers are.
struct ResidualBlock {
  nn::LayerNorm norm{128};
  nn::Linear hidden{128, 4 * 128}, out{4 * 128, 128};
  Tensor operator()(const Tensor& x) const { return x + out(relu(hidden(norm(x)))); }
  GRADUS_FIELDS(norm, hidden, out)
};

struct DeepNet {
  std::vector<ResidualBlock> blocks;
  int64_t segment;  ///< so many blocks between two checkpoints; 0: none

  DeepNet(int64_t depth, int64_t blocks_a_checkpoint) : blocks(size_t(depth)), segment(blocks_a_checkpoint) {}
  Tensor run(Tensor x, size_t first, size_t last) const {
    for (size_t i = first; i < last; ++i) x = blocks[i](x);
    return x;
  }
  Tensor operator()(Tensor x) const {
    if (segment == 0) return run(x, 0, blocks.size());
    for (size_t first = 0, count = size_t(segment); first < blocks.size(); first += count)
      x = checkpoint([=, this](const Tensor& y) { return run(y, first, std::min(first + count, blocks.size())); }, x);
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
  return train_on(nn::Sequential(nn::Linear(784, 256), relu, nn::Linear(256, 128), relu, nn::Linear(128, 10)),
                  {batch, 784}, 10);
}
Work with_width(int64_t width) {
  return train_on(nn::Sequential(nn::Linear(256, width), relu, nn::Linear(width, 256)), {256, 256}, 256);
}
Work with_depth(int64_t depth) { return train_on(DeepNet(depth, 0), {256, 128}, 128); }

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

struct Figures {
  double seconds = INFINITY, bytes = 0;
};

/// How many bytes more than before its first steps the tensors hold at most, as a second thread sees it.
double peak_growth(const Work& work) {
  const int64_t before = allocator_statistics().bytes_in_use;
  std::atomic<int64_t> most = before, samples = 0;
  std::jthread sampler([&](const std::stop_token& stop) {
    for (; !stop.stop_requested(); ++samples) {
      most = std::max<int64_t>(most, allocator_statistics().bytes_in_use);
      std::this_thread::yield();
    }
  });
  for (int steps = 0; steps < 2 || samples < 10'000; ++steps) work.step();
  return double(most - before);
}

double shortest_seconds(const Work& work) {
  double shortest = INFINITY;
  const Stopwatch all;
  for (int steps = 0; steps < 3 || all.seconds() < 0.1; ++steps) {
    const Stopwatch one;
    work.step();
    shortest = std::min(shortest, one.seconds());
  }
  return shortest;
}

/// Something that is made larger step by step, and its measurements.
struct Series {
  std::string name;
  std::vector<int64_t> sizes;
  Work (*prepare)(int64_t);
  std::vector<Figures> figures = std::vector<Figures>(sizes.size());
};

/// The slope of the straight line through the logarithms, by least squares: p if y grows as xᵖ.
double exponent(const Series& series, double Figures::*y) {
  double n = 0, sum_x = 0, sum_y = 0, sum_xx = 0, sum_xy = 0;
  for (size_t i = 0; i < series.sizes.size(); ++i) {
    const double log_x = std::log(double(series.sizes[i])), log_y = std::log(series.figures[i].*y);
    n += 1, sum_x += log_x, sum_y += log_y, sum_xx += log_x * log_x, sum_xy += log_x * log_y;
  }
  return (n * sum_xy - sum_x * sum_y) / (n * sum_xx - sum_x * sum_x);
}

Chart draw(const std::vector<Series>& all, const char* label, double Figures::*y) {
  Chart chart{.x_label = "size / first size", .y_label = label, .log_x = true, .log_y = true, .height = 380};
  for (const Series& series : all) {
    Chart::Series& line = chart.series.emplace_back(Chart::Series{.name = series.name});
    for (size_t i = 0; i < series.sizes.size(); ++i) {
      line.x.push_back(double(series.sizes[i]) / double(series.sizes[0]));
      line.y.push_back(series.figures[i].*y / series.figures[0].*y);
    }
  }
  for (const double power : {1., 2.}) {  // guides, dashed by gaps
    Chart::Series& guide = chart.series.emplace_back(Chart::Series{.color = "#999", .line_width = 1, .markers = false});
    for (int i = 0; i <= 3 * 20; ++i) {
      guide.x.push_back(std::pow(16, i / 60.));
      guide.y.push_back(i % 3 == 2 ? NAN : std::pow(guide.x.back(), power));
    }
  }
  return chart;
}

void print_row(const Figures& now, const Figures& first) {
  std::printf(" | %.3f | %.2f | %.2f | %.2f |\n", now.seconds * 1e3, now.seconds / first.seconds, now.bytes / 1e6,
              now.bytes / first.bytes);
}

void run(int rounds, const std::string& svg) {
  std::vector<Series> all{{"batch", {256, 512, 1024, 2048, 4096}, with_batch},
                          {"width", {256, 512, 1024, 2048, 4096}, with_width},
                          {"depth", {2, 4, 8, 16, 32}, with_depth},
                          {"length, LSTM", {32, 64, 128, 256, 512}, with_lstm_length},
                          {"length, attention", {128, 256, 512, 1024, 2048}, with_attention_length}};
  const auto with_checkpoints = [](int64_t segment) { return train_on(DeepNet(16, segment), {512, 128}, 128); };
  all.push_back({"blocks a checkpoint", {0, 1, 2, 4, 8}, with_checkpoints});
  const Stopwatch stopwatch;
  for (int round = 0; round < rounds; ++round)
    for (Series& series : all) {
      if (stopwatch.seconds() > 2)
        std::cerr << "round " << round + 1 << " of " << rounds << ": " << series.name << '\n';
      for (size_t i = 0; i < series.sizes.size(); ++i) {
        const Work work = series.prepare(series.sizes[i]);
        Figures& figures = series.figures[i];
        figures.bytes = std::max(figures.bytes, peak_growth(work));
        figures.seconds = std::min(figures.seconds, shortest_seconds(work));
      }
    }
  const Series checkpoints = all.back();
  all.pop_back();

  std::printf("| what grows | size | time, ms | / first | memory, MB | / first |\n|---|---|---|---|---|---|\n");
  for (const Series& series : all)
    for (size_t i = 0; i < series.sizes.size(); ++i) {
      std::printf("| %s | %lld", series.name.c_str(), static_cast<long long>(series.sizes[i]));
      print_row(series.figures[i], series.figures[0]);
    }
  std::printf("\n| what grows | exponent of the time | exponent of the memory |\n|---|---|---|\n");
  for (const Series& series : all)
    std::printf("| %s | %.2f | %.2f |\n", series.name.c_str(), exponent(series, &Figures::seconds),
                exponent(series, &Figures::bytes));
  std::printf("\n| blocks a checkpoint | time, ms | / none | memory, MB | / none |\n|---|---|---|---|---|\n");
  for (size_t i = 0; i < checkpoints.sizes.size(); ++i) {
    std::printf("| %s", i == 0 ? "no checkpoints" : std::to_string(checkpoints.sizes[i]).c_str());
    print_row(checkpoints.figures[i], checkpoints.figures[0]);
  }
  if (!svg.empty())
    write_svg(svg, {draw(all, "time / first time", &Figures::seconds), draw(all, "memory / first", &Figures::bytes)},
              "A training step grows; dashed: slopes 1 and 2");
}

}  // namespace

int main(int argc, char** argv) try {
  const std::string usage =
      "usage: gradus_scaling [--threads N] [--rounds N] [--svg FILE]\n"
      "Measures how the time and the memory of training steps grow, and prints tables in Markdown.\n"
      "  --threads N  threads for the computation (default: 1)\n"
      "  --rounds N   how often to come back to everything; the shortest time counts (default: 3)\n"
      "  --svg FILE   also draws the tables\n";
  int threads = 1, rounds = 3;
  std::string svg;
  for (int i = 1; i < argc; ++i) {
    const std::string option = argv[i];
    if (option == "--help" || option == "-h") return std::cout << usage, 0;
    const char* value = i + 1 < argc ? argv[++i] : "";
    if (option == "--threads") threads = std::atoi(value);
    else if (option == "--rounds") rounds = std::atoi(value);
    else if (option == "--svg" && *value) svg = value;
    else return std::cerr << usage, 2;
  }
  if (threads < 1 || rounds < 1) return std::cerr << usage, 2;
  set_num_threads(threads);
  run(rounds, svg);
  return 0;
} catch (const std::exception& error) {
  std::cerr << error.what() << '\n';
  return 1;
}
