#pragma once
// Datasets in memory, and the file formats they come in.

#include <array>
#include <optional>
#include <string>
#include <utility>
#include <vector>

#include "core/random.h"
#include "core/tensor.h"

namespace gradus::data {

/// Examples in memory: row i of `inputs` goes with row i of `targets`. A batch is one, too.
struct TensorDataset {
  Tensor inputs;   ///< [N, ...]
  Tensor targets;  ///< [N, ...]

  /// The number of examples N; fails if inputs and targets disagree.
  int64_t size(Location where = Location::here()) const;
  /// The examples from `start` up to, but without, `end`: views of the same memory.
  TensorDataset slice(int64_t start, int64_t end, Location where = Location::here()) const;
  /// A copy of the examples whose numbers `index` lists (int64, [M]): `dataset.subset(randperm(dataset.size()))`.
  TensorDataset subset(const Tensor& index, Location where = Location::here()) const;
  /// The first `count` examples, and the rest: views of the same memory.
  std::pair<TensorDataset, TensorDataset> split(int64_t count, Location where = Location::here()) const;
};

/// The examples dealt out at random into parts, each a copy; every example is in one of them. The lengths are numbers
/// of examples that add up to all of them, or fractions that add up to 1; what these leave over when they are rounded
/// down goes to the first parts, one each.
std::vector<TensorDataset> random_split(const TensorDataset& dataset, const std::vector<double>& lengths,
                                        Generator& generator = default_generator(), Location where = Location::here());
/// The same for a fixed number of parts: `auto [train, validation] = data::random_split(examples, {0.9, 0.1});`
template <class Number, size_t N> std::array<TensorDataset, N> random_split(const TensorDataset& dataset,
                                                                            const Number (&lengths)[N],
                                                                            Generator& generator = default_generator(),
                                                                            Location where = Location::here()) {
  std::array<TensorDataset, N> parts;
  std::vector<TensorDataset> list = random_split(dataset, std::vector<double>(lengths, lengths + N), generator, where);
  std::move(list.begin(), list.end(), parts.begin());
  return parts;
}

struct Split {
  TensorDataset train, test;
};

/// The folder `given`, or if that is empty, the folder `name` in $GRADUS_DATA, or else in /usr/share/datasets, where
/// Debian's packages put them.
std::string dataset_folder(const std::string& name, const std::string& given);

struct ImageOptions {
  /// The folder with the files. Empty: the dataset's folder in $GRADUS_DATA, or else in /usr/share/datasets.
  std::string folder = {};
  bool flatten = true;  ///< images as rows [N, C * H * W] for linear layers, or as [N, C, H, W] for convolutions
};

/// Fashion-MNIST (Xiao et al. 2017): 60,000 training and 10,000 test images of clothes, 28 x 28, float32 from 0 to 1,
/// and their classes (int64, [N]). Fails with where to get the files if they are missing.
Split fashion_mnist(const ImageOptions& options = {}, Location where = Location::here());
/// What the ten classes of Fashion-MNIST are called.
const std::vector<std::string>& fashion_mnist_classes();
/// MNIST (LeCun et al. 1998): handwritten digits, in the same form.
Split mnist(const ImageOptions& options = {}, Location where = Location::here());

/// CIFAR-10 (Krizhevsky 2009): 50,000 training and 10,000 test images of ten kinds of animals and vehicles, 3 x 32 x
/// 32, float32 from 0 to 1, and their classes (int64, [N]). The files are those of the "binary version".
Split cifar10(const ImageOptions& options = {}, Location where = Location::here());
/// What the ten classes of CIFAR-10 are called.
const std::vector<std::string>& cifar10_classes();
/// CIFAR-100: the same with a hundred classes (the "fine" ones).
Split cifar100(const ImageOptions& options = {}, Location where = Location::here());

/// Reads an IDX file, plain or compressed by gzip, as a tensor of the shape that the file names. The values become
/// `dtype`; without one, integers become int64. Format: http://yann.lecun.com/exdb/mnist
Tensor read_idx(const std::string& path, std::optional<Dtype> dtype = {}, Location where = Location::here());

struct CsvOptions {
  bool header = true;  ///< the first line names the columns
  char separator = ',';
  int64_t target = -1;   ///< the column to predict, counted from 0; negative: from the last
  bool classes = false;  ///< the target is a class: a number from 0 up, or a name
};

struct CsvDataset : TensorDataset {
  std::vector<std::string> columns;  ///< the names of the input columns; empty without a header
  std::vector<std::string> classes;  ///< the class names in the order of their numbers; empty if the file has numbers
};

/// Reads a table of numbers: `inputs` [N, columns - 1] (float32) and `targets` [N] (float32, or int64 if these are
/// classes; classes with names are numbered in alphabetical order). Fields may be quoted (RFC 4180). A field that is
/// not a number, and a line with too few or too many fields, is an error that names its line.
CsvDataset read_csv(const std::string& path, const CsvOptions& options = {}, Location where = Location::here());

}  // namespace gradus::data
