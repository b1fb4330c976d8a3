#include "nn/safetensors.h"

#include <doctest/doctest.h>

#include "ops/create.h"
#include "ops/view.h"
#include "tests/files.h"

using namespace gradus;
using files::error_text, files::TemporaryFolder;

namespace {

// A file with the given header and values.
std::string safetensors(const std::string& header, const std::string& values = {}) {
  std::string length(8, '\0');
  for (size_t i = 0; i < 8; ++i) length[i] = char(uint64_t(header.size()) >> 8 * i & 255);
  return length + header + values;
}

struct Net {
  Tensor weight = ones({2, 3}).requires_grad();
  Tensor steps = zeros({}, int64);
  GRADUS_FIELDS(weight, steps)
};

}  // namespace

TEST_CASE("safetensors: a file written by the reference library is read") {
  const TemporaryFolder folder;
  using namespace std::string_literals;
  const auto [tensors, metadata] = load_safetensors(folder.write(
      "a.safetensors",
      safetensors(
          R"({"__metadata__":{"framework":"numpy"},"step":{"dtype":"I64","shape":[],"data_offsets":[0,8]},)"
          R"("bias":{"dtype":"F64","shape":[1],"data_offsets":[8,16]},)"
          R"("weight":{"dtype":"F32","shape":[2,2],"data_offsets":[16,32]},)"
          R"("mask":{"dtype":"BOOL","shape":[3],"data_offsets":[32,35]}} )",
          "\x07\x00\x00\x00\x00\x00\x00\x00\x00\x00\x00\x00\x00\x00\xd0?\x00\x00\xc0?\x00\x00\x00\xc0\x00\x00@@\x00"
          "\x00\x80@\x01\x00\x01"s)));
  CHECK(metadata == std::map<std::string, std::string>{{"framework", "numpy"}});
  REQUIRE(tensors.size() == 4);
  CHECK(tensors.at("step").item<int64_t>() == 7);
  CHECK(tensors.at("bias").dtype() == float64);
  CHECK(tensors.at("bias").to_vector<double>() == std::vector<double>{0.25});
  CHECK(tensors.at("weight").shape() == Shape{2, 2});
  CHECK(tensors.at("weight").to_vector<float>() == std::vector<float>{1.5, -2, 3, 4});
  CHECK(tensors.at("mask").dtype() == boolean);
  CHECK(tensors.at("mask").to_vector<int>() == std::vector<int>{1, 0, 1});
}

TEST_CASE("safetensors: what is written is what the format says") {
  const TemporaryFolder folder;
  using namespace std::string_literals;
  save_safetensors(folder.path("a.safetensors"),
                   {{{"a", tensor({1, 0}, boolean)}, {"b", tensor({1.5})}, {"c", Tensor(-1, int64)}}, {{"by", "me"}}});
  const std::string header = R"({"__metadata__":{"by":"me"},"c":{"dtype":"I64","shape":[],"data_offsets":[0,8]},)"
                             R"("b":{"dtype":"F32","shape":[1],"data_offsets":[8,12]},)"
                             R"("a":{"dtype":"BOOL","shape":[2],"data_offsets":[12,14]}})";
  CHECK(folder.read("a.safetensors") == safetensors(header + std::string(8 - header.size() % 8, ' '),
                                                    "\xff\xff\xff\xff\xff\xff\xff\xff\x00\x00\xc0?\x01\x00"s));
  CHECK(folder.count() == 1);  // no temporary file stays behind
}

TEST_CASE("safetensors: every dtype and shape comes back as it was") {
  const TemporaryFolder folder;
  TensorFile before;
  for (const Dtype dtype : {float32, float64, bfloat16, int64, boolean})
    for (const Shape& shape : {Shape{}, Shape{1}, Shape{0}, Shape{3, 0, 2}, Shape{2, 3, 4}})
      before.tensors[to_string(dtype) + to_string(shape)] = to(randint(0, 2, shape), dtype);
  before.tensors["a view"] = t(tensor({{1, 2, 3}, {4, 5, 6}}));
  before.metadata = {{"quotes \" and \\", "and ümläuts\n"}};
  save_safetensors(folder.path("a"), before);
  const TensorFile after = load_safetensors(folder.path("a"));
  CHECK(after.metadata == before.metadata);
  CHECK(after.tensors.size() == before.tensors.size());
  for (const auto& [name, tensor] : before.tensors) {
    REQUIRE(after.tensors.count(name));
    CHECK(after.tensors.at(name).dtype() == tensor.dtype());
    CHECK(after.tensors.at(name).shape() == tensor.shape());
    CHECK(after.tensors.at(name).to_vector<double>() == tensor.to_vector<double>());
  }
  save_safetensors(folder.path("empty"), {});
  CHECK(load_safetensors(folder.path("empty")).tensors.empty());
}

TEST_CASE("safetensors: a module is saved and loaded") {
  const TemporaryFolder folder;
  const std::string path = folder.path("net.safetensors");
  Net net;
  {
    const NoGrad no_grad;
    net.weight.mutable_data<float>()[4] = 7;
    net.steps.mutable_data<int64_t>()[0] = 3;
  }
  save(net, path);
  Net other;
  const LoadResult result = load(other, path);
  CHECK(result.missing.empty());
  CHECK(result.unexpected.empty());
  CHECK(other.weight.to_vector<float>() == std::vector<float>{1, 1, 1, 1, 7, 1});
  CHECK(other.weight.needs_grad());
  CHECK(other.steps.item<int>() == 3);

  save_safetensors(path, {{{"weight", ones({3, 2})}, {"scale", ones({1})}}, {}});
  CHECK(error_text([&] { load(other, path); }, path) ==
        "load_state_dict: the names and shapes must match; missing: steps; unexpected: scale; different shapes: weight "
        "has "
        "shape [2, 3] here and [3, 2] there");
}

TEST_CASE("safetensors: bad files are clean errors") {
  const TemporaryFolder folder;
  const auto error = [&](const std::string& contents) {
    const std::string path = folder.write("x", contents);
    const std::string text = error_text([&] { load_safetensors(path); }, path);
    REQUIRE(text.starts_with("load_safetensors: x: "));
    return text.substr(21);
  };
  const auto tensor_error = [&](const std::string& fields, const std::string& values = "12345678") {
    return error(safetensors("{\"w\":{" + fields + "}}", values));
  };
  CHECK(error("") == "the file is truncated: 8 more bytes are due and 0 are left");
  CHECK(error("1234567") == "the file is truncated: 8 more bytes are due and 7 are left");
  CHECK(error(std::string("\x09\0\0\0\0\0\0\0{}", 10)) ==
        "this is not a safetensors file, or it is truncated: its header would have 9 bytes");
  CHECK(error(std::string(40, '\xff')) ==
        "this is not a safetensors file, or it is truncated: its header would have 18446744073709551615 bytes");
  for (const char* text : {"", "x", "[]", "{", "{\"w\":}", " {}", "{}}", "\"\xff\"", "{\"\xff\":1}"})
    CHECK(error(safetensors(text)) == "the header is not a JSON object");
  CHECK(error(safetensors(std::string(100'000, '['))) == "the header is not a JSON object");
  CHECK(error(safetensors(R"({"__metadata__":{"a":1}})")) == "__metadata__ is not a list of texts by name");
  CHECK(error(safetensors(R"({"__metadata__":null})")) == "__metadata__ is not a list of texts by name");
  CHECK(error(safetensors(R"({"w":{"dtype":"F32","shape":[1],"data_offsets":[0,4]},)"
                          R"("w":{"dtype":"F32","shape":[1],"data_offsets":[0,4]}})",
                          "1234")) == "the name w occurs twice");

  for (const char* fields :
       {"", R"("dtype":"F32","shape":[2])", R"("dtype":"F32","shape":2,"data_offsets":[0,8])",
        R"("dtype":1,"shape":[2],"data_offsets":[0,8])", R"("dtype":"F32","shape":[-2],"data_offsets":[0,8])",
        R"("dtype":"F32","shape":[2.0],"data_offsets":[0,8])", R"("dtype":"F32","shape":[2],"data_offsets":[8])",
        R"("dtype":"F32","shape":[2],"data_offsets":[0,8],"more":1)",
        R"("dtype":"F32","shape":[18446744073709551615],"data_offsets":[0,8])"})
    CHECK(tensor_error(fields) == "tensor w is not described by a dtype, a shape and two data_offsets");
  CHECK(error(safetensors("{\"w\":7}")) == "tensor w is not described by a dtype, a shape and two data_offsets");
  CHECK(tensor_error(R"("dtype":"F16","shape":[4],"data_offsets":[0,8])") ==
        "tensor w is F16; only F32, F64, BF16, I64 and BOOL can be read");
  CHECK(tensor_error(R"("dtype":"F32","shape":[1,1,1,1,1,1,1,1,2],"data_offsets":[0,8])") ==
        "tensor w has 9 dimensions; at most 8 can be read");
  CHECK(tensor_error(R"("dtype":"F32","shape":[3],"data_offsets":[0,8])") ==
        "tensor w has the shape [3], which does not fit its data_offsets [0, 8]");
  CHECK(tensor_error(R"("dtype":"F32","shape":[2],"data_offsets":[8,0])") ==
        "tensor w has the shape [2], which does not fit its data_offsets [8, 0]");
  CHECK(tensor_error(R"("dtype":"F32","shape":[4611686018427387904,4],"data_offsets":[0,0])") ==
        "tensor w has the shape [4611686018427387904, 4], which does not fit its data_offsets [0, 0]");
  CHECK(tensor_error(R"("dtype":"F32","shape":[2],"data_offsets":[0,8])", "1234") ==
        "the header describes 8 bytes of values, but 4 follow");
  CHECK(tensor_error(R"("dtype":"F32","shape":[1000000000000],"data_offsets":[0,4000000000000])") ==
        "the header describes 4000000000000 bytes of values, but 8 follow");
  CHECK(tensor_error(R"("dtype":"F32","shape":[1],"data_offsets":[0,4])") ==
        "the header describes 4 bytes of values, but 8 follow");
  CHECK(tensor_error(R"("dtype":"F32","shape":[1],"data_offsets":[4,8])") ==
        "the values of tensor w begin at byte 4 instead of 0");
  CHECK(error(safetensors(R"({"a":{"dtype":"F32","shape":[2],"data_offsets":[0,8]},)"
                          R"("b":{"dtype":"F32","shape":[2],"data_offsets":[4,12]}})",
                          "123456781234")) == "the values of tensor b begin at byte 4 instead of 8");
}

TEST_CASE("safetensors: a huge shape without elements is no trap") {
  const TemporaryFolder folder;
  const auto [tensors, metadata] = load_safetensors(folder.write(
      "x", safetensors(
               R"({"w":{"dtype":"F32","shape":[0,4611686018427387904,4611686018427387904],"data_offsets":[0,0]}})")));
  CHECK(tensors.at("w").numel() == 0);
}

TEST_CASE("safetensors: no damaged file does harm") {
  const TemporaryFolder folder;
  save_safetensors(folder.path("whole"), {{{"a", ones({2, 3})}, {"b", zeros({3}, boolean)}}, {{"by", "me"}}});
  const std::string contents = folder.read("whole");
  CHECK(files::count_refused(folder, contents, [](const std::string& path) { load_safetensors(path); }) > 1000);
}

TEST_CASE("safetensors: what cannot be written is an error that leaves the old file alone") {
  const TemporaryFolder folder;
  const std::string path = folder.write("x", "old");
  CHECK(error_text([&] {
          save_safetensors(path, {{{"\xff", ones({2})}}, {}});
        }) == "save_safetensors: a name or a remark is not valid UTF-8");
  CHECK(error_text([&] {
          save_safetensors(path, {{{"__metadata__", ones({2})}}, {}});
        }) == "save_safetensors: a tensor cannot be called __metadata__");
  CHECK(folder.read("x") == "old");
  CHECK(folder.count() == 1);
}
