#pragma once
// Texts as sequences of numbers, and batches of them for language models.

#include <string>
#include <string_view>
#include <vector>

#include "core/random.h"
#include "nn/data.h"

namespace gradus::data {

/// The characters that a text is made of, numbered from 0. A character is a Unicode code point, or a byte.
class Vocabulary {
 public:
  /// The different characters of a text in UTF-8, in the order of their code points.
  static Vocabulary characters(std::string_view text, Location where = Location::here());
  /// All 256 bytes: any text can be encoded, and a character beyond ASCII takes several numbers.
  static Vocabulary bytes();

  int64_t size() const { return is_bytes_ ? 256 : int64_t(characters_.size()); }
  /// The numbers of a text's characters (int64, [n]). Fails at a character that is not in the vocabulary.
  Tensor encode(std::string_view text, Location where = Location::here()) const;
  /// The text that the numbers (int64, of any shape) stand for.
  std::string decode(const Tensor& tokens, Location where = Location::here()) const;

 private:
  bool is_bytes_ = false;
  std::u32string characters_;
};

struct TextOptions {
  bool bytes = false;       ///< numbers stand for bytes instead of Unicode characters
  double validation = 0.1;  ///< the part of the text, at its end, that is kept for validation
  std::string folder = {};  ///< of a dataset: the folder with the file, see ImageOptions
};

/// A text in numbers (int64, [n]), the last part of it kept for validation.
struct TextDataset {
  Vocabulary vocabulary;
  Tensor train, validation;
};

/// A text in UTF-8, in numbers.
TextDataset text(std::string_view text, const TextOptions& options = {}, Location where = Location::here());
/// The same for the contents of a file.
TextDataset text_file(const std::string& path, const TextOptions& options = {}, Location where = Location::here());
/// The King James Bible (1611), 4.1 million characters, one verse a line. Fails with where to get the file if it is
/// missing.
TextDataset king_james_bible(const TextOptions& options = {}, Location where = Location::here());

struct WindowOptions {
  int64_t batch = 32;   ///< windows side by side
  int64_t length = 64;  ///< characters in a window
};

/// Cuts tokens [n] into `batch` parts of the same length and returns windows on all of them, one after the other:
/// inputs [batch, length], and as targets the tokens that follow each. Row i of a batch goes on where row i of the one
/// before it ended, so a recurrent network can carry its state along. The last windows may be shorter; up to `batch`
/// tokens at the end are left out. The batches are views of the tokens.
std::vector<TensorDataset> contiguous_windows(const Tensor& tokens, const WindowOptions& options = {},
                                              Location where = Location::here());
/// Windows at random places, in the same form.
TensorDataset random_windows(const Tensor& tokens, const WindowOptions& options = {},
                             Generator& generator = default_generator(), Location where = Location::here());

}  // namespace gradus::data
