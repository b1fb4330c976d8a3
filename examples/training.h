#pragma once
// What the training programs have in common besides the training: flags, checkpoints, the log and the chart.
//
//   Training training("Trains a network on …", {.epochs = 8});
//   training.parse(argc, argv);
//   …
//   for (int64_t epoch = training.start(net, adam); epoch <= training.epochs; ++epoch) {
//     … a pass through the training set …
//     training.finish_epoch(epoch, net, adam, {{"train loss", …}, {"test loss", …}});
//   }
//   training.print_summary();

#include <gradus.h>

#include <CLI/CLI.hpp>
#include <algorithm>
#include <cstdlib>
#include <filesystem>
#include <iomanip>
#include <iostream>
#include <sstream>
#include <string>
#include <utility>
#include <vector>

#include "core/file.h"

namespace gradus {

struct TrainingDefaults {
  int64_t epochs = 10, batch = 64;
  double lr = 1e-3;
};

/// The flags, and what is kept of a run.
class Training {
 public:
  CLI::App app;  ///< for flags of the program's own, to be added before parse()
  int64_t epochs, batch;
  double lr;
  uint64_t seed = 1;
  int threads = num_threads();
  Device device = Device::cpu();
  std::string data, log, plot, save, resume;

  Training(const std::string& description, const TrainingDefaults& defaults)
      : app(description), epochs(defaults.epochs), batch(defaults.batch), lr(defaults.lr) {
    app.option_defaults()->always_capture_default();
    app.add_option("--epochs", epochs, "how often to go through the training set")->check(CLI::NonNegativeNumber);
    app.add_option("--batch", batch, "examples in a step")->check(CLI::PositiveNumber);
    app.add_option("--lr", lr, "learning rate at its highest")->check(CLI::NonNegativeNumber);
    app.add_option("--seed", seed, "of the first weights and of all that is random in the training");
    app.add_option("--threads", threads, "threads for the computation")->check(CLI::PositiveNumber);
    app.add_option("--device", device_name_, "where to compute")->check(CLI::IsMember({"cpu", "cuda"}));
    app.option_defaults()->always_capture_default(false);
    app.add_option("--data", data, "where the data are, if not where Debian's packages put them");
    app.add_option("--log", log, "CSV file for the figures of each epoch");
    app.add_option("--plot", plot, "SVG file for a chart of them");
    app.add_option("--save", save, "checkpoint file to write after each epoch");
    app.add_option("--resume,--load", resume, "checkpoint file to go on from, with the --log it has written, if any");
    app.option_defaults()->always_capture_default();
  }

  /// Reads the flags; ends the program if they ask for help or make no sense. Seeds the default generator.
  void parse(int argc, char** argv) {
    try {
      app.parse(argc, argv);
    } catch (const CLI::ParseError& error) {
      std::exit(app.exit(error));
    }
    manual_seed(seed);
    set_num_threads(threads);
    if (device_name_ == "cuda") device = Device::cuda();
  }

  /// The number of the first epoch: 1, or the one after the last of the checkpoint to resume. The run that goes on is
  /// the uninterrupted one, bit for bit, if nothing draws random numbers between here and the first epoch.
  template <class Optimizer> int64_t start(const nn::AllOf& net, Optimizer& optimizer) {
    for (const std::string& path : {log, plot, save})
      if (!path.empty()) const OutputFile fails_now_rather_than_after_an_epoch(path);
    std::cout << count(net) << " parameters, " << num_threads() << " threads" << (device.is_cpu() ? "" : ", a GPU")
              << std::endl;
    const int64_t done = resume.empty() ? 0 : load_checkpoint(resume, net, optimizer);
    if (done > 0 && std::filesystem::is_regular_file(log)) {
      history_ = History::load(log);
      const std::vector<double> logged = history_.column("epoch");
      history_.truncate(size_t(std::upper_bound(logged.begin(), logged.end(), double(done)) - logged.begin()));
    }
    epoch_time_ = {};
    return done + 1;
  }

  /// Prints the figures of an epoch, writes log, chart and checkpoint. A chart is drawn for each last word of the
  /// names: "train loss" and "test loss" are two lines of the chart "loss".
  template <class Optimizer>
  void finish_epoch(int64_t epoch, const nn::AllOf& net, const Optimizer& optimizer, const History::Row& figures) {
    const double seconds = epoch_time_.seconds();
    print_line("epoch " + std::to_string(epoch), last_ = figures, seconds);
    History::Row row{{"epoch", double(epoch)}};
    row.insert(row.end(), figures.begin(), figures.end());
    row.emplace_back("seconds", seconds);
    history_.add(row);
    if (!log.empty()) history_.save(log);
    if (!plot.empty()) write_svg(plot, charts(figures), app.get_description());
    if (!save.empty()) save_checkpoint(save, net, optimizer, epoch);
    epoch_time_ = {};
  }

  /// The last line: the figures of the last epoch, and how long it all took.
  void print_summary() const {
    if (last_.empty()) std::cout << "There is no epoch left to train." << std::endl;
    else print_line("finished", last_, total_time_.seconds());
  }

 private:
  static void print_line(const std::string& label, const History::Row& figures, double seconds) {
    std::ostringstream line;
    line << std::fixed << std::setprecision(4) << std::left << std::setw(9) << label;
    for (const auto& [name, value] : figures) line << "  " << name << ' ' << value;
    line << "  " << std::setprecision(1) << seconds << " s";
    std::cout << line.str() << std::endl;
  }

  std::vector<Chart> charts(const History::Row& figures) const {
    std::vector<std::string> metrics;
    for (const auto& [name, value] : figures) {
      const std::string metric = name.substr(name.find_last_of(' ') + 1);
      if (std::find(metrics.begin(), metrics.end(), metric) == metrics.end()) metrics.push_back(metric);
    }
    std::vector<Chart> result;
    for (const std::string& metric : metrics) result.push_back(history_.chart(metric));
    return result;
  }

  std::string device_name_ = "cpu";
  History history_;
  History::Row last_;
  Stopwatch total_time_, epoch_time_;
};

/// Loss and accuracy of a classifier, over the examples it was shown.
struct Score {
  Average loss, accuracy;

  /// A batch: scores [N, C], classes (int64, [N]), and the mean loss.
  void add(const Tensor& scores, const Tensor& classes, double batch_loss) {
    const double size = double(classes.size(0));
    loss.add(batch_loss, size);
    accuracy.add(double(count_correct(scores, classes)) / size, size);
  }
};

/// How well a network classifies a dataset, in evaluation mode.
template <Module Net> Score evaluate(Net& net, const data::TensorDataset& dataset, int64_t batch = 1000) {
  const Evaluation evaluation(net);
  const Device device = parameters(net)[0].device();
  Score score;
  for (auto [inputs, classes] : data::Loader(dataset, {.batch = batch, .device = device})) {
    const Tensor scores = net(inputs);
    score.add(scores, classes, cross_entropy(scores, classes).item());
  }
  return score;
}

/// The figures of an epoch for finish_epoch().
inline History::Row figures(const Score& train, const Score& test) {
  return {{"train loss", train.loss.mean()},
          {"train accuracy", train.accuracy.mean()},
          {"test loss", test.loss.mean()},
          {"test accuracy", test.accuracy.mean()}};
}

}  // namespace gradus
