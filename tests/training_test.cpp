#include "examples/training.h"

#include <doctest/doctest.h>

#include <algorithm>

#include "tests/files.h"

using namespace gradus;
using files::TemporaryFolder;

namespace {

struct Net {
  nn::Linear hidden{4, 16};
  nn::Dropout dropout{0.3};
  nn::Linear out{16, 3};
  Tensor operator()(const Tensor& x) const { return out(dropout(relu(hidden(x)))); }
  GRADUS_FIELDS(hidden, dropout, out)
};

// What a training program does, with the given flags; it is broken off after `last` epochs. Returns what it prints.
std::string run(std::vector<std::string> flags, int64_t last = 100) {
  std::ostringstream printed;
  std::streambuf* const before = std::cout.rdbuf(printed.rdbuf());
  const int threads = num_threads();
  flags.insert(flags.begin(), "program");
  std::vector<char*> arguments;
  for (std::string& flag : flags) arguments.push_back(flag.data());

  Training training("Small & quick", {.epochs = 4, .batch = 16, .lr = 0.01});
  training.parse(int(arguments.size()), arguments.data());
  Generator generator(1);
  const data::TensorDataset examples{randn({90, 4}, float32, generator), randint(0, 3, {90}, generator)};
  Net net;
  optim::Adam adam(parameters(net), {.lr = training.lr});
  const data::Loader loader(examples, {.batch = training.batch, .shuffle = true});
  for (int64_t epoch = training.start(net, adam); epoch <= std::min(training.epochs, last); ++epoch) {
    Score score;
    for (auto [input, target] : loader) {
      const Tensor scores = net(input), loss = cross_entropy(scores, target);
      adam.zero_grad();
      loss.backward();
      adam.step();
      score.add(scores, target, loss.item());
    }
    training.finish_epoch(epoch, net, adam, figures(score, evaluate(net, examples)));
  }
  training.print_summary();
  set_num_threads(threads);
  std::cout.rdbuf(before);
  return printed.str();
}

// A log without its last column, the seconds.
std::string without_seconds(const std::string& log) {
  std::istringstream in(log);
  std::string result;
  for (std::string line; std::getline(in, line);) result += line.substr(0, line.rfind(',')) + '\n';
  return result;
}

}  // namespace

TEST_CASE("training: a resumed run is the uninterrupted one, and so is its log") {
  const TemporaryFolder folder;
  const auto path = [&](const char* name) { return folder.path(name); };
  run({"--log", path("a.csv"), "--save", path("a.st"), "--plot", path("a.svg")});
  run({"--log", path("b.csv"), "--save", path("b.st")}, 3);
  std::filesystem::copy_file(path("b.st"), path("three.st"));
  CHECK(folder.read("a.st") != folder.read("b.st"));
  const std::string line = "\n4,0.5,0.5,0.5,0.5,1\n";  // of an epoch that was logged, but not saved
  folder.write("b.csv", folder.read("b.csv") + line.substr(1));
  run({"--seed", "7", "--resume", path("b.st"), "--log", path("b.csv"), "--save", path("b.st"), "--plot",
       path("b.svg")});
  CHECK(folder.read("a.st") == folder.read("b.st"));
  CHECK(without_seconds(folder.read("a.csv")) == without_seconds(folder.read("b.csv")));
  CHECK(folder.read("a.svg") == folder.read("b.svg"));
  CHECK(folder.read("a.svg").find("Small &#38; quick") != std::string::npos);

  run({"--load", path("three.st"), "--log", path("c.csv"), "--save", path("c.st")});  // without the log so far
  CHECK(folder.read("a.st") == folder.read("c.st"));
  CHECK(History::load(path("c.csv")).column("epoch") == std::vector<double>{4});
  CHECK(run({"--resume", path("c.st")}) ==
        "131 parameters, " + std::to_string(num_threads()) + " threads\nThere is no epoch left to train.\n");
}

TEST_CASE("training: a line for each epoch, and one for the whole") {
  const std::string printed = run({"--epochs", "2", "--threads", "1"});
  CHECK(printed.starts_with("131 parameters, 1 threads\nepoch 1    train loss 1."));
  CHECK(printed.find("\nepoch 2    train loss 1.") != printed.npos);
  CHECK(printed.find("\nfinished   train loss 1.") != printed.npos);
  CHECK(printed.find("  test accuracy 0.") != printed.npos);
}

TEST_CASE("training: a file that cannot be written is found out before the first epoch") {
  const TemporaryFolder folder;
  Training training("", {});
  training.save = folder.path("none/x");
  Net net;
  optim::Adam adam(parameters(net));
  CHECK(files::error_text([&] { training.start(net, adam); }, training.save) ==
        "x: cannot be written (No such file or directory)");
}
