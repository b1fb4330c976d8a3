#include "nn/data.h"

#include <doctest/doctest.h>
#include <stdlib.h>
#include <zlib.h>

#include <algorithm>
#include <cmath>

#include "nn/transforms.h"
#include "ops/create.h"
#include "ops/view.h"
#include "tests/files.h"

using namespace gradus;
using namespace std::string_literals;
using files::error_text, files::TemporaryFolder;

namespace {

const auto idx_start = [](int type, std::initializer_list<uint32_t> sizes) {
  std::string text{'\0', '\0', char(type), char(sizes.size())};
  for (const uint32_t size : sizes)
    for (const int shift : {24, 16, 8, 0}) text += char(size >> shift & 255);
  return text;
};

std::string gzip(const TemporaryFolder& folder, const std::string& contents) {
  const std::string path = folder.path("gzip");
  gzFile file = gzopen(path.c_str(), "wb9");
  gzwrite(file, contents.data(), unsigned(contents.size()));
  gzclose(file);
  return folder.read("gzip");
}

// A folder with two training images and one test image of 1 x 2 pixels.
void write_small_mnist(const TemporaryFolder& folder) {
  folder.write("mnist/train-images-idx3-ubyte", idx_start(8, {2, 1, 2}) + "\x00\x33\x66\xff"s);
  folder.write("mnist/train-labels-idx1-ubyte", idx_start(8, {2}) + "\x07\x02");
  folder.write("mnist/t10k-images-idx3-ubyte.gz", gzip(folder, idx_start(8, {1, 1, 2}) + "\xff\x00"s));
  folder.write("mnist/t10k-labels-idx1-ubyte.gz", gzip(folder, idx_start(8, {1}) + "\x09"));
}

class Environment {  // sets or removes a variable until the end of the scope
 public:
  Environment(const char* name, const char* value) : name_(name) {
    if (const char* before = getenv(name)) before_ = before, was_set_ = true;
    value ? setenv(name, value, 1) : unsetenv(name);
  }
  ~Environment() { was_set_ ? setenv(name_, before_.c_str(), 1) : unsetenv(name_); }

 private:
  const char* name_;
  std::string before_;
  bool was_set_ = false;
};

}  // namespace

TEST_CASE("idx: every element type is read") {
  const TemporaryFolder folder;
  const auto read = [&](const std::string& contents) { return data::read_idx(folder.write("x", contents)); };
  for (const auto& [type, values, expected, dtype] :
       {std::tuple(0x08, "\x01\xff"s, std::vector<double>{1, 255}, int64),
        std::tuple(0x09, "\x01\xff"s, std::vector<double>{1, -1}, int64),
        std::tuple(0x0B, "\x01\x02\xff\xfe"s, std::vector<double>{258, -2}, int64),
        std::tuple(0x0C, "\x00\x01\x00\x00\xff\xff\xff\xfe"s, std::vector<double>{65536, -2}, int64),
        std::tuple(0x0D, "\x3f\xc0\x00\x00\xc0\x00\x00\x00"s, std::vector<double>{1.5, -2}, float32),
        std::tuple(0x0E, "\x3f\xf8\0\0\0\0\0\0\xc0\0\0\0\0\0\0\0"s, std::vector<double>{1.5, -2}, float64)}) {
    const Tensor x = read(idx_start(type, {1, 2}) + values);
    CHECK(x.dtype() == dtype);
    CHECK(x.shape() == Shape{1, 2});
    CHECK(x.to_vector<double>() == expected);
  }
  const Tensor converted = data::read_idx(folder.write("x", idx_start(8, {2}) + "\x02\xff"), float32);
  CHECK(converted.dtype() == float32);
  CHECK(converted.to_vector<float>() == std::vector<float>{2, 255});
  CHECK(read(idx_start(8, {0, 5})).shape() == Shape{0, 5});
  CHECK(read(idx_start(8, {}) + "\x05").item<int>() == 5);
}

TEST_CASE("idx: long and compressed files are read whole") {
  const TemporaryFolder folder;
  std::string contents = idx_start(0x0B, {300, 400});
  for (int i = 0; i < 300 * 400; ++i) contents += {char(i % 1000 >> 8), char(i % 1000 & 255)};
  for (const std::string& file : {contents, gzip(folder, contents)}) {
    const std::vector<int> values = data::read_idx(folder.write("x", file)).to_vector<int>();
    int wrong = 0;
    for (int i = 0; i < 300 * 400; ++i) wrong += values[size_t(i)] != i % 1000;
    CHECK(wrong == 0);
  }
}

TEST_CASE("idx: bad files are clean errors") {
  const TemporaryFolder folder;
  const auto error = [&](const std::string& contents) {
    const std::string path = folder.write("x", contents);
    return error_text([&] { data::read_idx(path); }, path);
  };
  CHECK(error("") == "read_idx: x: the file is truncated");
  CHECK(error("\0\0\x08"s) == "read_idx: x: the file is truncated");
  CHECK(error("PNG!") == "read_idx: x: this is not an IDX file");
  CHECK(error("\0\0\x0a\x01"s) == "read_idx: x: this is not an IDX file");
  CHECK(error("\0\0\x08\x09"s) == "read_idx: x: this is not an IDX file");
  CHECK(error("\0\0\x08\x02\0\0\0\x02"s) == "read_idx: x: the file is truncated");
  CHECK(error(idx_start(8, {2, 2}) + "abc") ==
        "read_idx: x: the file is truncated: its header promises 4 bytes of values");
  CHECK(error(idx_start(8, {2, 2}) + "abcde") == "read_idx: x: the file goes on where its header says it ends");
  CHECK(error(idx_start(8, {0xffffffff, 0x7fffffff}) + "abc") ==
        "read_idx: x: the file is truncated: its header promises 9223372030412324865 bytes of values");
  CHECK(error(idx_start(8, {0xffffffff, 0xffffffff, 2}) + "abc") ==
        "read_idx: x: the shape [4294967295, 4294967295, 2] is absurd");
  const std::string compressed = gzip(folder, idx_start(8, {2, 2}) + "abcd");
  CHECK(error(compressed) == "no error");
  CHECK(error(compressed.substr(0, compressed.size() - 9)) == "read_idx: x: the compressed data are corrupt");
  CHECK(error(compressed.substr(0, compressed.size() - 8) + "\1\2\3\4\5\6\7\10") ==
        "read_idx: x: the compressed data are corrupt");  // the checksum
  CHECK(error(compressed.substr(0, 10) + "\xff\xff\xff") == "read_idx: x: the compressed data are corrupt");
  CHECK(error(gzip(folder, idx_start(8, {1000000, 1000000}))) ==
        "read_idx: x: the file is truncated: its header promises 1000000000000 bytes of values");
  CHECK(error(gzip(folder, idx_start(8, {4}) + "abc")) == "read_idx: x: the file is truncated");
  CHECK(error_text([&] { data::read_idx(folder.path("none")); }, folder.path("none")) ==
        "read_idx: none: there is no such file");
}

TEST_CASE("idx: no damaged file does harm") {
  const TemporaryFolder folder;
  const std::string contents = idx_start(0x0B, {2, 3}) + std::string(12, 'x');
  const auto read = [](const std::string& path) { data::read_idx(path); };
  CHECK(files::count_refused(folder, contents, read) > 800);
  CHECK(files::count_refused(folder, gzip(folder, contents), read) > 800);
}

TEST_CASE("mnist: images and labels, flat or not, from a folder or the environment") {
  const TemporaryFolder folder;
  write_small_mnist(folder);
  const auto [train, test] = data::mnist({.folder = folder.path("mnist")});
  CHECK(train.size() == 2);
  CHECK(train.inputs.shape() == Shape{2, 2});
  CHECK(train.inputs.to_vector<float>() == std::vector<float>{0, 0x33 / 255.f, 0x66 / 255.f, 1});
  CHECK(train.targets.to_vector<int>() == std::vector<int>{7, 2});
  CHECK(test.inputs.shape() == Shape{1, 2});
  CHECK(test.targets.item<int>() == 9);

  const Environment environment("GRADUS_DATA", folder.path("").c_str());
  CHECK(data::mnist({.flatten = false}).train.inputs.shape() == Shape{2, 1, 1, 2});
}

TEST_CASE("mnist: what is missing or does not fit together is an error that says what to do") {
  const TemporaryFolder folder;
  const auto error = [&] {
    return error_text([&] { data::mnist({.folder = folder.path("mnist")}); }, folder.path("mnist"));
  };
  CHECK(
      error() ==
      "mnist: there is no train-images-idx3-ubyte[.gz] in mnist; put train-images-idx3-ubyte, train-labels-idx1-ubyte, "
      "t10k-images-idx3-ubyte and t10k-labels-idx1-ubyte, plain or as .gz, into a folder and pass it");
  const Environment environment("GRADUS_DATA", "/nowhere");
  CHECK(error_text([] { data::fashion_mnist(); }) ==
        "fashion_mnist: there is no train-images-idx3-ubyte[.gz] in /nowhere/fashion-mnist; on Debian and Ubuntu, "
        "`apt-get "
        "install dataset-fashion-mnist` puts it into /usr/share/datasets; elsewhere, get the four files from "
        "https://github.com/zalandoresearch/fashion-mnist and pass their folder");
  write_small_mnist(folder);
  folder.write("mnist/train-labels-idx1-ubyte", idx_start(8, {3}) + "\x07\x02\x01");
  CHECK(error() ==
        "dataset: inputs have the shape [2, 2] and targets [3]; the first dimension, the number of examples, must be "
        "the same");
  folder.write("mnist/train-labels-idx1-ubyte", idx_start(8, {1, 3}) + "\x07\x02\x01");
  CHECK(error() == "mnist: mnist/train-labels-idx1-ubyte: the shape is [1, 3] instead of [N]");
}

TEST_CASE("fashion_mnist: the real data are all there") {
  if (!std::filesystem::exists("/usr/share/datasets/fashion-mnist")) {
    MESSAGE("skipped: dataset-fashion-mnist is not installed");
    return;
  }
  const Environment environment("GRADUS_DATA", nullptr);
  const auto [train, test] = data::fashion_mnist();
  CHECK(train.inputs.shape() == Shape{60000, 784});
  CHECK(train.targets.shape() == Shape{60000});
  CHECK(test.inputs.shape() == Shape{10000, 784});
  std::vector<int> counts(10);
  for (const int label : train.targets.to_vector<int>()) ++counts.at(size_t(label));
  CHECK(counts == std::vector<int>(10, 6000));
  double sum = 0, squares = 0;
  for (const float value : train.inputs.to_vector<float>()) sum += value, squares += double(value) * value;
  const double mean = sum / (60000 * 784);
  CHECK(mean == doctest::Approx(0.2860).epsilon(1e-3));  // the published mean and standard deviation
  CHECK(std::sqrt(squares / (60000 * 784) - mean * mean) == doctest::Approx(0.3530).epsilon(1e-3));
  CHECK(data::fashion_mnist_classes().size() == 10);
}

TEST_CASE("csv: numbers, and the column to predict") {
  const TemporaryFolder folder;
  const auto table = data::read_csv(folder.write("x.csv",
                                                 "\xEF\xBB\xBF"
                                                 "a,\"b, too\",y\r\n1,2.5,-1e2\r\n\r\n +3 ,.5,\"7\"\r\n"));
  CHECK(table.columns == std::vector<std::string>{"a", "b, too"});
  CHECK(table.inputs.shape() == Shape{2, 2});
  CHECK(table.inputs.to_vector<float>() == std::vector<float>{1, 2.5, 3, .5});
  CHECK(table.targets.dtype() == float32);
  CHECK(table.targets.to_vector<float>() == std::vector<float>{-100, 7});

  const auto first =
      data::read_csv(folder.write("x.csv", "5;1;2\n6;3;4"), {.header = false, .separator = ';', .target = 0});
  CHECK(first.columns.empty());
  CHECK(first.inputs.to_vector<float>() == std::vector<float>{1, 2, 3, 4});
  CHECK(first.targets.to_vector<float>() == std::vector<float>{5, 6});
  CHECK(data::read_csv(folder.write("x.csv", "a,b\n")).inputs.shape() == Shape{0, 1});
}

TEST_CASE("csv: classes by number or by name") {
  const TemporaryFolder folder;
  const auto numbers = data::read_csv(folder.write("x.csv", "x,y\n1,10\n2,2\n"), {.classes = true});
  CHECK(numbers.targets.dtype() == int64);
  CHECK(numbers.targets.to_vector<int>() == std::vector<int>{10, 2});
  CHECK(numbers.classes.empty());
  const auto names =
      data::read_csv(folder.write("x.csv", "x,y\n1,rose\n2,\"li\"\"ly\"\n3,rose\n4,2\n"), {.classes = true});
  CHECK(names.classes == std::vector<std::string>{"2", "li\"ly", "rose"});
  CHECK(names.targets.to_vector<int>() == std::vector<int>{2, 1, 2, 0});
}

TEST_CASE("csv: no damaged file does harm") {
  const TemporaryFolder folder;
  const auto read = [](const std::string& path) { data::read_csv(path, {.classes = true}); };
  CHECK(files::count_refused(folder, "a,\"b\",c\r\n1,2.5,x\n3,4e2,\"y \"\"z\"\n5,6,x\n", read) > 500);
}

TEST_CASE("csv: bad files are errors that name the line") {
  const TemporaryFolder folder;
  const auto error = [&](const std::string& contents, const data::CsvOptions& options = {}) {
    const std::string path = folder.write("x.csv", contents);
    return error_text([&] { data::read_csv(path, options); }, path);
  };
  CHECK(error("") == "read_csv: x.csv: the file is empty");
  CHECK(error("\n\n") == "read_csv: x.csv: the file is empty");
  CHECK(error("a,b\n1,2\n\n1,two\n") == "read_csv: x.csv: line 4: \"two\" in column 1 is not a number");
  CHECK(error("a,b\n1,\n") == "read_csv: x.csv: line 2: \"\" in column 1 is not a number");
  CHECK(error("a,b\n1 2,3\n") == "read_csv: x.csv: line 2: \"1 2\" in column 0 is not a number");
  CHECK(error("a,b\n1e40,3\n") == "read_csv: x.csv: line 2: 1e40 in column 0 does not fit a float32");
  CHECK(error("a,b\n1,2,3\n") == "read_csv: x.csv: line 2: 3 fields, but the first line has 2");
  CHECK(error("a,b\n\"1\n2,3\n") == "read_csv: x.csv: line 2: a quote is not closed");
  CHECK(error("a,b\n1,2\n", {.target = 2}) == "read_csv: x.csv: there is no column 2 among 2");
  CHECK(error("a,b\n1,2\n", {.target = -3}) == "read_csv: x.csv: there is no column -3 among 2");
}

TEST_CASE("dataset: slices, subsets and splits") {
  const data::TensorDataset dataset{reshape(arange(12), {6, 2}), arange(6)};
  CHECK(dataset.size() == 6);
  const auto [first, rest] = dataset.split(4);
  CHECK(first.inputs.shape() == Shape{4, 2});
  CHECK(rest.targets.to_vector<int>() == std::vector<int>{4, 5});
  CHECK(rest.inputs.storage().get() == dataset.inputs.storage().get());
  const data::TensorDataset some = dataset.subset(tensor({5, 0, 5}, int64));
  CHECK(some.inputs.to_vector<int>() == std::vector<int>{10, 11, 0, 1, 10, 11});
  CHECK(some.targets.to_vector<int>() == std::vector<int>{5, 0, 5});
  CHECK(error_text([&] { dataset.split(7); }) == "dataset.slice: there are no examples 0 to 7 among 6");
  CHECK(error_text([&] { dataset.slice(-1, 2); }) == "dataset.slice: there are no examples -1 to 2 among 6");
  CHECK(error_text([] {
          data::TensorDataset{ones({3, 2}), ones({2})}.size();
        }) ==
        "dataset: inputs have the shape [3, 2] and targets [2]; the first dimension, the number of examples, must be "
        "the same");
}

TEST_CASE("random_split: every example is in one part, and the seed says in which") {
  const data::TensorDataset dataset{reshape(arange(20), {10, 2}), arange(10)};
  Generator generator(3), same(3);
  const auto [train, validation] = data::random_split(dataset, {0.7, 0.3}, generator);
  CHECK(train.size() == 7);
  CHECK(validation.size() == 3);
  std::vector<int> all = train.targets.to_vector<int>();
  CHECK(train.inputs.at(0) == 2 * all[0]);
  for (const int number : validation.targets.to_vector<int>()) all.push_back(number);
  CHECK(all != arange(10).to_vector<int>());
  CHECK(data::random_split(dataset, {7, 3}, same)[0].targets.to_vector<int>() == train.targets.to_vector<int>());
  std::sort(all.begin(), all.end());
  CHECK(all == arange(10).to_vector<int>());

  const auto sizes = [&](const std::vector<double>& lengths) {
    std::vector<int64_t> result;
    for (const data::TensorDataset& part : data::random_split(dataset, lengths)) result.push_back(part.size());
    return result;
  };
  CHECK(sizes({0.25, 0.25, 0.5}) == std::vector<int64_t>{3, 2, 5});  // what is left over goes to the first ones
  CHECK(sizes({1. / 3, 1. / 3, 1. / 3}) == std::vector<int64_t>{4, 3, 3});
  CHECK(sizes({0, 10}) == std::vector<int64_t>{0, 10});
  CHECK(sizes({1}) == std::vector<int64_t>{10});
  const auto error = [&](const std::vector<double>& lengths) { return error_text([&] { sizes(lengths); }); };
  CHECK(error({5, 4}) == "random_split: the lengths add up to 9, but there are 10 examples");
  CHECK(error({}) == "random_split: the lengths add up to 0, but there are 10 examples");
  CHECK(error({2.5, 7.5}) == "random_split: a part cannot have the length 2.500000");
  CHECK(error({-1, 11}) == "random_split: a part cannot have the length -1.000000");
  CHECK(error({NAN, 10}) == "random_split: a part cannot have the length nan");
}

TEST_CASE("transforms: normalize works by channel or on everything") {
  Generator generator;
  const Tensor images = reshape(arange(0, 8, 1, float32), {1, 2, 2, 2});
  const auto by_channel = data::normalize(tensor({1, 2}), tensor({1, 2}));
  CHECK(by_channel(images, generator).to_vector<float>() == std::vector<float>{-1, 0, 1, 2, 1, 1.5, 2, 2.5});
  const auto same = data::normalize(Tensor(1), Tensor(2));
  CHECK(same(tensor({{3, 5}}), generator).to_vector<float>() == std::vector<float>{1, 2});
  CHECK(
      error_text([] {
        data::normalize(tensor({1, 2}), tensor({1}));
      }) ==
      "normalize: mean and std must be numbers, or have one value for each channel, but their shapes are [2] and [1]");
}

TEST_CASE("transforms: random_crop shifts each image and fills in zeros") {
  Generator generator(1);
  const Tensor images = expand(reshape(arange(1, 13, 1, float32), {1, 1, 3, 4}), {200, 1, 3, 4});
  const Tensor moved = data::random_crop(1)(images, generator);
  std::vector<int> seen(9);
  for (int64_t i = 0; i < 200; ++i) {
    const std::vector<int> image = select(moved, 0, i).to_vector<int>();
    int matches = 0;
    for (int down = -1; down <= 1; ++down)
      for (int right = -1; right <= 1; ++right) {
        bool same = true;
        for (int y = 0; y < 3; ++y)
          for (int x = 0; x < 4; ++x) {
            const bool inside = y + down >= 0 && y + down < 3 && x + right >= 0 && x + right < 4;
            same &= image[size_t(y * 4 + x)] == (inside ? (y + down) * 4 + x + right + 1 : 0);
          }
        matches += same;
        seen[size_t((down + 1) * 3 + right + 1)] += same;
      }
    CHECK(matches == 1);
  }
  for (const int count : seen) CHECK(count > 8);  // about 22 of each
  CHECK(error_text([] { data::random_crop(-1); }) == "random_crop: a padding of -1 pixels is not possible");
  CHECK(error_text([&] {
          data::random_crop(1)(ones({3, 4}), generator);
        }) == "random_crop: the inputs must be images of shape [N, C, H, W], but their shape is [3, 4]");
}

TEST_CASE("transforms: random_horizontal_flip mirrors some images") {
  Generator generator(1);
  const Tensor images = expand(reshape(arange(6), {1, 2, 1, 3}), {300, 2, 1, 3});
  const Tensor mirrored = data::random_horizontal_flip(0.25)(images, generator);
  int flipped = 0;
  for (int64_t i = 0; i < 300; ++i) {
    const std::vector<int> image = select(mirrored, 0, i).to_vector<int>();
    const bool is_flipped = image == std::vector<int>{2, 1, 0, 5, 4, 3};
    CHECK((is_flipped || image == std::vector<int>{0, 1, 2, 3, 4, 5}));
    flipped += is_flipped;
  }
  CHECK(flipped > 45);
  CHECK(flipped < 105);
  CHECK(error_text([] { data::random_horizontal_flip(1.5); }) ==
        "random_horizontal_flip: p must be a probability from 0 to 1, but it is 1.500000");
}
