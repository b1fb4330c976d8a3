// A small GPT: a Transformer that reads a text character by character and guesses the next one (Radford et al.,
// "Language models are unsupervised multitask learners", 2019). In the end it writes a text of its own.

#include <gradus.h>

#include <algorithm>
#include <cmath>
#include <functional>
#include <iostream>
#include <string>
#include <vector>

#include "examples/training.h"

using namespace gradus;

struct Settings {
  int64_t steps = 1150, layers = 4, width = 128, heads = 4, length = 128, top_k = 20, sample = 600;
  double dropout = 0, temperature = 0.8;
  bool untied = false;
  std::string text, prompt = "In the beginning ";
};

struct GPT {
  nn::Embedding token, position;
  std::vector<nn::TransformerEncoderLayer> layers;
  nn::LayerNorm norm;
  nn::Linear head;  // its weight is that of `token`, if tied

  GPT(int64_t characters, const Settings& settings)
      : token(characters, settings.width),
        position(settings.length, settings.width),
        norm(settings.width),
        head(settings.width, characters, {.bias = false}) {
    for (const Tensor& weight : {token.weight, position.weight}) init::normal_(weight, 0, 0.1);
    if (!settings.untied) head.weight = token.weight;
    for (int64_t i = 0; i < settings.layers; ++i)
      layers.push_back(nn::TransformerEncoderLayer(settings.width, settings.heads,
                                                   {.dim_feedforward = 4 * settings.width,
                                                    .dropout = settings.dropout,
                                                    .activation = gelu,
                                                    .batch_first = true,
                                                    .norm_first = true}));
    for (const nn::TransformerEncoderLayer& layer : layers)  // at first, layers add little to what is there already
      for (const Tensor& weight : {layer.self_attn.out_proj.weight, layer.linear2.weight})
        init::normal_(weight, 0, 0.02);
  }

  /// tokens: [B, T] → scores for the character after each, [B, T, characters]. With a cache for each layer, the tokens
  /// follow those that were read before.
  Tensor operator()(const Tensor& tokens, std::vector<nn::KeyValueCache>* caches = nullptr) const {
    const int64_t past = caches ? caches->front().length() : 0;
    Tensor x = token(tokens) + narrow(position.weight, 0, past, tokens.size(1));
    for (size_t i = 0; i < layers.size(); ++i) x = layers[i](x, {.is_causal = true}, caches ? &(*caches)[i] : nullptr);
    return head(norm(x));
  }
  GRADUS_FIELDS(token, position, layers, norm, head)
};

/// The mean loss of the guesses after the last characters of windows [B, T], as many as there are targets for; one bit
/// is log 2.
Tensor loss_of(const GPT& net, const Tensor& inputs, const Tensor& targets) {
  const Tensor scores = net(inputs);
  const int64_t scored = targets.size(1);
  return cross_entropy(flatten(narrow(scores, 1, inputs.size(1) - scored, scored), 0, 1), flatten(targets));
}

/// Bits per character on a text in halves of a window, each guessed with the half before it in sight.
double bits(GPT& net, const Tensor& tokens, int64_t length) {
  const Evaluation evaluation(net);
  Average loss;
  Tensor before;
  for (const auto& [inputs, targets] : data::contiguous_windows(tokens, {.batch = 32, .length = length / 2})) {
    loss.add(loss_of(net, before.defined() ? cat({before, inputs}, 1) : inputs, targets).item(),
             double(targets.numel()));
    before = inputs;
  }
  return loss.mean() / std::log(2.);
}

/// A character, drawn from the top_k that are most likely (0: from all) given its scores. The lower the temperature,
/// the more it keeps to the likeliest.
int64_t draw(const Tensor& scores, const Settings& settings) {
  std::vector<double> best = scores.to_vector<double>();
  const auto k = settings.top_k > 0 ? std::min(size_t(settings.top_k), best.size()) : best.size();
  std::ranges::nth_element(best, best.begin() + int64_t(k) - 1, std::greater());
  const Tensor likely = masked_fill(scores, scores < best[k - 1], -INFINITY);
  const std::vector<double> p = softmax(likely / settings.temperature, 0).to_vector<double>();
  double left = rand({}).item();
  size_t chosen = 0;
  while (chosen + 1 < p.size() && (p[chosen] == 0 || (left -= p[chosen]) > 0)) ++chosen;
  return int64_t(chosen);
}

/// Lets the network go on from the prompt, a character at a time.
std::string sample(GPT& net, const data::Vocabulary& vocabulary, const Settings& settings) {
  const Evaluation evaluation(net);
  std::vector<int64_t> text = vocabulary.encode(settings.prompt).to_vector<int64_t>();
  std::vector<nn::KeyValueCache> caches(net.layers.size());
  size_t read = 0;
  for (int64_t i = 0; i < settings.sample; ++i) {
    if (caches.front().length() + int64_t(text.size() - read) > settings.length) {  // go on from half a window
      caches.assign(caches.size(), {});
      read = text.size() - size_t(settings.length / 2);
    }
    const std::vector<int64_t> unread(text.begin() + int64_t(read), text.end());
    read = text.size();
    const Tensor scores = net(to(unsqueeze(tensor(unread), 0), net.token.weight.device()), &caches);
    text.push_back(draw(select(select(scores, 0, 0), 0, -1), settings));
  }
  return vocabulary.decode(tensor(text));
}

int main(int argc, char** argv) try {
  Training training("A small GPT that learns to guess the next character of the King James Bible",
                    {.epochs = 5, .batch = 16, .lr = 3e-3});
  Settings settings;
  CLI::App& app = training.app;
  app.add_option("--steps", settings.steps, "steps in an epoch, on windows at random places")
      ->check(CLI::PositiveNumber);
  app.add_option("--layers", settings.layers, "one above the other")->check(CLI::PositiveNumber);
  app.add_option("--width", settings.width, "values for each character")->check(CLI::PositiveNumber);
  app.add_option("--heads", settings.heads, "of the attention; they divide the width")->check(CLI::PositiveNumber);
  app.add_option("--length", settings.length, "characters that it sees at a time")->check(CLI::Range(2, 1 << 20));
  app.add_option("--dropout", settings.dropout, "in the layers")->check(CLI::Range(0., 1.));
  app.add_flag("--untied", settings.untied, "weights of its own for the output, instead of the embedding's");
  app.add_option("--text", settings.text, "another text to read, a file in UTF-8");
  app.add_option("--prompt", settings.prompt, "how the text begins that it writes in the end")
      ->check([](const std::string& prompt) { return prompt.empty() ? "the prompt must not be empty" : ""; });
  app.add_option("--sample", settings.sample, "how long that text is")->check(CLI::NonNegativeNumber);
  app.add_option("--temperature", settings.temperature, "how daring it is")->check(CLI::PositiveNumber);
  app.add_option("--top-k", settings.top_k, "draw among this many characters; 0: all")->check(CLI::NonNegativeNumber);
  training.parse(argc, argv);

  const data::TextDataset text =
      settings.text.empty() ? data::king_james_bible({.folder = training.data}) : data::text_file(settings.text);
  text.vocabulary.encode(settings.prompt);  // fails now rather than after the training
  std::cout << text.train.numel() << " characters of " << text.vocabulary.size() << " kinds" << std::endl;

  GPT net(text.vocabulary.size(), settings);
  to(net, training.device);
  optim::AdamW adam(parameters(net), {.lr = training.lr, .betas = {0.9, 0.99}});
  const int64_t total = std::max<int64_t>(1, training.epochs * settings.steps), warmup = std::min<int64_t>(200, total);
  optim::Scheduler scheduler(
      adam, optim::Warmup{warmup, optim::CosineAnnealingLR{.T_max = total - warmup + 1, .min_factor = 0.05}});
  for (int64_t epoch = training.start(net, adam); epoch <= training.epochs; ++epoch) {
    scheduler.jump((epoch - 1) * settings.steps);
    Average loss;
    Progress progress("epoch " + std::to_string(epoch), settings.steps);
    for (int64_t step = 0; step < settings.steps; ++step) {
      const auto [inputs, targets] =
          data::random_windows(text.train, {.batch = training.batch, .length = settings.length});
      const Tensor value = loss_of(net, to(inputs, training.device), to(targets, training.device));
      adam.zero_grad();
      value.backward();
      clip_grad_norm_(parameters(net), 1);
      adam.step();
      scheduler.step();
      loss.add(value.item());
      progress.advance("bits " + std::to_string(loss.mean() / std::log(2.)));
    }
    training.finish_epoch(epoch, net, adam,
                          {{"train bits", loss.mean() / std::log(2.)},
                           {"validation bits", bits(net, to(text.validation, training.device), settings.length)}});
  }
  training.print_summary();
  std::cout << "\nWhat it writes:\n\n" << sample(net, text.vocabulary, settings) << '\n';
} catch (const Error& error) {
  std::cerr << error.what() << '\n';
  return 1;
}
