#include "nn/safetensors.h"

#include <algorithm>
#include <array>
#include <bit>
#include <cstdint>
#include <nlohmann/json.hpp>
#include <set>
#include <vector>

#include "core/file.h"
#include "ops/view.h"

namespace gradus {
namespace {

static_assert(std::endian::native == std::endian::little, "tensors are read and written as they lie in memory");

constexpr uint64_t max_header_bytes = 100'000'000;
constexpr std::array<const char*, 5> dtype_names{"F32", "F64", "BF16", "I64", "BOOL"};  // in the order of Dtype

// One row of the header.
struct Entry {
  std::string name;
  Dtype dtype = float32;
  Shape shape = {};
  uint64_t begin = 0, end = 0;  // where the values lie behind the header
};

// Parses the header; JSON allows a key twice, safetensors does not.
nlohmann::json parse_header(const InputFile& file, const std::string& text) {
  std::set<std::string> keys;
  std::string repeated;
  const auto check_key = [&](int depth, nlohmann::json::parse_event_t event, nlohmann::json& value) {
    if (event == nlohmann::json::parse_event_t::key && depth == 1 && !keys.insert(value.get<std::string>()).second)
      repeated = value.get<std::string>();
    return true;
  };
  const auto header = nlohmann::json::parse(text, check_key, /*allow_exceptions=*/false);
  if (text.empty() || text[0] != '{' || header.is_discarded()) file.fail("the header is not a JSON object");
  if (!repeated.empty()) file.fail("the name " + repeated + " occurs twice");
  return header;
}

Entry parse_entry(const InputFile& file, const std::string& name, const nlohmann::json& value) {
  const auto reject = [&](const std::string& message) { file.fail("tensor " + name + ' ' + message); };
  const auto is_size = [](const nlohmann::json& number) {
    return number.is_number_unsigned() && number.get<uint64_t>() <= uint64_t(INT64_MAX);
  };
  const auto is_sizes = [&](const nlohmann::json& list) {
    return list.is_array() && std::all_of(list.begin(), list.end(), is_size);
  };
  if (!value.is_object() || value.size() != 3 || !value.contains("dtype") || !value["dtype"].is_string() ||
      !value.contains("shape") || !is_sizes(value["shape"]) || !value.contains("data_offsets") ||
      !is_sizes(value["data_offsets"]) || value["data_offsets"].size() != 2)
    reject("is not described by a dtype, a shape and two data_offsets");
  Entry entry{.name = name, .begin = value["data_offsets"][0], .end = value["data_offsets"][1]};

  const std::string dtype = value["dtype"];
  const auto known = std::find(dtype_names.begin(), dtype_names.end(), dtype);
  if (known == dtype_names.end()) reject("is " + dtype + "; only F32, F64, BF16, I64 and BOOL can be read");
  entry.dtype = Dtype(known - dtype_names.begin());

  uint64_t bytes = item_size(entry.dtype);
  bool overflow = false;
  if (value["shape"].size() > Shape::max_dims)
    reject("has " + std::to_string(value["shape"].size()) + " dimensions; at most 8 can be read");
  for (const int64_t size : value["shape"]) {
    entry.shape.push_back(size);
    overflow |= __builtin_mul_overflow(bytes, uint64_t(size), &bytes);
  }
  if (overflow || entry.begin > entry.end || entry.end - entry.begin != bytes)
    reject("has the shape " + to_string(entry.shape) + ", which does not fit its data_offsets [" +
           std::to_string(entry.begin) + ", " + std::to_string(entry.end) + ']');
  return entry;
}

}  // namespace

TensorFile load_safetensors(const std::string& path, Location where) {
  const Scope scope("load_safetensors", where);
  InputFile file(path);
  uint64_t header_bytes = 0;
  file.read(&header_bytes, sizeof header_bytes);
  if (header_bytes > std::min(max_header_bytes, file.left()))
    file.fail("this is not a safetensors file, or it is truncated: its header would have " +
              std::to_string(header_bytes) + " bytes");
  std::string text(header_bytes, '\0');
  file.read(text.data(), text.size());
  const nlohmann::json header = parse_header(file, text);

  TensorFile result;
  std::vector<Entry> entries;
  for (const auto& [name, value] : header.items()) {
    if (name != "__metadata__") {
      entries.push_back(parse_entry(file, name, value));
      continue;
    }
    if (!value.is_object()) file.fail("__metadata__ is not a list of texts by name");
    for (const auto& [key, remark] : value.items()) {
      if (!remark.is_string()) file.fail("__metadata__ is not a list of texts by name");
      result.metadata[key] = remark;
    }
  }
  std::sort(entries.begin(), entries.end(),
            [](const Entry& a, const Entry& b) { return std::pair(a.begin, a.end) < std::pair(b.begin, b.end); });
  uint64_t end = 0;
  for (const Entry& entry : entries) {
    if (entry.begin != end)
      file.fail("the values of tensor " + entry.name + " begin at byte " + std::to_string(entry.begin) +
                " instead of " + std::to_string(end));
    end = entry.end;
  }
  if (end != file.left())
    file.fail("the header describes " + std::to_string(end) + " bytes of values, but " + std::to_string(file.left()) +
              " follow");

  for (const Entry& entry : entries) {
    const Tensor values = Tensor::empty(entry.shape, entry.dtype);
    auto* bytes = static_cast<uint8_t*>(values.storage()->data());
    file.read(bytes, entry.end - entry.begin);
    if (entry.dtype == boolean)
      std::transform(bytes, bytes + values.numel(), bytes, [](uint8_t byte) { return byte != 0; });
    result.tensors[entry.name] = values;
  }
  return result;
}

void save_safetensors(const std::string& path, const TensorFile& file, Location where) {
  const Scope scope("save_safetensors", where);
  std::vector<std::pair<std::string, Tensor>> tensors(file.tensors.begin(), file.tensors.end());
  std::stable_sort(tensors.begin(), tensors.end(), [](const auto& a, const auto& b) {  // so that each one is aligned
    return item_size(a.second.dtype()) > item_size(b.second.dtype());
  });
  nlohmann::ordered_json header = nlohmann::ordered_json::object();
  if (!file.metadata.empty()) header["__metadata__"] = file.metadata;
  int64_t end = 0;
  for (auto& [name, tensor] : tensors) {
    if (name == "__metadata__") fail("a tensor cannot be called __metadata__");
    const int64_t begin = end;
    end += tensor.numel() * int64_t(item_size(tensor.dtype()));
    header[name] = {{"dtype", dtype_names[size_t(tensor.dtype())]},
                    {"shape", std::vector<int64_t>(tensor.shape().begin(), tensor.shape().end())},
                    {"data_offsets", {begin, end}}};
  }
  std::string text;
  try {
    text = header.dump();
  } catch (const nlohmann::json::exception&) {
    fail("a name or a remark is not valid UTF-8");
  }
  text.resize((text.size() + 7) / 8 * 8, ' ');

  OutputFile output(path);
  const uint64_t header_bytes = text.size();
  output.write(&header_bytes, sizeof header_bytes);
  output.write(text);
  for (const auto& [name, tensor] : tensors) {
    const Tensor values = contiguous(tensor.copied_to(Device::cpu()));
    visit(values.dtype(), [&]<class T>() { output.write(values.data<T>(), uint64_t(values.numel()) * sizeof(T)); });
  }
  output.commit();
}

void save(const nn::AllOf& net, const std::string& path, Location where) {
  const Scope scope("save", where);
  save_safetensors(path, {state_dict(net), {}});
}

LoadResult load(const nn::AllOf& net, const std::string& path, LoadOptions options, Location where) {
  const Scope scope("load", where);
  return load_state_dict(net, load_safetensors(path).tensors, options);
}

}  // namespace gradus
