#include "ops/create.h"

#include <algorithm>
#include <cmath>
#include <numbers>
#include <numeric>

#include "core/constant.h"
#include "ops/assign.h"
#include "ops/cpu/gather.h"
#include "ops/cpu/parallel.h"
#include "ops/kernels.h"

namespace gradus {
namespace {

__extension__ using Wide = unsigned __int128;

void require_floating_point(const char* operation, Dtype dtype) {
  if (!is_floating_point(dtype))
    fail(std::string(operation) + ": random real numbers need a floating-point dtype, not " + to_string(dtype));
}

// Fills y with `values(counter, out)`, which makes the `each` values of one Philox counter.
template <class T, int each, class F> void fill_random(const Tensor& y, Generator& generator, F&& values) {
  T* out = cpu::pointer<T>(y);
  const int64_t n = y.numel(), counters = (n + each - 1) / each;
  const GeneratorState first = generator.reserve(uint64_t(counters));
  cpu::parallel_for(counters, cpu::parallel_grain / 4, [&](int64_t begin, int64_t end) {
    for (int64_t i = begin; i < end; ++i) {
      T made[each];
      values(philox(first.seed, first.offset + uint64_t(i)), made);
      for (int k = 0; k < each && i * each + k < n; ++k) out[i * each + k] = made[k];
    }
  });
}

// Random numbers in y, from `from_float(four words)` or, for float64, `from_double(two pairs of words)`.
template <class F> Tensor random(const Shape& shape, Dtype dtype, Generator& generator, F&& transform) {
  const Tensor y = Tensor::empty(shape, dtype);
  visit(dtype, [&]<class T>() {
    if constexpr (std::is_same_v<T, double>) {
      fill_random<T, 2>(y, generator, [&](const std::array<uint32_t, 4>& words, T* out) {
        double u[2] = {to_uniform(words[0], words[1]), to_uniform(words[2], words[3])};
        transform(u, out);
      });
    } else if constexpr (is_floating_point(dtype_of<T>())) {
      fill_random<T, 4>(y, generator, [&](const std::array<uint32_t, 4>& words, T* out) {
        for (int k = 0; k < 4; k += 2) {
          float u[2] = {to_uniform(words[size_t(k)]), to_uniform(words[size_t(k) + 1])};
          transform(u, out + k);
        }
      });
    }
  });
  return y;
}

}  // namespace

Tensor full(const Shape& shape, double value, Dtype dtype, Device device) {
  const Tensor y = Tensor::empty(shape, dtype, device);
  fill(y, value);
  return y;
}
Tensor zeros(const Shape& shape, Dtype dtype, Device device) { return full(shape, 0, dtype, device); }
Tensor ones(const Shape& shape, Dtype dtype, Device device) { return full(shape, 1, dtype, device); }
Tensor full_like(const Tensor& other, double value) {
  return full(other.shape(), value, other.dtype(), other.device());
}
Tensor zeros_like(const Tensor& other) { return full_like(other, 0); }
Tensor ones_like(const Tensor& other) { return full_like(other, 1); }

Tensor arange(double start, double end, double step, Dtype dtype, Device device) {
  if (step == 0 || !std::isfinite((end - start) / step)) fail("arange: the step must lead from start to end");
  const int64_t count = std::max<int64_t>(0, int64_t(std::ceil((end - start) / step)));
  const Tensor y = Tensor::empty({count}, dtype, device);
  if (!device.is_cpu() && count > 0) {
    const auto make = [&] { return arange(start, end, step, dtype); };
    kernels(y).copy(constant("arange", {start, end, step, double(dtype)}, device, make), y);
    return y;
  }
  visit(dtype, [&]<class T>() {
    for (int64_t i = 0; i < count; ++i) cpu::pointer<T>(y)[i] = convert<T>(start + double(i) * step);
  });
  return y;
}

Tensor arange(int64_t end, Device device) { return arange(0, double(end), 1, int64, device); }

Tensor linspace(double start, double end, int64_t count, Dtype dtype) {
  if (count < 1) fail("linspace: at least one number is needed, not " + std::to_string(count));
  const Tensor y = Tensor::empty({count}, dtype);
  const double step = count > 1 ? (end - start) / double(count - 1) : 0;
  visit(dtype, [&]<class T>() {
    for (int64_t i = 0; i < count; ++i)
      cpu::pointer<T>(y)[i] = convert<T>(i == count - 1 && count > 1 ? end : start + double(i) * step);
  });
  return y;
}

Tensor eye(int64_t n, Dtype dtype) {
  const Tensor y = zeros({n, n}, dtype);
  fill(y.alias({n}, {n + 1}, 0), 1);
  return y;
}

Tensor uniform(const Shape& shape, double low, double high, Dtype dtype, Generator& generator) {
  require_floating_point("uniform", dtype);
  return random(shape, dtype, generator, [&](auto u, auto out) {
    for (int k = 0; k < 2; ++k) out[k] = convert<std::remove_cvref_t<decltype(*out)>>(low + (high - low) * u[k]);
  });
}

Tensor rand(const Shape& shape, Dtype dtype, Generator& generator) { return uniform(shape, 0, 1, dtype, generator); }

Tensor normal(const Shape& shape, double mean, double standard_deviation, Dtype dtype, Generator& generator) {
  require_floating_point("normal", dtype);
  return random(shape, dtype, generator, [&](auto u, auto out) {
    using Uniform = std::remove_reference_t<decltype(*u)>;
    const Uniform radius = std::sqrt(Uniform(-2) * std::log(1 - u[0])), angle = Uniform(2 * std::numbers::pi) * u[1];
    out[0] = convert<std::remove_cvref_t<decltype(*out)>>(mean + standard_deviation * radius * std::cos(angle));
    out[1] = convert<std::remove_cvref_t<decltype(*out)>>(mean + standard_deviation * radius * std::sin(angle));
  });
}

Tensor randn(const Shape& shape, Dtype dtype, Generator& generator) { return normal(shape, 0, 1, dtype, generator); }

Tensor randint(int64_t low, int64_t high, const Shape& shape, Generator& generator) {
  if (low >= high)
    fail("randint: there is no integer from " + std::to_string(low) + " up to but excluding " + std::to_string(high));
  const Tensor y = Tensor::empty(shape, int64);
  const uint64_t range = uint64_t(high) - uint64_t(low);
  fill_random<int64_t, 2>(y, generator, [&](const std::array<uint32_t, 4>& words, int64_t* out) {
    for (size_t k = 0; k < 2; ++k) {  // the upper half of a 128-bit product; its bias is below range / 2^64
      const uint64_t word = uint64_t(words[2 * k]) << 32 | words[2 * k + 1];
      out[k] = int64_t(uint64_t(low) + uint64_t((Wide(word) * range) >> 64));
    }
  });
  return y;
}

Tensor randperm(int64_t n, Generator& generator) {
  const Tensor y = arange(n);
  const GeneratorState first = generator.reserve(uint64_t(n));
  int64_t* out = cpu::pointer<int64_t>(y);
  for (int64_t i = n - 1; i > 0; --i) {
    const std::array<uint32_t, 4> words = philox(first.seed, first.offset + uint64_t(i));
    const uint64_t word = uint64_t(words[0]) << 32 | words[1];
    std::swap(out[i], out[(Wide(word) * uint64_t(i + 1)) >> 64]);
  }
  return y;
}

Tensor bernoulli(const Shape& shape, double probability, Generator& generator) {
  if (!(probability >= 0 && probability <= 1))
    fail("bernoulli: " + std::to_string(probability) + " is not a probability");
  const Tensor y = Tensor::empty(shape, boolean);
  fill_random<bool, 4>(y, generator, [&](const std::array<uint32_t, 4>& words, bool* out) {
    for (size_t k = 0; k < 4; ++k) out[k] = to_uniform(words[k]) < probability;
  });
  return y;
}

}  // namespace gradus
