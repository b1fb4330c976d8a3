// Conformance to something nobody here wrote: the tests of ONNX's operators. See tests/onnx_operators.h.

#include <doctest/doctest.h>

#include <algorithm>
#include <cmath>
#include <exception>
#include <iostream>
#include <sstream>

#include "nn/safetensors.h"
#include "tests/onnx_operators.h"

namespace gradus::onnx {
namespace {

// Where Gradus deliberately gives something else, as PyTorch does, or refuses: the case, and its output if there are
// several.
const char *const biased = "the running variance is PyTorch's: divided by one less than the number of values",
                  *const negative = "an index counts from 0; a negative one is an error",
                  *const rounded = "rounded to the nearest number; these were cut off",
                  *const nearest = "a pixel is taken from floor(place * scale), as by PyTorch",
                  *const slopes = "prelu has one slope, or one for each channel";
const std::map<std::string, const char*> differences{
    {"batchnorm_epsilon_training_mode output 2", biased},
    {"batchnorm_example_training_mode output 2", biased},
    {"cast_FLOAT_to_BFLOAT16", rounded},
    {"castlike_FLOAT_to_BFLOAT16", rounded},
    {"castlike_FLOAT_to_BFLOAT16_expanded", rounded},
    {"gather_elements_negative_indices", negative},
    {"gather_negative_indices", negative},
    {"gru_seq_length output 1", "the reset gate is applied after the product, as in PyTorch (linear_before_reset)"},
    {"maxpool_2d_uint8", "images are floating-point numbers"},
    {"onehot_negative_indices", negative},
    {"prelu_broadcast", slopes},
    {"prelu_example", slopes},
    {"resize_downsample_scales_linear_align_corners", "the corners are those of the result, not of size * scale"},
    {"resize_downsample_scales_nearest", nearest},
    {"resize_downsample_sizes_linear_pytorch_half_pixel", "a single pixel is taken from the middle, as by PyTorch"},
    {"resize_downsample_sizes_nearest", nearest},
    {"resize_upsample_sizes_nearest_ceil_half_pixel", nearest},
    {"resize_upsample_sizes_nearest_floor_align_corners", nearest},
    {"resize_upsample_sizes_nearest_round_prefer_ceil_asymmetric", nearest},
    {"scatter_elements_with_negative_indices", negative},
};

std::vector<std::string> split_at_commas(const std::string& text) {
  std::vector<std::string> parts;
  std::istringstream in(text);
  for (std::string part; std::getline(in, part, ',');) parts.push_back(part);
  if (text.empty() || text.back() == ',') parts.emplace_back();
  return parts;
}

Tensors by_number(const std::string& numbers, const std::map<std::string, Tensor>& tensors) {
  Tensors found;
  for (const std::string& number : split_at_commas(numbers))
    found.push_back(number.empty() ? Tensor() : tensors.at(number));
  return found;
}

std::string describe(const Tensor& tensor) {
  if (!tensor.defined()) return "nothing";
  return to_string(tensor.dtype()) + to_string(tensor.shape());
}

// In what the result is not as expected; empty if it is. Integers are equal; other numbers may differ by 1e-5 in
// float32 and 1e-10 in float64 of their magnitude, or by 1e-6, which is what the reference itself loses where numbers
// around 1 cancel. NaN equals NaN. (ONNX allows 1e-3 and 1e-7.)
std::string difference(const Tensor& actual, const Tensor& expected) {
  std::ostringstream text;
  if (!actual.defined() || actual.dtype() != expected.dtype() || actual.shape() != expected.shape()) {
    text << describe(actual) << " instead of " << describe(expected);
    return text.str();
  }
  const double relative = expected.dtype() == float64 ? 1e-10 : 1e-5;
  const auto x = actual.to_vector<double>(), y = expected.to_vector<double>();
  for (size_t i = 0; i < x.size(); ++i) {
    if (x[i] == y[i] || (std::isnan(x[i]) && std::isnan(y[i]))) continue;
    if (is_floating_point(expected.dtype()) &&
        std::fabs(x[i] - y[i]) <= std::max(expected.dtype() == float64 ? 1e-10 : 1e-6, relative * std::fabs(y[i])))
      continue;
    text.precision(9);
    text << x[i] << " instead of " << y[i] << " at element " << i << " of " << describe(expected);
    return text.str();
  }
  return {};
}

// By output, what is wrong.
std::map<std::string, std::string> run(const std::string& name, const Node& node, const Operator& op) {
  std::map<std::string, std::string> wrong;
  Tensors results;
  std::string error;
  try {
    results = op.run(node);
  } catch (const std::exception& thrown) {
    error = thrown.what();
  }
  const Tensors& expected = node.outputs();
  results.resize(std::max(results.size(), expected.size()));
  for (size_t i = 0; i < expected.size(); ++i) {
    if (!expected[i].defined()) continue;
    const std::string what = error.empty() ? difference(results[i], expected[i]) : error;
    if (!what.empty()) wrong[expected.size() == 1 ? name : name + " output " + std::to_string(i)] = what;
  }
  if (error.empty() && !node.overlooked().empty()) wrong[name + " overlooks"] = node.overlooked();
  return wrong;
}

}  // namespace

Node::Node(const std::string& description, const std::map<std::string, Tensor>& tensors) {
  std::istringstream in(description);
  in >> operation_;
  for (std::string attribute; in >> attribute;) {
    const size_t equals = attribute.find('=');
    attributes_[attribute.substr(0, equals)] = attribute.substr(equals + 1);
  }
  inputs_ = by_number(attributes_.at("inputs"), tensors);
  outputs_ = by_number(attributes_.at("outputs"), tensors);
  attributes_.erase("inputs");
  attributes_.erase("outputs");
}

const Tensor& Node::operator[](size_t i) const {
  static const Tensor none;
  used_.insert(std::to_string(i));
  return i < inputs_.size() ? inputs_[i] : none;
}

std::string Node::text(const std::string& attribute, const std::string& otherwise) const {
  used_.insert(attribute);
  return has(attribute) ? attributes_.at(attribute) : otherwise;
}

int64_t Node::integer(const std::string& attribute, int64_t otherwise) const {
  const std::string value = text(attribute, "");
  return value.empty() ? otherwise : std::stoll(value);
}

double Node::number(const std::string& attribute, double otherwise) const {
  const std::string value = text(attribute, "");
  return value.empty() ? otherwise : std::stod(value);
}

std::vector<int64_t> Node::integers(const std::string& attribute, const std::vector<int64_t>& otherwise) const {
  const std::string value = text(attribute, "");
  if (value.empty()) return otherwise;
  std::vector<int64_t> list;
  for (const std::string& each : split_at_commas(value)) list.push_back(std::stoll(each));
  return list;
}

std::vector<int64_t> Node::integers(const std::string& attribute, size_t input) const {
  const Tensor& list = (*this)[input];
  return list.defined() ? list.to_vector<int64_t>() : integers(attribute);
}

std::string Node::overlooked() const {
  static const std::set<std::string> redundant{"broadcast", "is_test", "seed", "storage_order", "hidden_size"};
  std::string names;
  for (const auto& [name, value] : attributes_)
    if (!used_.count(name) && !redundant.count(name)) names += ' ' + name + '=' + value;
  for (size_t i = 0; i < inputs_.size(); ++i)
    if (inputs_[i].defined() && !used_.count(std::to_string(i))) names += " input " + std::to_string(i);
  return names;
}

TEST_CASE("onnx: operations agree with the tests of ONNX's operators") {
  TensorFile file = load_safetensors(GRADUS_CONFORMANCE "/onnx.safetensors");
  REQUIRE(file.metadata.erase("source"));
  Operators operators = elementwise_operators();
  for (Operators more : {reduction_operators(), layout_operators(), window_operators(), network_operators()})
    operators.merge(more);

  std::map<std::string, int> counts;
  std::set<std::string> differing;
  for (const auto& one : file.metadata) {  // no structured bindings: the macros' lambdas cannot capture them
    const Node node(one.second, file.tensors);
    const auto known = operators.find(node.operation());
    if (known == operators.end()) {
      FAIL_CHECK("the operator of ", one.first, " is not known: ", one.second);
      continue;
    }
    ++counts[node.operation()];
    for (const auto& wrong : run(one.first, node, known->second)) {
      differing.insert(wrong.first);
      CHECK_MESSAGE(differences.count(wrong.first), wrong.first, " (", one.second, "): ", wrong.second);
    }
  }
  for (const auto& one : differences)
    CHECK_MESSAGE(differing.count(one.first), one.first, " does not differ, or is no case");

  std::cout << "onnx: " << file.metadata.size() << " cases, " << differences.size() << " of them different (";
  const char* separator = "";
  for (const auto& one : operators) {
    const int count = counts[one.first];
    std::cout << separator << one.first << ' ' << count, separator = ", ";
    CHECK_MESSAGE(count == one.second.cases, one.first, " has ", count, " cases");
  }
  std::cout << ")\n";
}

}  // namespace gradus::onnx
