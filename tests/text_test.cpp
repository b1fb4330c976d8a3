#include "nn/text.h"

#include <doctest/doctest.h>

#include "ops/arithmetic.h"
#include "ops/create.h"
#include "ops/view.h"
#include "tests/files.h"

using namespace gradus;
using namespace std::string_literals;
using files::error_text, files::TemporaryFolder;

namespace {

const std::string mixed = "na\u00efve \u20ac5 \U0001d11e a";  // characters of 1, 2, 3 and 4 bytes

using Integers = std::vector<int64_t>;

}  // namespace

TEST_CASE("vocabulary: a character is a code point, numbered in order") {
  const auto vocabulary = data::Vocabulary::characters(mixed);
  CHECK(vocabulary.size() == 9);  // space 5 a e n v ï € 𝄞
  const Tensor tokens = vocabulary.encode(mixed);
  CHECK(tokens.dtype() == int64);
  CHECK(tokens.to_vector<int64_t>() == Integers{4, 2, 6, 5, 3, 0, 7, 1, 0, 8, 0, 2});
  CHECK(vocabulary.decode(tokens) == mixed);
  CHECK(vocabulary.decode(reshape(vocabulary.encode("vane"), {2, 2})) == "vane");
  CHECK(vocabulary.encode("").shape() == Shape{0});
  CHECK(data::Vocabulary::characters("\0\0"s).size() == 1);
  CHECK(error_text([&] { vocabulary.encode("nap"); }) ==
        "Vocabulary::encode: the text has a 'p', which is not among the 9 characters of the vocabulary");
  CHECK(error_text([&] {
          vocabulary.decode(tensor({1, 9}, int64));
        }) == "Vocabulary::decode: there is no character 9 in a vocabulary of 9");
  CHECK(error_text([&] {
          vocabulary.decode(tensor({1, 2}));
        }) == "Vocabulary::decode: tokens must be int64, not float32");
}

TEST_CASE("vocabulary: bytes encode any text") {
  const auto vocabulary = data::Vocabulary::bytes();
  CHECK(vocabulary.size() == 256);
  CHECK(vocabulary.encode("a\xff\0"s).to_vector<int64_t>() == Integers{97, 255, 0});
  CHECK(vocabulary.decode(vocabulary.encode(mixed)) == mixed);
  CHECK(error_text([&] { vocabulary.decode(tensor({256}, int64)); }) ==
        "Vocabulary::decode: there is no character 256 in a vocabulary of 256");
}

TEST_CASE("vocabulary: what is not UTF-8 is refused") {
  for (const std::string& text : {"ab\x80"s, "ab\xc3"s, "ab\xc3z"s, "ab\xc0\x80"s, "ab\xe2\x82"s, "ab\xe0\x80\x80"s,
                                  "ab\xed\xa0\x80"s, "ab\xf0\x80\x80\x80"s, "ab\xf4\x90\x80\x80"s, "ab\xff"s})
    CHECK(error_text([&] { data::Vocabulary::characters(text); }) ==
          "Vocabulary::characters: byte 2 of the text is not part of a character in UTF-8");
}

TEST_CASE("text: the last part is kept for validation") {
  const data::TextDataset dataset = data::text("abcabcabcd", {.validation = 0.3});
  CHECK(dataset.vocabulary.size() == 4);
  CHECK(dataset.train.to_vector<int64_t>() == Integers{0, 1, 2, 0, 1, 2, 0});
  CHECK(dataset.validation.to_vector<int64_t>() == Integers{1, 2, 3});
  CHECK(data::text("abc", {.bytes = true}).train.to_vector<int64_t>() == Integers{97, 98, 99});
  CHECK(data::text("").train.numel() == 0);
  CHECK(error_text([] { data::text("abc", {.validation = 1.5}); }) ==
        "text: validation is 1.500000; it must be a part of the text, from 0 to 1");
}

TEST_CASE("text: files, and a dataset that is missing") {
  const TemporaryFolder folder;
  const std::string path = folder.write("king-james-bible.txt", "In the beginning");
  CHECK(data::text_file(path).vocabulary.size() == 9);
  const data::TextDataset found = data::king_james_bible({.validation = 0, .folder = folder.path("")});
  CHECK(found.vocabulary.decode(found.train) == "In the beginning");
  CHECK(error_text([&] { data::text_file(folder.path("none")); }, path) == "text_file: none: there is no such file");
  CHECK(error_text([] { data::king_james_bible({.folder = "/nowhere"}); }) ==
        "king_james_bible: there is no king-james-bible.txt in /nowhere; on Debian and Ubuntu, scripts/bootstrap makes "
        "it, as does `bible -f gen1:1-rev22:21 </dev/null | sed 's/^[^ ]* //' > king-james-bible.txt` with the package "
        "bible-kjv; elsewhere, put any copy there, or read another text with text_file");
}

TEST_CASE("windows: contiguous ones go on where the row before ended") {
  const Tensor tokens = arange(20);
  const auto windows = data::contiguous_windows(tokens, {.batch = 3, .length = 4});  // parts of 6: 0, 6, 12
  REQUIRE(windows.size() == 2);
  CHECK(windows[0].inputs.to_vector<int64_t>() == Integers{0, 1, 2, 3, 6, 7, 8, 9, 12, 13, 14, 15});
  CHECK(windows[0].targets.to_vector<int64_t>() == Integers{1, 2, 3, 4, 7, 8, 9, 10, 13, 14, 15, 16});
  CHECK(windows[1].inputs.shape() == Shape{3, 2});
  CHECK(windows[1].inputs.to_vector<int64_t>() == Integers{4, 5, 10, 11, 16, 17});
  CHECK(windows[1].targets.to_vector<int64_t>() == Integers{5, 6, 11, 12, 17, 18});
  CHECK(windows[1].inputs.storage() == tokens.storage());
  CHECK(data::contiguous_windows(arange(3), {.batch = 2}).size() == 1);
  CHECK(error_text([] { data::contiguous_windows(arange(3), {.batch = 3}); }) ==
        "contiguous_windows: there are 3 tokens; there must be more than 3");
  CHECK(error_text([] { data::contiguous_windows(arange(3), {.batch = 0}); }) ==
        "contiguous_windows: batch is 0 and length 64; both must be at least 1");
  CHECK(error_text([] {
          data::contiguous_windows(zeros({3, 2}));
        }) == "contiguous_windows: tokens must be int64 and [n], not float32 and [3, 2]");
}

TEST_CASE("windows: random ones reach every place, and follow from the generator") {
  Generator generator(4), same(4);
  const Tensor tokens = arange(9) * 2;
  std::vector<int> starts(9);
  for (int round = 0; round < 20; ++round) {
    const auto [inputs, targets] = data::random_windows(tokens, {.batch = 5, .length = 3}, generator);
    CHECK(inputs.shape() == Shape{5, 3});
    const auto again = data::random_windows(tokens, {.batch = 5, .length = 3}, same);
    CHECK(again.inputs.to_vector<int64_t>() == inputs.to_vector<int64_t>());
    const Integers x = inputs.to_vector<int64_t>(), y = targets.to_vector<int64_t>();
    for (size_t i = 0; i < x.size(); ++i) {
      CHECK(y[i] == x[i] + 2);
      CHECK(x[i] == x[i / 3 * 3] + 2 * int64_t(i % 3));
    }
    for (size_t row = 0; row < 5; ++row) ++starts[size_t(x[row * 3] / 2)];
  }
  for (size_t start = 0; start < 9; ++start) CHECK((starts[start] > 0) == (start < 6));
  CHECK(error_text([] { data::random_windows(arange(3), {.length = 3}); }) ==
        "random_windows: there are 3 tokens; there must be more than 3");
}
