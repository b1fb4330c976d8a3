#include "tests/golden.h"

#include <doctest/doctest.h>

#include <algorithm>
#include <cmath>
#include <iostream>

#include "nn/safetensors.h"
#include "ops/arithmetic.h"
#include "ops/reduce.h"
#include "ops/view.h"

namespace gradus::golden {
namespace {

constexpr Dtype dtypes[] = {float32, float64};

// The largest difference, relative to the largest magnitude that is expected. NaN and infinity equal themselves.
double distance(const Tensor& actual, const Tensor& expected) {
  if (!actual.defined() || actual.shape() != expected.shape() || actual.dtype() != expected.dtype()) return INFINITY;
  const auto x = actual.to_vector<double>(), y = expected.to_vector<double>();
  double largest = 0.01, difference = 0;
  for (size_t i = 0; i < x.size(); ++i) {
    if (x[i] == y[i] || (std::isnan(x[i]) && std::isnan(y[i]))) continue;
    const double error = std::fabs(x[i] - y[i]);
    difference = std::isfinite(error) ? std::max(difference, error) : INFINITY;
  }
  for (const double value : y)
    if (std::isfinite(value)) largest = std::max(largest, std::fabs(value));
  return difference / largest;
}

std::string describe(const Tensor& tensor) {
  if (!tensor.defined()) return "nothing";
  return to_string(tensor.dtype()) + to_string(tensor.shape());
}

double compare(const std::string& name, const Tensor& actual, const Tensor& expected) {
  const double error = distance(actual, expected);
  CHECK_MESSAGE(error <= (expected.dtype() == float32 ? 1e-5 : 1e-10), name, ": ", describe(actual),
                " and, in PyTorch, ", describe(expected), " differ by ", error, "\n", actual, "\n", expected);
  return error;
}

}  // namespace

std::string path(const std::string& name) { return GRADUS_GOLDEN "/" + name + ".safetensors"; }

StateDict Case::parts(const std::string& prefix) const {
  StateDict parts;
  for (const auto& [name, tensor] : given)
    if (name.starts_with(prefix)) parts[name.substr(prefix.size())] = tensor;
  return parts;
}

Tensors Case::inputs() const {
  Tensors inputs;
  for (StateDict by_number = parts("input."); inputs.size() < by_number.size();) {
    const std::string number = std::to_string(inputs.size());
    inputs.push_back(by_number.at(number).requires_grad(expected.count("grad.input." + number)));
  }
  return inputs;
}

StateDict Case::results(const Tensors& inputs, const Tensors& outputs, const nn::AllOf& net) const {
  StateDict results;
  Tensor total(0, dtype);
  for (size_t i = 0; i < outputs.size(); ++i) {
    const std::string number = std::to_string(i);
    results["output." + number] = outputs[i];
    if (const auto dy = given.find("grad_output." + number); dy != given.end()) {
      REQUIRE(dy->second.shape() == outputs[i].shape());
      total = total + sum(outputs[i] * dy->second);
    }
  }
  total.backward();
  for (size_t i = 0; i < inputs.size(); ++i)
    if (inputs[i].grad().defined()) results["grad.input." + std::to_string(i)] = inputs[i].grad();
  for (const auto& [name, tensor] : named_tensors(net)) {
    if (!tensor.needs_grad()) results["after." + name] = tensor;
    else if (tensor.grad().defined()) results["grad.parameter." + name] = tensor.grad();
  }
  return results;
}

File::File(const std::string& name) : name_(name), tensors_(load_safetensors(path(name)).tensors) {
  for (const auto& [key, tensor] : tensors_)
    if (const size_t end = key.find("/float64/"); end != std::string::npos) cases_[key.substr(0, end)] = false;
}

File::~File() {
  std::map<std::string, int> counts;
  for (const auto& one : cases_) {
    CHECK_MESSAGE(one.second, "no test of ", one.first);
    ++counts[one.first.substr(0, one.first.find('/'))];
  }
  std::cout << "golden " << name_ << ": " << cases_.size() << " cases (";
  const char* separator = "";
  for (const auto& [layer, count] : counts) std::cout << separator << layer << ' ' << count, separator = ", ";
  std::cout << "), largest error " << largest_error_[float32] << " in float32, " << largest_error_[float64]
            << " in float64\n";
}

void File::check(const std::string& name, const std::function<StateDict(const Case&)>& compute) {
  CAPTURE(name);
  const auto known = cases_.find(name);
  if (known == cases_.end()) {
    FAIL_CHECK("PyTorch did not run this case");
    return;
  }
  CHECK_MESSAGE(!known->second, "checked twice");
  known->second = true;
  for (const Dtype dtype : dtypes) {
    const std::string ours = to_string(dtype) + '/';
    CAPTURE(ours);
    Case one{dtype, {}, {}};
    for (auto at = tensors_.lower_bound(name + '/'); at != tensors_.end() && at->first.starts_with(name + '/'); ++at) {
      const std::string key = at->first.substr(name.size() + 1);
      if (key.starts_with(ours)) one.expected[key.substr(ours.size())] = at->second;
      else if (!key.starts_with("float"))
        one.given[key] = clone(is_floating_point(at->second.dtype()) ? to(at->second, dtype) : at->second);
    }
    StateDict actual;
    try {
      actual = compute(one);
    } catch (const Error& error) {
      FAIL_CHECK(std::string(error.what()));
      continue;
    }
    for (const auto& tensor : actual) CHECK_MESSAGE(one.expected.count(tensor.first), "PyTorch has no ", tensor.first);
    for (const auto& [key, expected] : one.expected)
      largest_error_[dtype] = std::max(largest_error_[dtype], compare(key, actual[key], expected));
  }
}

}  // namespace gradus::golden
