#include <doctest/doctest.h>
#include <zlib.h>

#include <map>

#include "nn/data.h"
#include "tests/files.h"

using namespace gradus;
using files::error_text, files::TemporaryFolder;

namespace {

// The bytes of an image: its labels, and pixels that count up from `first`.
std::string image(const std::string& labels, int first) {
  std::string record = labels;
  for (int i = 0; i < 3072; ++i) record += char((first + i) & 255);
  return record;
}

// A folder with six training images, two of them in the first file, and one test image.
void write_small_cifar10(const TemporaryFolder& folder) {
  folder.write("cifar/data_batch_1.bin", image("\x03", 0) + image("\x09", 1));
  for (const char number : {'2', '3', '4', '5'})
    folder.write(std::string("cifar/data_batch_") + number + ".bin", image(std::string(1, char(number - '0')), 2));
  folder.write("cifar/test_batch.bin", image("\x01", 255));
}

}  // namespace

TEST_CASE("cifar10: images and labels, from all files in their order") {
  const TemporaryFolder folder;
  write_small_cifar10(folder);
  const auto [train, test] = data::cifar10({.folder = folder.path("cifar"), .flatten = false});
  CHECK(train.inputs.shape() == Shape{6, 3, 32, 32});
  CHECK(train.targets.to_vector<int>() == std::vector<int>{3, 9, 2, 3, 4, 5});
  CHECK(train.inputs.at(0) == 0);
  CHECK(train.inputs.at(51) == double(51 / 255.f));
  CHECK(train.inputs.at(3072) == double(1 / 255.f));
  CHECK(train.inputs.at(6 * 3072 - 1) == double(1 / 255.f));  // (2 + 3071) mod 256
  CHECK(test.targets.item<int>() == 1);
  CHECK(test.inputs.at(0) == 1);
  CHECK(data::cifar10({.folder = folder.path("cifar")}).train.inputs.shape() == Shape{6, 3072});
  CHECK(data::cifar10_classes().size() == 10);
}

TEST_CASE("cifar100: the fine label is the class; files may be compressed") {
  const TemporaryFolder folder;
  folder.write("cifar/train.bin", image("\x13\x63", 0) + image("\x01\x02", 0));
  const std::string path = folder.path("cifar/test.bin.gz"), test = image("\x05\x2a", 7);
  gzFile file = gzopen(path.c_str(), "wb9");
  gzwrite(file, test.data(), unsigned(test.size()));
  gzclose(file);
  const auto split = data::cifar100({.folder = folder.path("cifar")});
  CHECK(split.train.targets.to_vector<int>() == std::vector<int>{99, 2});
  CHECK(split.train.inputs.shape() == Shape{2, 3072});
  CHECK(split.test.targets.item<int>() == 42);
  CHECK(split.test.inputs.at(0) == double(7 / 255.f));

  folder.write("cifar/test.bin.gz", folder.read("cifar/test.bin.gz").substr(0, 100));
  CHECK(error_text([&] { data::cifar100({.folder = folder.path("cifar")}); }, path) ==
        "cifar100: test.bin.gz: the compressed data are corrupt");
}

TEST_CASE("cifar: missing, truncated and damaged files are clean errors") {
  const TemporaryFolder folder;
  const std::string path = folder.path("cifar/data_batch_2.bin");
  const auto error = [&] { return error_text([&] { data::cifar10({.folder = folder.path("cifar")}); }, path); };
  CHECK(error_text([&] { data::cifar10({.folder = folder.path("cifar")}); }, folder.path("cifar")) ==
        "cifar10: there is no data_batch_1.bin[.gz] in cifar; get cifar-10-binary.tar.gz from "
        "https://www.cs.toronto.edu/~kriz/cifar.html, unpack it and pass the folder");
  CHECK(error_text([&] { data::cifar100({.folder = folder.path("cifar")}); }, folder.path("cifar")) ==
        "cifar100: there is no train.bin[.gz] in cifar; get cifar-100-binary.tar.gz from "
        "https://www.cs.toronto.edu/~kriz/cifar.html, unpack it and pass the folder");
  write_small_cifar10(folder);
  CHECK(error() == "no error");
  folder.write("cifar/data_batch_2.bin", image("\x03", 0).substr(0, 3000));
  CHECK(error() ==
        "cifar10: data_batch_2.bin: the file has 3000 bytes, which is not a multiple of the 3073 of an image");
  folder.write("cifar/data_batch_2.bin", "");
  CHECK(error() == "cifar10: data_batch_2.bin: the file has 0 bytes, which is not a multiple of the 3073 of an image");
  folder.write("cifar/data_batch_2.bin", image("\x03", 0) + image("\x0a", 0));
  CHECK(error() == "cifar10: data_batch_2.bin: image 1 has the label 10, but there are 10 classes");
}
