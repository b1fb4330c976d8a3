// The loss of every classifier: what it is, where its gradient comes from, why it is one fused operation, and what
// label smoothing does to it.

#include <gradus.h>

#include <CLI/CLI.hpp>
#include <cmath>
#include <iomanip>
#include <iostream>
#include <sstream>
#include <string>
#include <vector>

using namespace gradus;

std::string number(double value) {
  std::ostringstream text;
  text << std::setprecision(4) << (std::abs(value) < 1e-12 ? 0 : value);
  return std::isnan(value) ? "nan" : text.str();
}

// "(0.705, 0.2595, 0.0351)"
std::string row(const Tensor& x) {
  std::string text;
  for (double value : x.to_vector<double>()) text += (text.empty() ? "(" : ", ") + number(value);
  return text + ")";
}

// The definition, step by step: p = softmax(z), loss = −log p[label].
Tensor naive_loss(const Tensor& z, int64_t label) {
  const Tensor e = exp(z);
  return -log(select(e / sum(e), 0, label));
}

Tensor fused_loss(const Tensor& z, int64_t label, double label_smoothing = 0) {
  return cross_entropy(z, Tensor(double(label), int64), {.label_smoothing = label_smoothing});
}

// A loss and its gradient, for a table.
template <class Loss> std::string loss_and_gradient(const Loss& loss, const Tensor& logits) {
  const Tensor z = logits.detach().requires_grad(), value = loss(z);
  return "loss " + number(value.template item<double>()) + ", gradient " + row(grad(value, z));
}

void derive(const std::vector<double>& logits, int64_t label) {
  std::cout << "1. The loss and its gradient\n\n"
            << "A network gives a score to each class, the logits z, and the right class is number " << label
            << ".\nStep by step, softmax turns them into probabilities p, and the loss is −log p[" << label << "]:\n\n";
  const Tensor z = tensor(logits).named("z").requires_grad();
  const Tensor e = exp(z).named("e");
  const Tensor total = sum(e).named("total");
  const Tensor p = (e / total).named("p");
  const Tensor chosen = select(p, 0, label).named("chosen");
  const Tensor loss = (-log(chosen)).named("loss");
  std::cout << Tape(loss) << '\n';

  for (const Tensor& step : {e, total, p, chosen}) step.retain_grad();
  loss.backward();
  std::cout << "The values, and the gradients from the walk back along the tape, last step first:\n\n";
  for (const auto& [step, rule] : std::vector<std::pair<Tensor, const char*>>{{loss, "1"},
                                                                              {chosen, "−1 / chosen"},
                                                                              {p, "only the right class counts"},
                                                                              {total, "−Σ dp·e / total²"},
                                                                              {e, "dp / total + dtotal"},
                                                                              {z, "de·e"}}) {
    const Tensor gradient = step.is(loss) ? ones_like(loss) : step.grad();
    std::cout << std::left << std::setw(7) << step.name() << "= " << std::setw(27) << row(step) << "d" << std::setw(7)
              << step.name() << "= " << std::setw(31) << row(gradient) << rule << '\n';
  }

  const Tensor onehot = to(one_hot(tensor(std::vector{label}), int64_t(logits.size())), float64);
  std::cout << "\nPut together: dtotal = 1 / total and dp[" << label << "] / total = −1 / e[" << label
            << "], so dz = e / total − onehot, and nearly everything cancels:\n\n"
            << "p − onehot        = " << row(p.detach() - reshape(onehot, z.shape())) << '\n';
  const Tensor input = z.detach().requires_grad().named("z");
  const Tensor fused = fused_loss(input, label);
  std::cout << "cross_entropy     = " << row(grad(fused, input)) << "  in one fused step:\n\n"
            << Tape(fused) << '\n'
            << "Finite differences agree: " << gradcheck([&](auto x) { return fused_loss(x, label); }, z.detach())
            << "\n\n";
}

void show_stability() {
  std::cout << "2. Why it is one operation\n\n"
            << "In float32, exp overflows above 88 and is 0 below −104. The steps above then give NaN or infinity.\n"
            << "The fused operation takes the largest logit m out first: log Σ exp(z) = m + log Σ exp(z − m).\n\n";
  const auto naive = [](const Tensor& z) { return naive_loss(z, 0); };
  const auto fused = [](const Tensor& z) { return fused_loss(z, 0); };
  for (const Tensor& z : {tensor({2, 1, -1}), tensor({100, 99, 0}), tensor({1000, 0, -1000}), tensor({-1000, 0, 1000}),
                          tensor({-1000, -1000, -1000})})
    std::cout << "z = " << row(z) << ", label 0\n    naive: " << loss_and_gradient(naive, z)
              << "\n    fused: " << loss_and_gradient(fused, z) << "\n\n";
}

void show_smoothing(double smoothing) {
  const int classes = 10;
  std::cout << "3. Label smoothing\n\n"
            << "With label smoothing " << smoothing << " the target is not onehot, but q = (1 − " << smoothing
            << ")·onehot + " << smoothing << "/" << classes << ", and the gradient is p − q.\n"
            << "Without it the loss falls for ever as the right logit grows above the others; with it there is a best\n"
            << "distance, at p = q, and beyond it the gradient turns round: a network is not to be too sure.\n\n"
            << "  distance   p[label]      loss    gradient  smoothed loss    gradient\n";
  const double best = std::log((1 - smoothing + smoothing / classes) / (smoothing / classes));
  for (double distance : {0., 2., 4., best, 6., 8., 12.}) {
    Tensor z = zeros({classes}, float64);
    z.mutable_data<double>()[0] = distance;
    std::cout << std::right << std::fixed << std::setprecision(4) << std::setw(10) << distance << std::setw(11)
              << softmax(z, 0).at(0);
    for (double share : {0., smoothing}) {
      const Tensor input = z.detach().requires_grad(), loss = fused_loss(input, 0, share);
      std::cout << std::setw(share == 0 ? 10 : 15) << loss.item<double>() << std::setw(12) << grad(loss, input).at(0);
    }
    std::cout << (distance == best ? "   <- p = q" : "") << '\n';
  }
}

int main(int argc, char** argv) try {
  std::vector<double> logits{2, 1, -1};
  int64_t label = 0;
  double smoothing = 0.1;
  CLI::App app{"The cross-entropy loss, its gradient, its stability and label smoothing"};
  app.option_defaults()->always_capture_default();
  app.add_option("--logits", logits, "the scores of the classes")->expected(2, 20);
  app.add_option("--label", label, "the right class, counted from 0")->check(CLI::NonNegativeNumber);
  app.add_option("--smoothing", smoothing, "how much of the target to spread over all classes")
      ->check(CLI::Range(0.01, 0.99));
  CLI11_PARSE(app, argc, argv);

  derive(logits, label);
  show_stability();
  show_smoothing(smoothing);
} catch (const Error& error) {
  std::cerr << error.what() << '\n';
  return 1;
}
