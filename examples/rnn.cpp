// A recurrent network that reads a text character by character and guesses the next one: a language model, like those
// of Sutskever et al., "Generating text with recurrent neural networks", 2011. In the end it writes a text of its own.

#include <gradus.h>

#include <algorithm>
#include <cmath>
#include <iostream>
#include <string>

#include "examples/training.h"

using namespace gradus;

constexpr int64_t embedding_size = 64;

struct Settings {
  std::string cell = "lstm", text, prompt = "In the beginning ";
  int64_t hidden = 256, layers = 1, length = 64, sample = 600;
  double dropout = 0, temperature = 0.7;
};

template <class Layer> struct LanguageModel {
  nn::Embedding embedding;
  Layer recurrent;
  nn::Linear out;

  LanguageModel(int64_t characters, const Settings& settings)
      : embedding(characters, embedding_size),
        recurrent(embedding_size, settings.hidden, {.num_layers = settings.layers, .dropout = settings.dropout}),
        out(settings.hidden, characters) {}

  /// tokens: [T, B] → scores for the character after each, [T, B, characters]. The state goes on from where it was, but
  /// gradients do not flow back into what was read before (truncated backpropagation through time).
  Tensor operator()(const Tensor& tokens, nn::RecurrentInputs& state) const {
    const auto read = recurrent(embedding(tokens), state);
    state.h_0 = read.h_n.detach();
    if constexpr (requires { read.c_n; }) state.c_0 = read.c_n.detach();
    return out(read.output);
  }
  GRADUS_FIELDS(embedding, recurrent, out)
};

/// The mean loss of the guesses on windows [B, T]; one bit is log 2.
template <class Net> Tensor loss_of(const Net& net, const data::TensorDataset& windows, nn::RecurrentInputs& state) {
  return cross_entropy(flatten(net(t(windows.inputs), state), 0, 1), flatten(t(windows.targets)));
}

template <class Net> double bits(Net& net, const Tensor& tokens, int64_t batch) {
  const Evaluation evaluation(net);
  Average loss;
  nn::RecurrentInputs state;
  for (const data::TensorDataset& windows : data::contiguous_windows(tokens, {.batch = batch, .length = 128}))
    loss.add(loss_of(net, windows, state).item(), double(windows.inputs.numel()));
  return loss.mean() / std::log(2.);
}

/// Bits per character of a model that only counts which character followed the last `order` − 1. Where it has seen
/// little, it trusts the next shorter model the more, the more different characters followed (Witten and Bell, 1991).
double ngram_bits(const data::TextDataset& text, int order) {
  const auto characters = size_t(text.vocabulary.size());
  const std::vector<int64_t> train = text.train.to_vector<int64_t>(), validation = text.validation.to_vector<int64_t>();
  struct Context {
    double total = 0, different = 0;
  };
  std::vector<std::vector<double>> counts;     // of n characters
  std::vector<std::vector<Context>> contexts;  // the n − 1 before them
  size_t size = 1;
  for (int n = 1; n <= order; ++n) {
    contexts.emplace_back(size);
    counts.emplace_back(size *= characters);
  }
  // Calls f(n, place of the n characters that end at i, place of the n − 1 before) for each n.
  const auto visit = [&](const std::vector<int64_t>& tokens, size_t i, auto&& f) {
    size_t place = 0, weight = 1, context = 0;
    for (size_t n = 0; n < size_t(order); ++n, weight *= characters) {
      if (n > 0) context += size_t(tokens[i - n]) * weight / characters;
      f(n, place += size_t(tokens[i - n]) * weight, context);
    }
  };
  const auto first = size_t(order) - 1;
  for (size_t i = first; i < train.size(); ++i)
    visit(train, i, [&](size_t n, size_t place, size_t context) {
      if (counts[n][place]++ == 0) ++contexts[n][context].different;
      ++contexts[n][context].total;
    });
  double sum = 0;
  for (size_t i = first; i < validation.size(); ++i) {
    double p = 1. / double(characters);
    visit(validation, i, [&](size_t n, size_t place, size_t context) {
      const auto [total, different] = contexts[n][context];
      if (total > 0) p = (counts[n][place] + different * p) / (total + different);
    });
    sum -= std::log2(p);
  }
  return sum / double(validation.size() - first);
}

/// Lets the network go on from the prompt. The lower the temperature, the more it keeps to what is most likely.
template <class Net> std::string sample(Net& net, const data::Vocabulary& vocabulary, const Settings& settings) {
  const Evaluation evaluation(net);
  nn::RecurrentInputs state;
  std::string text = settings.prompt;
  const Device device = parameters(net)[0].device();
  Tensor tokens = to(vocabulary.encode(text), device);
  for (int64_t i = 0; i < settings.sample; ++i) {
    const Tensor scores = select(net(unsqueeze(tokens, 1), state), 0, -1);  // after the last character, [1, characters]
    const std::vector<double> p = softmax(scores / settings.temperature, 1).to_vector<double>();
    double left = rand({}).item();
    size_t next = 0;
    while (next + 1 < p.size() && (left -= p[next]) > 0) ++next;
    tokens = to(tensor({double(next)}, int64), device);
    text += vocabulary.decode(tokens);
  }
  return text;
}

template <class Layer> void run(Training& training, const Settings& settings) {
  const data::TextDataset text =
      settings.text.empty() ? data::king_james_bible({.folder = training.data}) : data::text_file(settings.text);
  const auto windows =
      data::contiguous_windows(to(text.train, training.device), {.batch = training.batch, .length = settings.length});
  text.vocabulary.encode(settings.prompt);  // fails now rather than after the training
  const double bigram = ngram_bits(text, 2), trigram = ngram_bits(text, 3);
  std::printf("%lld characters of %lld kinds; counting pairs gives %.4f bits a character, triples %.4f\n",
              static_cast<long long>(text.train.numel()), static_cast<long long>(text.vocabulary.size()), bigram,
              trigram);

  LanguageModel<Layer> net(text.vocabulary.size(), settings);
  to(net, training.device);
  optim::Adam adam(parameters(net), {.lr = training.lr});
  optim::Scheduler scheduler(adam, optim::CosineAnnealingLR{.T_max = std::max<int64_t>(training.epochs, 1)});
  for (int64_t epoch = training.start(net, adam); epoch <= training.epochs; ++epoch) {
    scheduler.jump(epoch - 1);
    Average loss;
    nn::RecurrentInputs state;
    Progress progress("epoch " + std::to_string(epoch), int64_t(windows.size()));
    for (const data::TensorDataset& window : windows) {
      const Tensor value = loss_of(net, window, state);
      adam.zero_grad();
      value.backward();
      clip_grad_norm_(parameters(net), 1);
      adam.step();
      loss.add(value.item(), double(window.inputs.numel()));
      progress.advance("bits " + std::to_string(loss.mean() / std::log(2.)));
    }
    training.finish_epoch(epoch, net, adam,
                          {{"train bits", loss.mean() / std::log(2.)},
                           {"validation bits", bits(net, to(text.validation, training.device), 16)},
                           {"trigram bits", trigram}});
  }
  training.print_summary();
  std::cout << "\nWhat it writes:\n\n" << sample(net, text.vocabulary, settings) << '\n';
}

int main(int argc, char** argv) try {
  Training training("A recurrent network that learns to guess the next character of the King James Bible",
                    {.epochs = 5, .batch = 64, .lr = 8e-3});
  Settings settings;
  training.app.add_option("--cell", settings.cell, "the kind of network")->check(CLI::IsMember({"rnn", "lstm", "gru"}));
  training.app.add_option("--hidden", settings.hidden, "values in its hidden state")->check(CLI::PositiveNumber);
  training.app.add_option("--layers", settings.layers, "one above the other")->check(CLI::PositiveNumber);
  training.app.add_option("--dropout", settings.dropout, "between layers")->check(CLI::Range(0., 1.));
  training.app.add_option("--length", settings.length, "characters that gradients flow back")
      ->check(CLI::PositiveNumber);
  training.app.add_option("--text", settings.text, "another text to read, a file in UTF-8");
  training.app.add_option("--prompt", settings.prompt, "how the text begins that it writes in the end")
      ->check([](const std::string& prompt) { return prompt.empty() ? "the prompt must not be empty" : ""; });
  training.app.add_option("--sample", settings.sample, "how long that text is")->check(CLI::NonNegativeNumber);
  training.app.add_option("--temperature", settings.temperature, "how daring it is")->check(CLI::PositiveNumber);
  training.parse(argc, argv);

  if (settings.cell == "rnn") run<nn::RNN>(training, settings);
  if (settings.cell == "lstm") run<nn::LSTM>(training, settings);
  if (settings.cell == "gru") run<nn::GRU>(training, settings);
} catch (const Error& error) {
  std::cerr << error.what() << '\n';
  return 1;
}
