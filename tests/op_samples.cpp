#include "tests/op_samples.h"

#include <algorithm>
#include <cmath>
#include <regex>

#include "ops/create.h"
#include "ops/join.h"
#include "ops/view.h"

namespace gradus::samples {

std::vector<std::string> Sample::names() const {
  const std::regex argument("[(,] ?([a-z_]+)(?=[,)])");
  std::vector<std::string> found;
  for (std::sregex_iterator match(call.begin(), call.end(), argument), end; match != end; ++match) {
    const std::string name = (*match)[1];
    if (name != "index" && name != "mask" && name != "function" && !std::ranges::count(found, name))
      found.push_back(name);
  }
  if (found.size() < shapes.size())
    found = shapes.size() == 1 ? std::vector<std::string>{"x"} : std::vector<std::string>{"a", "b", "c", "d"};
  found.resize(shapes.size());
  return found;
}

std::vector<Tensor> inputs(const std::vector<Shape>& shapes, double low, double high, Dtype dtype) {
  std::vector<Tensor> x;
  for (const Shape& shape : shapes) {
    if (dtype == boolean) x.push_back(bernoulli(shape, 0.5));
    else if (dtype == int64) x.push_back(randint(int64_t(std::ceil(low)), int64_t(std::floor(high)) + 1, shape));
    else x.push_back(uniform(shape, low, high, dtype));
  }
  return x;
}

std::vector<Tensor> inputs(const Operation& operation, const std::vector<Shape>& shapes, Dtype dtype) {
  std::vector<Tensor> x = inputs(shapes, operation.low, operation.high, dtype);
  if (operation.condition) x[0] = bernoulli(shapes[0], 0.5);
  return x;
}

std::vector<std::vector<Tensor>> layouts(Inputs x) {
  std::vector<Tensor> transposed, spaced, copies;
  for (const Tensor& each : x) {
    std::vector<int64_t> reversed;
    for (int i = each.dim() - 1; i >= 0; --i) reversed.push_back(i);
    transposed.push_back(permute(contiguous(permute(each, reversed)), reversed));
    const Tensor wide = stack({each, each}, each.dim());
    spaced.push_back(select(wide, -1, 1));
    copies.push_back(clone(each));
  }
  return {transposed, spaced, copies};
}

std::vector<Tensor> repeated(Inputs x) {
  std::vector<Tensor> result;
  for (const Tensor& each : x)
    result.push_back(each.dim() == 0 || each.numel() == 0 ? each : expand(narrow(each, 0, 0, 1), each.shape()));
  return result;
}

std::vector<Tensor> leaves(Inputs x) {
  std::vector<Tensor> result;
  for (const Tensor& each : x)
    result.push_back(is_floating_point(each.dtype()) ? each.detach().requires_grad() : each.detach());
  return result;
}

std::vector<Tensor> converted(Inputs x, Dtype dtype) {
  std::vector<Tensor> result;
  for (const Tensor& each : x) result.push_back(is_floating_point(each.dtype()) ? to(each, dtype) : each);
  return result;
}

Tensor beside(Inputs x, const Tensor& constant) { return to(constant, x[0].device()); }

std::vector<Tensor> differentiable(Inputs x) {
  std::vector<Tensor> result;
  for (const Tensor& each : x)
    if (each.needs_grad()) result.push_back(each);
  return result;
}

}  // namespace gradus::samples
