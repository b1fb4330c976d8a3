#include "nn/data.h"

#include <zlib.h>

#include <algorithm>
#include <array>
#include <bit>
#include <cstdlib>
#include <filesystem>
#include <memory>
#include <optional>
#include <span>

#include "core/file.h"
#include "ops/index.h"
#include "ops/view.h"

namespace gradus::data {

int64_t TensorDataset::size(Location where) const {
  const Scope scope("dataset", where);
  if (inputs.dim() == 0 || targets.dim() == 0 || inputs.size(0) != targets.size(0))
    fail("inputs have the shape " + to_string(inputs.shape()) + " and targets " + to_string(targets.shape()) +
         "; the first dimension, the number of examples, must be the same");
  return inputs.size(0);
}

TensorDataset TensorDataset::slice(int64_t start, int64_t end, Location where) const {
  const Scope scope("dataset.slice", where);
  if (start < 0 || start > end || end > size())
    fail("there are no examples " + std::to_string(start) + " to " + std::to_string(end) + " among " +
         std::to_string(size()));
  return {narrow(inputs, 0, start, end - start), narrow(targets, 0, start, end - start)};
}

TensorDataset TensorDataset::subset(const Tensor& index, Location where) const {
  const Scope scope("dataset.subset", where);
  size();
  return {index_select(inputs, 0, index), index_select(targets, 0, index)};
}

std::pair<TensorDataset, TensorDataset> TensorDataset::split(int64_t count, Location where) const {
  const Scope scope("dataset.split", where);
  return {slice(0, count), slice(count, size())};
}

std::string dataset_folder(const std::string& name, const std::string& given) {
  if (!given.empty()) return given;
  const char* data = std::getenv("GRADUS_DATA");
  return (std::filesystem::path(data && *data ? data : "/usr/share/datasets") / name).string();
}

namespace {

// A file compressed by gzip, or a plain one.
class GzipFile {
 public:
  explicit GzipFile(const std::string& path) : path_(path), bytes_(InputFile(path).left()) {
    file_.reset(gzopen(path.c_str(), "rb"), &gzclose);
    if (!file_) fail("cannot be opened");
  }

  void read(void* to, unsigned bytes) const {
    const int count = gzread(file_.get(), to, bytes);
    if (count < 0) fail("the compressed data are corrupt");
    if (unsigned(count) < bytes) fail("the file is truncated");
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
        file.read(chunk.data(), unsigned(size_t(count) * sizeof(From)));
        for (int64_t i = 0; i < count; ++i)
          *to++ = convert<To>(from_big_endian<From>(&chunk[size_t(i) * sizeof(From)]));
        left -= count;
      }
    });
  });
  file.check_at_end();
  return result;
}

// `folder`/`name`, or the same compressed; empty if there is neither.
std::string find_file(const std::filesystem::path& folder, const std::string& name) {
  for (const std::string& candidate : {(folder / name).string(), (folder / (name + ".gz")).string()})
    if (std::filesystem::exists(candidate)) return candidate;
  return {};
}

// The four files that MNIST and its successors consist of.
Split read_mnist(const std::string& name, const ImageOptions& options, const std::string& remedy) {
  const std::string folder = dataset_folder(name, options.folder);
  const auto read = [&](const std::string& file, Dtype dtype, int dims) {
    const std::string path = find_file(folder, file);
    if (path.empty()) fail("there is no " + file + "[.gz] in " + folder + "; " + remedy);
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

}  // namespace

Split fashion_mnist(const ImageOptions& options, Location where) {
  const Scope scope("fashion_mnist", where);
  return read_mnist("fashion-mnist", options,
                    "on Debian and Ubuntu, `apt-get install dataset-fashion-mnist` puts it into /usr/share/datasets; "
                    "elsewhere, get the four files from https://github.com/zalandoresearch/fashion-mnist and pass "
                    "their folder");
}

const std::vector<std::string>& fashion_mnist_classes() {
  static const std::vector<std::string> classes{"T-shirt", "trouser", "pullover", "dress", "coat",
                                                "sandal",  "shirt",   "sneaker",  "bag",   "ankle boot"};
  return classes;
}

Split mnist(const ImageOptions& options, Location where) {
  const Scope scope("mnist", where);
  return read_mnist("mnist", options,
                    "put train-images-idx3-ubyte, train-labels-idx1-ubyte, t10k-images-idx3-ubyte and "
                    "t10k-labels-idx1-ubyte, plain or as .gz, into a folder and pass it");
}

Tensor read_idx(const std::string& path, Location where) {
  const Scope scope("read_idx", where);
  return read_idx_as(path, {});
}

Tensor read_idx(const std::string& path, Dtype dtype, Location where) {
  const Scope scope("read_idx", where);
  return read_idx_as(path, dtype);
}

}  // namespace gradus::data
