#pragma once
// ONNX's operators (https://github.com/onnx/onnx/blob/v1.12.0/docs/Operators.md) in terms of Gradus's operations, and
// with them the cases of tests/conformance/onnx.safetensors, which tests/conformance/onnx_nodes.py wrote.

#include <functional>
#include <map>
#include <set>
#include <string>
#include <vector>

#include "core/tensor.h"

namespace gradus::onnx {

using Tensors = std::vector<Tensor>;

/// An operator with its attributes and inputs, and what must come out. It remembers what was asked for, so that nothing
/// given is overlooked.
class Node {
 public:
  /// `description` is as in the file: "Conv inputs=12,13 outputs=14 pads=1,1,1,1".
  Node(const std::string& description, const std::map<std::string, Tensor>& tensors);

  const std::string& operation() const { return operation_; }
  const Tensors& outputs() const { return outputs_; }  ///< undefined where one is not compared
  size_t size() const { return inputs_.size(); }
  /// An input; undefined if it is not given.
  const Tensor& operator[](size_t i) const;

  int64_t integer(const std::string& attribute, int64_t otherwise) const;
  double number(const std::string& attribute, double otherwise) const;
  std::string text(const std::string& attribute, const std::string& otherwise) const;
  std::vector<int64_t> integers(const std::string& attribute, const std::vector<int64_t>& otherwise = {}) const;
  bool has(const std::string& attribute) const { return attributes_.count(attribute); }
  /// A list that was an attribute and became an input, such as axes.
  std::vector<int64_t> integers(const std::string& attribute, size_t input) const;

  /// The attributes and inputs that nobody asked for, but for those that follow from others.
  std::string overlooked() const;

 private:
  std::string operation_;
  std::map<std::string, std::string> attributes_;
  Tensors inputs_, outputs_;
  mutable std::set<std::string> used_;
};

/// What an operator gives: one tensor or several.
struct Results : Tensors {
  Results(const Tensor& tensor) : Tensors{tensor} {}
  Results(Tensors tensors) : Tensors(std::move(tensors)) {}
};

struct Operator {
  int cases;  ///< how many the file has
  std::function<Results(const Node&)> run;
};
using Operators = std::map<std::string, Operator>;

Operators elementwise_operators();
Operators reduction_operators();
Operators layout_operators();
Operators window_operators();
Operators network_operators();

}  // namespace gradus::onnx
