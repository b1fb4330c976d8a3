// The readers of image datasets: IDX (MNIST and its successors) and CIFAR.

#include <zlib.h>

#include <algorithm>
#include <array>
#include <bit>
#include <filesystem>
#include <memory>
#include <span>

#include "core/file.h"
#include "nn/data.h"
#include "ops/view.h"

namespace gradus::data {
namespace {

// A file compressed by gzip, or a plain one.
class GzipFile {
 public:
  explicit GzipFile(const std::string& path) : path_(path), bytes_(InputFile(path).left()) {
    file_.reset(gzopen(path.c_str(), "rb"), &gzclose);
    if (!file_) fail("cannot be opened");
  }

  void read(void* to, size_t bytes) const {
    if (take(to, bytes) < bytes) fail("the file is truncated");
  }

  // All that is left.
  std::string read_text() const {
    std::string text;
    std::vector<char> chunk(size_t(1) << 16);
    while (const size_t count = take(chunk.data(), chunk.size())) text.append(chunk.data(), count);
    check_at_end();
    return text;
  }

  // Fails unless the file can hold `bytes` more; deflate compresses to a 1032nd at best.
  void check_holds(uint64_t bytes) const {
    const uint64_t most = gzdirect(file_.get()) ? bytes_ - uint64_t(gztell(file_.get())) : bytes_ * 1032;
    if (bytes > most) fail("the file is truncated: its header promises " + std::to_string(bytes) + " bytes of values");
  }

  void check_at_end() const {
    char more;
    int error = Z_OK;
    const int count = gzread(file_.get(), &more, 1);
    gzerror(file_.get(), &error);
    if (count < 0 || error != Z_OK) fail("the compressed data are corrupt");
    if (count > 0) fail("the file goes on where its header says it ends");
  }

  [[noreturn]] void fail(const std::string& message) const { gradus::fail(path_ + ": " + message); }

 private:
  size_t take(void* to, size_t bytes) const {
    const int count = gzread(file_.get(), to, unsigned(bytes));
    if (count < 0) fail("the compressed data are corrupt");
    return size_t(count);
  }

  std::string path_;
  uint64_t bytes_;
  std::shared_ptr<gzFile_s> file_;
};

template <class T> T from_big_endian(const uint8_t* bytes) {
  std::array<uint8_t, sizeof(T)> reversed;
  std::reverse_copy(bytes, bytes + sizeof(T), reversed.begin());
  return std::bit_cast<T>(reversed);
}

// Calls f.operator()<T>() with the C++ type of an IDX element type; false if there is no such type.
template <class F> bool visit_element(uint8_t type, F&& f) {
  switch (type) {
    case 0x08: return f.template operator()<uint8_t>(), true;
    case 0x09: return f.template operator()<int8_t>(), true;
    case 0x0B: return f.template operator()<int16_t>(), true;
    case 0x0C: return f.template operator()<int32_t>(), true;
    case 0x0D: return f.template operator()<float>(), true;
    case 0x0E: return f.template operator()<double>(), true;
    default: return false;
  }
}

// Two zero bytes, the element type, the number of dimensions, their sizes, the values; all big-endian.
Tensor read_idx_as(const std::string& path, std::optional<Dtype> dtype) {
  const GzipFile file(path);
  uint8_t magic[4];
  file.read(magic, sizeof magic);
  Dtype own_dtype = float32;
  uint64_t bytes = 0;
  const bool known = visit_element(magic[2], [&]<class T>() {
    own_dtype = dtype_of<T>();
    bytes = sizeof(T);
  });
  if (magic[0] != 0 || magic[1] != 0 || !known || magic[3] > Shape::max_dims) file.fail("this is not an IDX file");
  Shape shape;
  for (int i = 0; i < magic[3]; ++i) {
    uint8_t size[4];
    file.read(size, sizeof size);
    shape.push_back(from_big_endian<uint32_t>(size));
    if (__builtin_mul_overflow(bytes, uint64_t(shape.back()), &bytes))
      file.fail("the shape " + to_string(shape) + " is absurd");
  }
  file.check_holds(bytes);
  Tensor result = Tensor::empty(shape, dtype.value_or(own_dtype));
  visit_element(magic[2], [&]<class From>() {
    visit(result.dtype(), [&]<class To>() {
      To* to = result.mutable_data<To>();
      std::vector<uint8_t> chunk(size_t(1) << 16);
      for (int64_t left = result.numel(); left > 0;) {
        const int64_t count = std::min(left, int64_t(chunk.size() / sizeof(From)));
        file.read(chunk.data(), size_t(count) * sizeof(From));
        for (int64_t i = 0; i < count; ++i)
          *to++ = convert<To>(from_big_endian<From>(&chunk[size_t(i) * sizeof(From)]));
        left -= count;
      }
    });
  });
  file.check_at_end();
  return result;
}

// The files of a dataset, plain or compressed, in the folder of the options or else where datasets are kept.
class Folder {
 public:
  Folder(const char* name, const ImageOptions& options, std::string remedy)
      : folder_(dataset_folder(name, options.folder)), remedy_(std::move(remedy)) {}

  std::string path(const std::string& file) const {
    for (const std::string& candidate : {(folder_ / file).string(), (folder_ / (file + ".gz")).string()})
      if (std::filesystem::exists(candidate)) return candidate;
    fail("there is no " + file + "[.gz] in " + folder_.string() + "; " + remedy_);
  }

 private:
  std::filesystem::path folder_;
  std::string remedy_;
};

// The four files that MNIST and its successors consist of.
Split read_mnist(const Folder& folder, const ImageOptions& options) {
  const auto read = [&](const std::string& file, Dtype dtype, int dims) {
    const std::string path = folder.path(file);
    const Tensor values = read_idx_as(path, dtype);
    if (values.dim() != dims)
      fail(path + ": the shape is " + to_string(values.shape()) + " instead of " + (dims == 1 ? "[N]" : "[N, H, W]"));
    return values;
  };
  const auto dataset = [&](const std::string& prefix) {
    Tensor images = read(prefix + "-images-idx3-ubyte", float32, 3);
    for (float& value : std::span(images.mutable_data<float>(), size_t(images.numel()))) value /= 255;
    const Tensor labels = read(prefix + "-labels-idx1-ubyte", int64, 1);
    const TensorDataset result{options.flatten ? flatten(images, 1) : unsqueeze(images, 1), labels};
    result.size();
    return result;
  };
  return {dataset("train"), dataset("t10k")};
}

// Files of CIFAR: for each image the bytes of its labels, the last of which counts, and of its pixels, [3, 32, 32].
TensorDataset read_cifar(const std::vector<std::string>& paths, size_t labels, int classes,
                         const ImageOptions& options) {
  constexpr size_t pixels = 3 * 32 * 32;
  std::vector<std::string> files;
  int64_t count = 0;
  for (const std::string& path : paths) {
    files.push_back(GzipFile(path).read_text());
    if (files.back().empty() || files.back().size() % (labels + pixels) != 0)
      fail(path + ": the file has " + std::to_string(files.back().size()) + " bytes, which is not a multiple of the " +
           std::to_string(labels + pixels) + " of an image");
    count += int64_t(files.back().size() / (labels + pixels));
  }
  const TensorDataset result{Tensor::empty({count, 3, 32, 32}), Tensor::empty({count}, int64)};
  float* image = Tensor(result.inputs).mutable_data<float>();
  int64_t* target = Tensor(result.targets).mutable_data<int64_t>();
  for (size_t i = 0; i < files.size(); ++i)
    for (size_t at = 0; at < files[i].size(); at += labels + pixels) {
      const auto* record = reinterpret_cast<const uint8_t*>(files[i].data()) + at;
      *target = record[labels - 1];
      if (*target >= classes)
        fail(paths[i] + ": image " + std::to_string(at / (labels + pixels)) + " has the label " +
             std::to_string(*target) + ", but there are " + std::to_string(classes) + " classes");
      ++target;
      image =
          std::transform(record + labels, record + labels + pixels, image, [](uint8_t x) { return float(x) / 255; });
    }
  return {options.flatten ? flatten(result.inputs, 1) : result.inputs, result.targets};
}

}  // namespace

Split fashion_mnist(const ImageOptions& options, Location where) {
  const Scope scope("fashion_mnist", where);
  const Folder folder("fashion-mnist", options,
                      "on Debian and Ubuntu, `apt-get install dataset-fashion-mnist` puts it into /usr/share/datasets; "
                      "elsewhere, get the four files from https://github.com/zalandoresearch/fashion-mnist and pass "
                      "their folder");
  return read_mnist(folder, options);
}

const std::vector<std::string>& fashion_mnist_classes() {
  static const std::vector<std::string> classes{"T-shirt", "trouser", "pullover", "dress", "coat",
                                                "sandal",  "shirt",   "sneaker",  "bag",   "ankle boot"};
  return classes;
}

Split mnist(const ImageOptions& options, Location where) {
  const Scope scope("mnist", where);
  const Folder folder("mnist", options,
                      "put train-images-idx3-ubyte, train-labels-idx1-ubyte, t10k-images-idx3-ubyte and "
                      "t10k-labels-idx1-ubyte, plain or as .gz, into a folder and pass it");
  return read_mnist(folder, options);
}

Split cifar10(const ImageOptions& options, Location where) {
  const Scope scope("cifar10", where);
  const Folder folder("cifar-10-batches-bin", options,
                      "get cifar-10-binary.tar.gz from https://www.cs.toronto.edu/~kriz/cifar.html, unpack it and pass "
                      "the folder");
  std::vector<std::string> train;
  for (int i = 1; i <= 5; ++i) train.push_back(folder.path("data_batch_" + std::to_string(i) + ".bin"));
  return {read_cifar(train, 1, 10, options), read_cifar({folder.path("test_batch.bin")}, 1, 10, options)};
}

const std::vector<std::string>& cifar10_classes() {
  static const std::vector<std::string> classes{"airplane", "automobile", "bird",  "cat",  "deer",
                                                "dog",      "frog",       "horse", "ship", "truck"};
  return classes;
}

Split cifar100(const ImageOptions& options, Location where) {
  const Scope scope("cifar100", where);
  const Folder folder("cifar-100-binary", options,
                      "get cifar-100-binary.tar.gz from https://www.cs.toronto.edu/~kriz/cifar.html, unpack it and "
                      "pass the folder");
  return {read_cifar({folder.path("train.bin")}, 2, 100, options),
          read_cifar({folder.path("test.bin")}, 2, 100, options)};
}

Tensor read_idx(const std::string& path, std::optional<Dtype> dtype, Location where) {
  const Scope scope("read_idx", where);
  return read_idx_as(path, dtype);
}

}  // namespace gradus::data
