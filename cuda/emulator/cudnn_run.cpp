// What a graph of the emulated cuDNN computes, in plain loops.

#include <algorithm>

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
  char* memory;

  std::vector<float> read() const {
    const Sizes dims = tensor->dims(), strides = tensor->strides();
    std::vector<float> values(static_cast<std::size_t>(count(dims)));
    for (std::size_t i = 0; i < values.size(); ++i) {
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

void run_addition(const Operand& x, const Operand& b, const Operand& y) {
  const Sizes dims = x.tensor->dims(), size = b.tensor->dims();
  Sizes steps(dims.size(), 0);  // through b, 0 where it is broadcast
  std::int64_t step = 1;
  for (std::size_t d = dims.size(); d-- > 0; step *= size[d])
    if (size[d] > 1) steps[d] = step;
  std::vector<float> result = x.read();
  const std::vector<float> added = b.read();
  for (std::size_t i = 0; i < result.size(); ++i)
    result[i] += added[static_cast<std::size_t>(position(dims, steps, static_cast<std::int64_t>(i)))];
  y.write(result);
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

// Virtual tensors lie in the workspace, one behind the other.
std::int64_t workspace_of(const Object& plan) {
  std::int64_t bytes = 0;
  for (const Reference& step : steps_of(plan)) {
    const Object& result = *tensors_of(*step).back();
    if (result.is_virtual()) bytes += count(result.dims()) * static_cast<std::int64_t>(result.item());
  }
  return bytes;
}

std::string run_plan(cudaStream_t stream, const Reference& plan, const Object& pack) {
  const auto ids = pack.all<std::int64_t>(CUDNN_ATTR_VARIANT_PACK_UNIQUE_IDS);
  const auto addresses = pack.all<char*>(CUDNN_ATTR_VARIANT_PACK_DATA_POINTERS);
  char* workspace = pack.get<char*>(CUDNN_ATTR_VARIANT_PACK_WORKSPACE);
  const std::int64_t needed = workspace_of(*plan);
  const std::string short_of = needed > 0 ? check_operand(workspace, static_cast<std::size_t>(needed)) : "";
  if (!short_of.empty()) return "the workspace: " + short_of;
  std::map<std::int64_t, char*> memory;
  for (std::size_t i = 0; i < ids.size(); ++i) memory[ids[i]] = addresses[i];
  for (const Reference& step : steps_of(*plan))
    for (const Object* tensor : tensors_of(*step)) {
      if (tensor->is_virtual() && memory.try_emplace(tensor->id(), workspace).second)
        workspace += count(tensor->dims()) * static_cast<std::int64_t>(tensor->item());
      const std::string fault = fault_of_memory(*tensor, memory[tensor->id()]);
      if (!fault.empty()) return fault;
    }
  enqueue(stream, [plan, memory] {
    ++gradus_emulated_cudnn_runs;
    for (const Reference& step : steps_of(*plan)) {
      const auto operand = [&](cudnnBackendAttributeName_t name) {
        return Operand{&step->object(name), memory.at(step->object(name).id())};
      };
      if (const ConvNames* names = names_of(*step))
        run_convolution(*step, *names, operand(names->x), operand(names->weight), operand(names->y));
      else
        run_addition(operand(CUDNN_ATTR_OPERATION_POINTWISE_XDESC), operand(CUDNN_ATTR_OPERATION_POINTWISE_BDESC),
                     operand(CUDNN_ATTR_OPERATION_POINTWISE_YDESC));
    }
  });
  return "";
}

}  // namespace gradus::emulator
