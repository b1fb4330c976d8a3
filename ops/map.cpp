#include "ops/map.h"

#include <algorithm>
#include <cmath>
#include <sstream>

#include "ops/apply.h"
#include "ops/comparison.h"
#include "ops/reduce.h"
#include "ops/view.h"

namespace gradus::detail {
namespace {

int category(Dtype dtype) { return is_floating_point(dtype) ? 2 : dtype == int64 ? 1 : 0; }

// PyTorch's rule: tensors with dimensions decide; scalars, and after them plain numbers, matter only if they are of a
// higher category (bool, integer, floating point).
Dtype common_dtype(std::span<const Arg* const> args, bool integers) {
  bool any[3] = {};
  Dtype found[3] = {boolean, boolean, boolean};
  for (const Arg* arg : args) {
    const int kind = arg->is_number() ? 2 : arg->tensor().dim() == 0 ? 1 : 0;
    const Dtype dtype = arg->is_number() ? (arg->is_integer() ? int64 : float32) : arg->tensor().dtype();
    found[kind] = any[kind] ? promote(found[kind], dtype) : dtype;
    any[kind] = true;
  }
  Dtype result = boolean;
  bool decided = false;
  for (int kind = 0; kind < 3; ++kind)
    if (any[kind] && (!decided || category(found[kind]) > category(result))) {
      result = found[kind];
      decided = true;
    }
  return is_floating_point(result) || integers ? result : float32;
}

// That of the tensors; scalars of the CPU are copied to it.
Device common_device(std::span<const Arg* const> args) {
  for (const Arg* arg : args)
    if (!arg->is_number() && !arg->tensor().device().is_cpu()) return arg->tensor().device();
  return Device::cpu();
}

}  // namespace

void prepare_operands(std::span<const Arg* const> args, std::span<Tensor> x, bool integers, bool condition) {
  const size_t first = condition ? 1 : 0;
  const Dtype dtype = common_dtype(args.subspan(first), integers);
  const Device device = common_device(args);
  Shape shape;
  for (size_t i = 0; i < args.size(); ++i) {
    if (args[i]->is_number()) {
      x[i] = Tensor(args[i]->number(), dtype).copied_to(device);
    } else {
      x[i] = args[i]->tensor();
      if (x[i].dim() == 0 && x[i].device() != device) x[i] = to(x[i], device);
      if (i >= first && x[i].dtype() != dtype) x[i] = to(x[i], dtype);
      shape = broadcast_shapes(shape, x[i].shape());
    }
  }
  if (condition && x[0].dtype() != boolean)
    fail("the condition must be a bool tensor, such as x > 0, not " + to_string(x[0].dtype()));
  for (const Tensor& each : x) check_same_device(x[0], each);
  for (size_t i = 0; i < args.size(); ++i) {
    // Formulas call it by its value or name.
    if (args[i]->is_number()) {
      if (x[i].shape() != shape) x[i] = x[i].repeated(shape);
      if (grad_enabled()) x[i].handle()->node = Ref<Node>(new Constant(x[i], args[i]->number()));
    } else if (x[i].shape() != shape) {
      const Tensor repeated = expand(x[i], shape);
      if (grad_enabled() && !repeated.node()) repeated.handle()->node = x[i].node();
      x[i] = repeated;
    }
  }
}

void fail_devices(Device first, Device other) {
  fail("the operands lie on different devices, " + to_string(first) + " and " + to_string(other) +
       "; move one with to(x, device)");
}

void check_holds(const Tensor& x, double value) {
  if (is_floating_point(x.dtype()) || Tensor(value, x.dtype()).at(0) == value) return;
  std::ostringstream number;
  number << value;
  fail("x holds " + to_string(x.dtype()) + ", which cannot be " + number.str());
}

void check_finite(const Tensor& tensor, const char* what) {
  if (!is_floating_point(tensor.dtype())) return;
  const Tensor here = tensor.copied_to(Device::cpu());
  for (int64_t i = 0; i < here.numel(); ++i) {
    const double value = here.at(i);
    if (std::isfinite(value)) continue;
    fail(std::string(what) + " has " + (std::isnan(value) ? "a NaN" : "an infinity") + " at element " +
         std::to_string(i) + " of " + to_string(tensor.shape()));
  }
}

void fail_released() {
  fail("the values that it saved were freed by an earlier backward pass; pass {.retain_graph = true} to that one");
}

void fail_changed() {
  fail("a tensor that it saved for the backward pass was changed in place afterwards; change a copy: clone(x)");
}

std::string fill_in(const char* formula, std::span<const std::string> names) {
  std::string text;
  for (; *formula; ++formula) {
    if (*formula == '$') text += names[size_t(*++formula - '0')];
    else text += *formula;
  }
  return text;
}

}  // namespace gradus::detail
