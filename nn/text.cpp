#include "nn/text.h"

#include <algorithm>
#include <filesystem>
#include <set>

#include "core/file.h"
#include "core/utf8.h"
#include "ops/arithmetic.h"
#include "ops/create.h"
#include "ops/index.h"
#include "ops/view.h"

namespace gradus::data {
namespace {

// Calls f with each code point of a text.
template <class F> void for_code_points(std::string_view text, F&& f) {
  for (size_t i = 0; i < text.size();) {
    const Character next = first_character(text.substr(i));
    if (!next.valid) fail("byte " + std::to_string(i) + " of the text is not part of a character in UTF-8");
    f(next.code);
    i += next.bytes;
  }
}

TextDataset dataset_of(std::string_view text, const TextOptions& options) {
  if (!(options.validation >= 0 && options.validation <= 1))
    fail("validation is " + std::to_string(options.validation) + "; it must be a part of the text, from 0 to 1");
  TextDataset result{options.bytes ? Vocabulary::bytes() : Vocabulary::characters(text), {}, {}};
  const Tensor tokens = result.vocabulary.encode(text);
  const auto split = tokens.numel() - int64_t(options.validation * double(tokens.numel()));
  result.train = narrow(tokens, 0, 0, split);
  result.validation = narrow(tokens, 0, split, tokens.numel() - split);
  return result;
}

void check_windows(const Tensor& tokens, const WindowOptions& options, int64_t fewest) {
  if (tokens.dim() != 1 || tokens.dtype() != int64)
    fail("tokens must be int64 and [n], not " + to_string(tokens.dtype()) + " and " + to_string(tokens.shape()));
  if (options.batch < 1 || options.length < 1)
    fail("batch is " + std::to_string(options.batch) + " and length " + std::to_string(options.length) +
         "; both must be at least 1");
  if (tokens.numel() <= fewest)
    fail("there are " + std::to_string(tokens.numel()) + " tokens; there must be more than " + std::to_string(fewest));
}

}  // namespace

Vocabulary Vocabulary::characters(std::string_view text, Location where) {
  const Scope scope("Vocabulary::characters", where);
  std::set<char32_t> found;
  char32_t last = 0;
  for_code_points(text, [&](char32_t code) {
    if (code != last || found.empty()) found.insert(last = code);
  });
  Vocabulary result;
  result.characters_.assign(found.begin(), found.end());
  return result;
}

Vocabulary Vocabulary::bytes() {
  Vocabulary result;
  result.is_bytes_ = true;
  return result;
}

Tensor Vocabulary::encode(std::string_view text, Location where) const {
  const Scope scope("Vocabulary::encode", where);
  std::vector<int64_t> tokens;
  tokens.reserve(text.size());
  if (is_bytes_) {
    for (const char byte : text) tokens.push_back(uint8_t(byte));
  } else {
    for_code_points(text, [&](char32_t code) {
      const auto at = std::ranges::lower_bound(characters_, code);
      if (at == characters_.end() || *at != code) {
        std::string character;
        append_character(character, code);
        fail("the text has a '" + character + "', which is not among the " + std::to_string(size()) +
             " characters of the vocabulary");
      }
      tokens.push_back(at - characters_.begin());
    });
  }
  return Tensor::copy_of(tokens.data(), {int64_t(tokens.size())});
}

std::string Vocabulary::decode(const Tensor& tokens, Location where) const {
  const Scope scope("Vocabulary::decode", where);
  if (tokens.dtype() != int64) fail("tokens must be int64, not " + to_string(tokens.dtype()));
  std::string text;
  for (const int64_t token : tokens.to_vector<int64_t>()) {
    if (token < 0 || token >= size())
      fail("there is no character " + std::to_string(token) + " in a vocabulary of " + std::to_string(size()));
    if (is_bytes_) text += char(token);
    else append_character(text, characters_[size_t(token)]);
  }
  return text;
}

TextDataset text(std::string_view text, const TextOptions& options, Location where) {
  const Scope scope("text", where);
  return dataset_of(text, options);
}

TextDataset text_file(const std::string& path, const TextOptions& options, Location where) {
  const Scope scope("text_file", where);
  return dataset_of(InputFile(path).read_text(), options);
}

TextDataset king_james_bible(const TextOptions& options, Location where) {
  const Scope scope("king_james_bible", where);
  const std::string name = "king-james-bible", folder = dataset_folder(name, options.folder);
  const std::string path = (std::filesystem::path(folder) / (name + ".txt")).string();
  if (!std::filesystem::exists(path))
    fail("there is no " + name + ".txt in " + folder +
         "; on Debian and Ubuntu, scripts/bootstrap makes it, as does `bible -f gen1:1-rev22:21 </dev/null | sed "
         "'s/^[^ ]* //' > " +
         name +
         ".txt` with the package bible-kjv; elsewhere, put any copy there, or read another "
         "text with text_file");
  return text_file(path, options);
}

std::vector<TensorDataset> contiguous_windows(const Tensor& tokens, const WindowOptions& options, Location where) {
  const Scope scope("contiguous_windows", where);
  check_windows(tokens, options, options.batch);
  const int64_t part = (tokens.numel() - 1) / options.batch;
  const auto parts = [&](int64_t start) {
    return reshape(narrow(tokens, 0, start, part * options.batch), {options.batch, part});
  };
  const Tensor inputs = parts(0), targets = parts(1);
  std::vector<TensorDataset> windows;
  for (int64_t at = 0; at < part; at += options.length) {
    const int64_t length = std::min(options.length, part - at);
    windows.push_back({narrow(inputs, 1, at, length), narrow(targets, 1, at, length)});
  }
  return windows;
}

TensorDataset random_windows(const Tensor& tokens, const WindowOptions& options, Generator& generator, Location where) {
  const Scope scope("random_windows", where);
  check_windows(tokens, options, options.length);
  const Tensor starts = randint(0, tokens.numel() - options.length, {options.batch, 1}, generator);
  const Tensor places = starts + arange(options.length + 1);
  const Tensor windows = reshape(index_select(tokens, 0, flatten(places)), places.shape());
  return {narrow(windows, 1, 0, options.length), narrow(windows, 1, 1, options.length)};
}

}  // namespace gradus::data
