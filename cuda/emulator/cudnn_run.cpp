// What a graph of the emulated cuDNN computes, in plain loops.

#include <algorithm>
#include <cmath>
#include <limits>

#include "cudnn_objects.h"
#include "device.h"
#include "trace.h"
//
#include <cuda_bf16.h>

/// How many plans were run: for tests, which find it by its name.
extern "C" {
std::int64_t gradus_emulated_cudnn_runs = 0;
}

namespace gradus::emulator {
namespace {

// The engines' arithmetic is in float32: tensors are unpacked, row by row, and packed again.
std::int64_t position(const Sizes& dims, const Sizes& strides, std::int64_t i) {
  std::int64_t at = 0;
  for (std::size_t d = dims.size(); d-- > 0; i /= dims[d]) at += i % dims[d] * strides[d];
  return at;
}

struct Operand {
  const Object* tensor;
  char* memory;  // null for a number
  float number;

  std::vector<float> read() const {
    const Sizes dims = tensor->dims(), strides = tensor->strides();
    std::vector<float> values(static_cast<std::size_t>(count(dims)), number);
    for (std::size_t i = 0; memory && i < values.size(); ++i) {
      const std::int64_t at = position(dims, strides, static_cast<std::int64_t>(i));
      values[i] = tensor->is_bfloat16() ? float(reinterpret_cast<const __nv_bfloat16*>(memory)[at])
                                        : reinterpret_cast<const float*>(memory)[at];
    }
    return values;
  }
  void write(const std::vector<float>& values) const {
    const Sizes dims = tensor->dims(), strides = tensor->strides();
    for (std::size_t i = 0; i < values.size(); ++i) {
      const std::int64_t at = position(dims, strides, static_cast<std::int64_t>(i));
      if (tensor->is_bfloat16()) reinterpret_cast<__nv_bfloat16*>(memory)[at] = __nv_bfloat16(values[i]);
      else reinterpret_cast<float*>(memory)[at] = values[i];
      if (trace::enabled) trace::written(memory + at * static_cast<std::int64_t>(tensor->item()), tensor->item());
    }
  }
};

// Calls row(y, x, weight, n, step) for all runs of n outputs y, y + 1, … that get weight times inputs x, x + step, …
template <class F> void for_rows(const Sizes& x, const Sizes& w, const Sizes& y, const ConvSettings& s, F&& row) {
  const std::int64_t outputs = w[0] / (x[1] / w[1]), step = s.stride[1];
  for (std::int64_t n = 0; n < y[0]; ++n)
    for (std::int64_t k = 0; k < w[0]; ++k)
      for (std::int64_t c = 0; c < w[1]; ++c)
        for (std::int64_t a = 0; a < w[2]; ++a)
          for (std::int64_t b = 0; b < w[3]; ++b) {
            const std::int64_t left = b * s.dilation[1] - s.before[1];  // of the first output
            const std::int64_t begin = left < 0 ? (-left + step - 1) / step : 0;
            const std::int64_t end = x[3] > left ? std::min(y[3], (x[3] - left + step - 1) / step) : 0;
            for (std::int64_t i = 0; i < y[2]; ++i) {
              const std::int64_t from = i * s.stride[0] + a * s.dilation[0] - s.before[0];
              if (from < 0 || from >= x[2] || begin >= end) continue;
              row(((n * y[1] + k) * y[2] + i) * y[3] + begin,
                  ((n * x[1] + k / outputs * w[1] + c) * x[2] + from) * x[3] + left + begin * step,
                  ((k * w[1] + c) * w[2] + a) * w[3] + b, end - begin, step);
            }
          }
}

void run_convolution(const Object& step, const ConvNames& names, const Operand& x, const Operand& w, const Operand& y) {
  const ConvSettings settings(step.object(names.settings));
  const auto rows = [&](auto&& row) { for_rows(x.tensor->dims(), w.tensor->dims(), y.tensor->dims(), settings, row); };
  const auto zeros = [](const Operand& like) {
    return std::vector<float>(static_cast<std::size_t>(count(like.tensor->dims())));
  };
  using Int = std::int64_t;
  if (names.result == names.y) {
    const std::vector<float> from = x.read(), weight = w.read();
    std::vector<float> result = zeros(y);
    rows([in = from.data(), factor = weight.data(), out = result.data()](Int to, Int at, Int tap, Int n, Int apart) {
      const float by = factor[tap];
      if (apart == 1)
        for (Int i = 0; i < n; ++i) out[to + i] += by * in[at + i];
      else
        for (Int i = 0; i < n; ++i) out[to + i] += by * in[at + i * apart];
    });
    y.write(result);
  } else if (names.result == names.x) {
    const std::vector<float> from = y.read(), weight = w.read();
    std::vector<float> result = zeros(x);
    rows([in = from.data(), factor = weight.data(), out = result.data()](Int at, Int to, Int tap, Int n, Int apart) {
      const float by = factor[tap];
      if (apart == 1)
        for (Int i = 0; i < n; ++i) out[to + i] += by * in[at + i];
      else
        for (Int i = 0; i < n; ++i) out[to + i * apart] += by * in[at + i];
    });
    x.write(result);
  } else {
    const std::vector<float> from = x.read(), grad = y.read();
    std::vector<double> sums(static_cast<std::size_t>(count(w.tensor->dims())));
    rows([in = from.data(), dy = grad.data(), out = sums.data()](Int at, Int in_at, Int tap, Int n, Int apart) {
      float sum = 0;
      for (Int i = 0; i < n; ++i) sum += dy[at + i] * in[in_at + i * apart];
      out[tap] += sum;
    });
    w.write(std::vector<float>(sums.begin(), sums.end()));
  }
}

// The strides of x, row by row, seen in the shape of y: 0 where x is broadcast.
Sizes steps_through(const Sizes& x, const Sizes& y) {
  Sizes steps(y.size(), 0);
  std::int64_t step = 1;
  for (std::size_t d = y.size(); d-- > 0; step *= x[d])
    if (x[d] > 1) steps[d] = step;
  return steps;
}

void run_pointwise(const Object& step, const std::vector<Operand>& x, const Operand& y) {
  const cudnnPointwiseMode_t mode = mode_of(step);
  const Sizes dims = y.tensor->dims();
  const std::int64_t axis =
      step.object(CUDNN_ATTR_OPERATION_POINTWISE_PW_DESCRIPTOR).get<std::int64_t>(CUDNN_ATTR_POINTWISE_AXIS);
  const bool keeps_nan =
      step.object(CUDNN_ATTR_OPERATION_POINTWISE_PW_DESCRIPTOR).get<int>(CUDNN_ATTR_POINTWISE_NAN_PROPAGATION) ==
      CUDNN_PROPAGATE_NAN;
  Sizes along(dims.size(), 0);  // the steps of an index along the axis
  std::vector<std::vector<float>> values;
  std::vector<Sizes> steps;
  for (const Operand& each : x) {
    values.push_back(each.read());
    steps.push_back(steps_through(each.tensor->dims(), dims));
  }
  std::vector<float> result(static_cast<std::size_t>(count(dims)));
  if (mode == CUDNN_POINTWISE_GEN_INDEX) along.at(static_cast<std::size_t>(axis)) = 1;
  for (std::size_t i = 0; i < result.size(); ++i) {
    const auto at = static_cast<std::int64_t>(i);
    const auto value = [&](std::size_t n) { return values[n][static_cast<std::size_t>(position(dims, steps[n], at))]; };
    switch (mode) {
      case CUDNN_POINTWISE_ADD: result[i] = value(0) + value(1); break;
      case CUDNN_POINTWISE_SUB: result[i] = value(0) - value(1); break;
      case CUDNN_POINTWISE_MUL: result[i] = value(0) * value(1); break;
      case CUDNN_POINTWISE_DIV: result[i] = value(0) / value(1); break;
      case CUDNN_POINTWISE_EXP: result[i] = std::exp(value(0)); break;
      case CUDNN_POINTWISE_LOG: result[i] = std::log(value(0)); break;
      case CUDNN_POINTWISE_RELU_FWD:
        result[i] = value(0) > 0 || (keeps_nan && std::isnan(value(0))) ? value(0) : 0;
        break;
      case CUDNN_POINTWISE_CMP_GE: result[i] = value(0) >= value(1); break;
      case CUDNN_POINTWISE_GEN_INDEX: result[i] = static_cast<float>(position(dims, along, at)); break;
      default: result[i] = value(2) != 0 ? value(0) : value(1);  // select
    }
  }
  y.write(result);
}

void run_reduction(const Object& step, const Operand& x, const Operand& y) {
  const auto by = step.object(CUDNN_ATTR_OPERATION_REDUCTION_DESC).get<int>(CUDNN_ATTR_REDUCTION_OPERATOR);
  const Sizes dims = x.tensor->dims(), steps = steps_through(y.tensor->dims(), dims);
  const bool is_sum = by == CUDNN_REDUCE_TENSOR_ADD;
  std::vector<float> result(static_cast<std::size_t>(count(y.tensor->dims())),
                            is_sum ? 0 : -std::numeric_limits<float>::infinity());
  const std::vector<float> values = x.read();
  for (std::size_t i = 0; i < values.size(); ++i) {
    float& to = result[static_cast<std::size_t>(position(dims, steps, static_cast<std::int64_t>(i)))];
    to = is_sum ? to + values[i] : std::max(to, values[i]);
  }
  y.write(result);
}

void run_product(const Operand& a, const Operand& b, const Operand& y) {
  const Sizes dims = y.tensor->dims();
  const std::size_t rows = static_cast<std::size_t>(dims[dims.size() - 2]);
  const std::size_t columns = static_cast<std::size_t>(dims.back());
  const std::size_t depth = static_cast<std::size_t>(a.tensor->dims().back());
  const std::vector<float> left = a.read(), right = b.read();
  std::vector<float> result(static_cast<std::size_t>(count(dims)));
  for (std::size_t row = 0; row < result.size() / columns; ++row)  // of all matrices
    for (std::size_t k = 0; k < depth; ++k)
      for (std::size_t column = 0; column < columns; ++column)
        result[row * columns + column] += left[row * depth + k] * right[(row / rows * depth + k) * columns + column];
  y.write(result);
}

// The operands in the order of norm_tensors().
void run_norm(const std::vector<Operand>& operands) {
  using Doubles = std::vector<double>;
  const bool is_forward = operands.size() == 7;
  const Sizes dims = operands[0].tensor->dims();
  const auto channels = static_cast<std::size_t>(dims[1]), pixels = static_cast<std::size_t>(dims[2] * dims[3]);
  const std::vector<float> x = operands[0].read(), weight = operands[1].read();
  const double n = static_cast<double>(x.size() / channels);
  const auto for_elements = [&](auto&& f) {  // and their channels
    for (std::size_t i = 0; i < x.size(); ++i) f(i, i / pixels % channels);
  };
  const auto write = [](const Operand& to, const Doubles& values) {
    to.write(std::vector<float>(values.begin(), values.end()));
  };
  Doubles result(x.size());
  if (is_forward) {
    const std::vector<float> bias = operands[4].read();
    Doubles mean(channels), inverse_deviation(channels);
    for_elements([&](std::size_t i, std::size_t c) { mean[c] += x[i] / n; });
    for_elements(
        [&](std::size_t i, std::size_t c) { inverse_deviation[c] += (x[i] - mean[c]) * (x[i] - mean[c]) / n; });
    for (double& each : inverse_deviation) each = 1 / std::sqrt(each + operands[5].number);
    for_elements([&](std::size_t i, std::size_t c) {
      result[i] = (x[i] - mean[c]) * inverse_deviation[c] * weight[c] + bias[c];
    });
    write(operands[2], mean);
    write(operands[3], inverse_deviation);
  } else {
    const std::vector<float> mean = operands[2].read(), inverse_deviation = operands[3].read(), dy = operands[4].read();
    const auto normal = [&](std::size_t i, std::size_t c) { return double(x[i] - mean[c]) * inverse_deviation[c]; };
    Doubles dbias(channels), dweight(channels);
    for_elements([&](std::size_t i, std::size_t c) {
      dbias[c] += dy[i];
      dweight[c] += dy[i] * normal(i, c);
    });
    for_elements([&](std::size_t i, std::size_t c) {
      result[i] = (dy[i] - dbias[c] / n - normal(i, c) * dweight[c] / n) * weight[c] * inverse_deviation[c];
    });
    write(operands[5], dbias);
    write(operands[6], dweight);
  }
  write(operands.back(), result);
}

const std::vector<Reference>& steps_of(const Object& plan) {
  return plan.object(CUDNN_ATTR_EXECUTION_PLAN_ENGINE_CONFIG)
      .object(CUDNN_ATTR_ENGINEHEUR_OPERATION_GRAPH)
      .objects.at(CUDNN_ATTR_OPERATIONGRAPH_OPS);
}

// What is wrong with the memory of a tensor; empty if nothing is.
std::string fault_of_memory(const Object& tensor, const char* memory) {
  const Sizes dims = tensor.dims(), strides = tensor.strides();
  if (!memory) return "a tensor is given no memory";
  const auto alignment = static_cast<std::uintptr_t>(tensor.get<std::int64_t>(CUDNN_ATTR_TENSOR_BYTE_ALIGNMENT));
  if (reinterpret_cast<std::uintptr_t>(memory) % alignment != 0) return "an address is not aligned as was promised";
  return check_operand(memory, static_cast<std::size_t>(position(dims, strides, count(dims) - 1) + 1) * tensor.item());
}

}  // namespace

// Virtual tensors lie in the workspace, one behind the other, each aligned to 16 bytes.
static std::int64_t bytes_in_workspace(const Object& tensor) {
  return (count(tensor.dims()) * static_cast<std::int64_t>(tensor.item()) + 15) / 16 * 16;
}
std::int64_t workspace_of(const Object& plan) {
  std::int64_t bytes = 0;
  for (const Reference& step : steps_of(plan)) {
    const Object& result = *tensors_of(*step).back();
    if (result.is_virtual()) bytes += bytes_in_workspace(result);
  }
  return bytes;
}

std::size_t operands_of(cudnnPointwiseMode_t mode) {
  switch (mode) {
    case CUDNN_POINTWISE_EXP:
    case CUDNN_POINTWISE_LOG:
    case CUDNN_POINTWISE_RELU_FWD:
    case CUDNN_POINTWISE_GEN_INDEX: return 1;
    case CUDNN_POINTWISE_ADD:
    case CUDNN_POINTWISE_SUB:
    case CUDNN_POINTWISE_MUL:
    case CUDNN_POINTWISE_DIV:
    case CUDNN_POINTWISE_CMP_GE: return 2;
    case CUDNN_POINTWISE_BINARY_SELECT: return 3;
    default: return 0;
  }
}

std::string run_plan(cudaStream_t stream, const Reference& plan, const Object& pack) {
  const auto ids = pack.all<std::int64_t>(CUDNN_ATTR_VARIANT_PACK_UNIQUE_IDS);
  const auto addresses = pack.all<char*>(CUDNN_ATTR_VARIANT_PACK_DATA_POINTERS);
  char* workspace = pack.get<char*>(CUDNN_ATTR_VARIANT_PACK_WORKSPACE);
  const std::int64_t needed = workspace_of(*plan);
  const std::string short_of = needed > 0 ? check_operand(workspace, static_cast<std::size_t>(needed)) : "";
  if (!short_of.empty()) return "the workspace: " + short_of;
  std::map<std::int64_t, char*> memory;
  std::map<std::int64_t, float> numbers;  // read now
  for (std::size_t i = 0; i < ids.size(); ++i) memory[ids[i]] = addresses[i];
  for (const Reference& step : steps_of(*plan))
    for (const Object* tensor : tensors_of(*step)) {
      if (tensor->is_number()) {
        if (!memory[tensor->id()]) return "a number is missing";
        std::memcpy(&numbers[tensor->id()], memory[tensor->id()], sizeof(float));
        continue;
      }
      if (tensor->is_virtual() && memory.try_emplace(tensor->id(), workspace).second)
        workspace += bytes_in_workspace(*tensor);
      const std::string fault = fault_of_memory(*tensor, memory[tensor->id()]);
      if (!fault.empty()) return fault;
    }
  enqueue(stream, [plan, memory, numbers] {
    ++gradus_emulated_cudnn_runs;
    for (const Reference& step : steps_of(*plan)) {
      const auto operand = [&](const Object& tensor) {
        if (tensor.is_number()) return Operand{&tensor, nullptr, numbers.at(tensor.id())};
        return Operand{&tensor, memory.at(tensor.id()), 0};
      };
      if (const ConvNames* names = names_of(*step)) {
        run_convolution(*step, *names, operand(step->object(names->x)), operand(step->object(names->weight)),
                        operand(step->object(names->y)));
        continue;
      }
      std::vector<Operand> operands;
      for (const Object* tensor : tensors_of(*step)) operands.push_back(operand(*tensor));
      if (!norm_tensors(*step).empty()) {
        run_norm(operands);
        continue;
      }
      const Operand y = operands.back();
      operands.pop_back();
      if (step->type == CUDNN_BACKEND_OPERATION_MATMUL_DESCRIPTOR) run_product(operands[0], operands[1], y);
      else if (step->type == CUDNN_BACKEND_OPERATION_REDUCTION_DESCRIPTOR) run_reduction(*step, operands[0], y);
      else run_pointwise(*step, operands, y);
    }
  });
  return "";
}

}  // namespace gradus::emulator
