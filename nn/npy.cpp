#include "nn/npy.h"

#include <algorithm>
#include <bit>
#include <charconv>
#include <string_view>
#include <vector>

#include "core/file.h"
#include "ops/view.h"

namespace gradus {
namespace {

static_assert(std::endian::native == std::endian::little, "values are read and written as they lie in memory");

constexpr std::string_view magic = "\x93NUMPY";
constexpr uint32_t max_header_bytes = 10000;  // as in NumPy

// The header is a Python dictionary: {'descr': '<f4', 'fortran_order': False, 'shape': (3, 4), }
struct Header {
  std::string descr;
  bool fortran_order;  // columns first
  Shape shape;
};

Header read_header(InputFile& file) {
  uint8_t start[8] = {};  // the magic word and the version
  file.read(start, std::min<uint64_t>(sizeof start, file.left()));
  if (!std::equal(magic.begin(), magic.end(), start, [](char a, uint8_t b) { return uint8_t(a) == b; }) ||
      start[6] < 1 || start[6] > 3)
    file.fail("this is not an .npy file of version 1, 2 or 3");
  uint32_t header_bytes = 0;
  file.read(&header_bytes, start[6] == 1 ? 2 : 4);
  if (header_bytes > max_header_bytes)
    file.fail("the header would have " + std::to_string(header_bytes) + " bytes; at most 10000 are read");
  std::string text(header_bytes, '\0');
  file.read(text.data(), text.size());
  std::erase(text, ' ');

  const auto between = [&](std::string_view open, char close) {
    const size_t at = text.find(open), end = at == text.npos ? at : text.find(close, at + open.size());
    if (end == text.npos) file.fail("the header has no " + std::string(open) + "..." + close);
    return text.substr(at + open.size(), end - at - open.size());
  };
  Header header{between("'descr':'", '\''), between("'fortran_order':", 'e') == "Tru", {}};
  const std::string sizes = between("'shape':(", ')');
  const char* at = sizes.data();
  const char* const end = at + sizes.size();
  while (at < end) {
    int64_t size = -1;
    const auto [next, error] = std::from_chars(at, end, size);
    if (error != std::errc() || size < 0 || (next < end && *next != ','))
      file.fail("the shape (" + sizes + ") is not a list of sizes");
    header.shape.push_back(size);
    at = next < end ? next + 1 : end;
  }
  return header;
}

template <class From, class To = From> Tensor read_values(InputFile& file, const Shape& shape) {
  uint64_t bytes = sizeof(From);
  bool overflow = false;
  for (const int64_t size : shape) overflow |= __builtin_mul_overflow(bytes, uint64_t(size), &bytes);
  if (overflow || bytes != file.left())
    file.fail("the shape " + to_string(shape) + " does not fit the " + std::to_string(file.left()) +
              " bytes that follow the header");
  Tensor values = Tensor::empty(shape, dtype_of<To>());
  To* to = values.mutable_data<To>();
  if constexpr (std::is_same_v<From, To>) {
    file.read(to, bytes);
  } else {
    std::vector<From> from(size_t(values.numel()));
    file.read(from.data(), bytes);
    std::transform(from.begin(), from.end(), to, convert<To, From>);
  }
  return values;
}

Tensor read_values(InputFile& file, const std::string& descr, const Shape& shape) {
  if (descr == "<f4") return read_values<float>(file, shape);
  if (descr == "<f8") return read_values<double>(file, shape);
  if (descr == "<i8") return read_values<int64_t>(file, shape);
  if (descr == "<i4") return read_values<int32_t, int64_t>(file, shape);
  if (descr == "<i2") return read_values<int16_t, int64_t>(file, shape);
  if (descr == "|i1") return read_values<int8_t, int64_t>(file, shape);
  if (descr == "<u4") return read_values<uint32_t, int64_t>(file, shape);
  if (descr == "<u2") return read_values<uint16_t, int64_t>(file, shape);
  if (descr == "|u1") return read_values<uint8_t, int64_t>(file, shape);
  if (descr == "|b1") return read_values<uint8_t, bool>(file, shape);
  file.fail("the values are '" + descr + "'; only little-endian f4, f8, i1 to i8, u1 to u4 and b1 can be read");
}

std::string descr_of(Dtype dtype) {
  switch (dtype) {
    case float32: return "<f4";
    case float64: return "<f8";
    case int64: return "<i8";
    case boolean: return "|b1";
    case bfloat16: break;
  }
  fail("NumPy has no bfloat16; convert the tensor first, with to(x, float32)");
}

}  // namespace

Tensor load_npy(const std::string& path, Location where) {
  const Scope scope("load_npy", where);
  InputFile file(path);
  const Header header = read_header(file);
  if (!header.fortran_order) return read_values(file, header.descr, header.shape);
  Shape reversed = header.shape;
  std::reverse(&reversed[0], &reversed[0] + reversed.dim());
  const Tensor values = read_values(file, header.descr, reversed);
  Strides strides = values.strides();
  std::reverse(&strides[0], &strides[0] + strides.dim());
  return contiguous(values.alias(header.shape, strides, 0));
}

void save_npy(const std::string& path, const Tensor& tensor, Location where) {
  const Scope scope("save_npy", where);
  std::string sizes;
  for (const int64_t size : tensor.shape()) sizes += std::to_string(size) + ", ";
  if (tensor.dim() > 1) sizes.resize(sizes.size() - 2);
  std::string header =
      "{'descr': '" + descr_of(tensor.dtype()) + "', 'fortran_order': False, 'shape': (" + sizes + "), }";
  header.resize((10 + header.size() + 1 + 63) / 64 * 64 - 10 - 1, ' ');  // the values start at a multiple of 64 bytes
  header += '\n';

  OutputFile file(path);
  file.write(magic);
  file.write(std::string_view("\x01\x00", 2));
  const auto header_bytes = uint16_t(header.size());
  file.write(&header_bytes, sizeof header_bytes);
  file.write(header);
  const Tensor values = contiguous(tensor.copied_to(Device::cpu()));
  visit(values.dtype(), [&]<class T>() { file.write(values.data<T>(), uint64_t(values.numel()) * sizeof(T)); });
  file.commit();
}

}  // namespace gradus
