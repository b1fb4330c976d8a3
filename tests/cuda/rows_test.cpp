// Softmax, cross-entropy, dropout, linear steps with ReLU and the normalisations on the GPU (or the emulated one)
// against the CPU, at sizes that the operations' samples do not reach: long, odd, single, many and no rows, and numbers
// that are not finite.

#include <doctest/doctest.h>

#include <functional>

#include "core/tape.h"
#include "ops/arithmetic.h"
#include "ops/create.h"
#include "ops/join.h"
#include "ops/loss.h"
#include "ops/matmul.h"
#include "ops/norm.h"
#include "ops/reduce.h"
#include "ops/softmax.h"
#include "ops/view.h"
#include "tests/checks.h"
#include "tests/cuda/cuda_function.h"

using namespace gradus;
using checks::distance;

namespace {

const Device gpu = Device::cuda();
constexpr Dtype dtypes[] = {float64, float32, bfloat16};
using Inputs = std::vector<Tensor>;
using Function = std::function<Tensor(const Inputs&)>;

Tensor here(const Tensor& x) { return to(x.detach(), Device::cpu()); }

// f's result, and the gradients of those inputs that can have one, for an arbitrary gradient of the result.
Inputs results(const Function& f, const Inputs& inputs, Device device) {
  Inputs x, wanted;
  for (const Tensor& each : inputs) {
    x.push_back(each.detach().copied_to(device).requires_grad(is_floating_point(each.dtype())));
    if (is_floating_point(each.dtype())) wanted.push_back(x.back());
  }
  Inputs all{f(x)};
  Generator generator(9);
  const Tensor dy = to(uniform(all[0].shape(), 0.5, 1.5, float64, generator), all[0].dtype());
  for (const Tensor& gradient : grad({all[0]}, wanted, {}, {to(dy, device)})) all.push_back(gradient);
  return all;
}

int cases = 0;

// In each dtype the same on both devices, within its rounding errors; twice on the GPU the same bits.
void compare(const Function& f, const Inputs& inputs, double rounding = 1) {
  for (Dtype dtype : dtypes) {
    ++cases;
    CAPTURE(to_string(dtype));
    Inputs x;
    for (const Tensor& each : inputs) x.push_back(is_floating_point(each.dtype()) ? to(each, dtype) : each);
    const double allowed = rounding * (dtype == float64 ? 1e-13 : dtype == float32 ? 2e-5 : 0x1p-6);
    const Inputs expected = results(f, x, Device::cpu()), found = results(f, x, gpu), again = results(f, x, gpu);
    REQUIRE(found.size() == expected.size());
    for (size_t i = 0; i < found.size(); ++i) {
      CAPTURE(i);
      CHECK(found[i].dtype() == expected[i].dtype());
      CHECK(distance(here(found[i]), expected[i]) <= allowed);
      CHECK(distance(here(found[i]), here(again[i])) == 0);
    }
  }
}

Tensor training_norm(const Inputs& x) { return batch_norm(x[0], {}, {}, x[1], x[2], {.training = true}); }

// x, weight and bias.
Inputs norm_inputs(const Shape& shape, const Shape& affine) {
  return {uniform(shape, -1, 5, float64), uniform(affine, 0.5, 2, float64), uniform(affine, -1, 1, float64)};
}

}  // namespace

TEST_CASE("cuda rows: softmax") {
  manual_seed(1);
  cases = 0;
  for (const Shape& shape : {Shape{}, Shape{1}, Shape{5000}, Shape{0, 7}, Shape{200, 1}, Shape{2100, 3}, Shape{9, 31},
                             Shape{5, 32}, Shape{17, 33}, Shape{13, 1000}, Shape{2, 1023}, Shape{3, 1024},
                             Shape{3, 1025}, Shape{3, 5000}, Shape{2, 3, 257}}) {
    CAPTURE(shape);
    const Inputs x{uniform(shape, -8, 8, float64)};
    compare([](const Inputs& in) { return softmax(in[0], -1); }, x);
    compare([](const Inputs& in) { return log_softmax(in[0], -1); }, x, 10);
    if (shape.dim() == 2 && shape[0] > 0) compare([](const Inputs& in) { return softmax(in[0], 0); }, x);
    // Sums of 1e4 have few digits left for what distinguishes the elements.
    compare([](const Inputs& in) { return softmax(in[0] + 1e4, -1); }, x);
  }
  const Tensor empty_rows = zeros({7, 0}, float32, gpu).requires_grad(), y = softmax(empty_rows, -1);
  CHECK(y.shape() == Shape{7, 0});
  CHECK(grad({y}, {empty_rows}, {}, {y.detach()})[0].shape() == Shape{7, 0});
  MESSAGE(cases << " cases");
}

TEST_CASE("cuda rows: more rows than there are warps in a grid") {
  const Tensor x = uniform({33000, 2}, -3, 3);
  CHECK(distance(here(softmax(to(x, gpu), 1)), softmax(x, 1)) < 1e-6);
  CHECK(distance(here(layer_norm(to(x, gpu), {2}, {}, {}, 0.1)), layer_norm(x, {2}, {}, {}, 0.1)) < 1e-5);
}

TEST_CASE("cuda rows: softmax of numbers that are not finite") {
  for (int64_t n : {1, 5, 33, 1500})
    for (double odd : {double(-INFINITY), double(NAN), double(INFINITY)})
      for (int which : {0, 1, 2}) {  // one such number, at the end; all; all but one
        CAPTURE(n);
        CAPTURE(odd);
        CAPTURE(which);
        std::vector<double> values(size_t(3 * n), 0.25);
        for (int64_t i = 0; i < n; ++i)
          if (which == 1 || (i == n - 1) == (which == 0)) values[size_t(n + i)] = odd;
        const Tensor x(values, {3, n}), classes = full({3}, double(n - 1), int64);
        compare([](const Inputs& in) { return softmax(in[0], -1); }, {x});
        compare([](const Inputs& in) { return log_softmax(in[0], -1); }, {x});
        compare([](const Inputs& in) { return cross_entropy(in[0], in[1], {.reduction = LossReduction::none}); },
                {x, classes});
      }
}

TEST_CASE("cuda rows: cross-entropy") {
  manual_seed(3);
  cases = 0;
  for (const Shape& shape : {Shape{1, 1}, Shape{4, 1}, Shape{1000, 10}, Shape{0, 7}, Shape{9, 31}, Shape{17, 33},
                             Shape{13, 1000}, Shape{1, 1025}, Shape{3, 5000}, Shape{4, 37, 3, 5}}) {
    CAPTURE(shape);
    Shape rows = shape;
    rows.erase(1);
    const Tensor x = uniform(shape, -8, 8, float64), classes = randint(0, shape[1], rows);
    for (const CrossEntropyOptions& options : {
             CrossEntropyOptions{.reduction = LossReduction::none},
             CrossEntropyOptions{.label_smoothing = 0.1},
             CrossEntropyOptions{.ignore_index = shape[1] - 1, .label_smoothing = 1, .reduction = LossReduction::sum},
         })
      compare([&](const Inputs& in) { return cross_entropy(in[0], in[1], options); }, {x, classes}, 10);
    compare([](const Inputs& in) { return nll_loss(in[0], in[1]); }, {x, classes}, 10);
  }
  // What is ignored may be anything.
  const Tensor x({1, 2, NAN, INFINITY}, {2, 2}), classes = to(Tensor({1, -100}, {2}), int64);
  compare([](const Inputs& in) { return cross_entropy(in[0], in[1]); }, {x, classes});
  MESSAGE(cases << " cases");
}

TEST_CASE("cuda rows: normalisation of rows") {
  manual_seed(4);
  cases = 0;
  for (const Shape& shape :
       {Shape{1, 31}, Shape{1, 33}, Shape{3, 1000}, Shape{2, 1025}, Shape{2, 5000}, Shape{5000}, Shape{1500, 3},
        Shape{700, 33}, Shape{0, 5}, Shape{3, 0}, Shape{40, 1}, Shape{3, 7, 129}}) {
    CAPTURE(shape);
    const Shape row{shape.back()};
    const Inputs x = norm_inputs(shape, row);
    compare([&](const Inputs& in) { return layer_norm(in[0], row, in[1], in[2]); }, x, 10);
    compare([&](const Inputs& in) { return rms_norm(in[0], row, in[1]); }, {x[0], x[1]}, 10);
  }
  compare(
      [](const Inputs& in) {
        return layer_norm(in[0], {7, 5}, in[1], in[2]);
      },
      norm_inputs({40, 7, 5}, {7, 5}), 10);
  MESSAGE(cases << " cases");
}

TEST_CASE("cuda rows: normalisation of channels") {
  manual_seed(5);
  cases = 0;
  for (const Shape& shape : {Shape{64, 300}, Shape{2, 1}, Shape{1000, 33}, Shape{130, 24}, Shape{37, 33},
                             Shape{300, 31, 3}, Shape{8, 7, 5, 9}, Shape{600, 3, 7, 1}, Shape{250, 2, 50},
                             Shape{3, 5, 40, 41}, Shape{1, 4, 33, 70}, Shape{1, 40, 3}, Shape{11, 2, 1200}}) {
    CAPTURE(shape);
    const int64_t channels = shape[1];
    const Inputs x = norm_inputs(shape, {channels});
    compare(training_norm, x, 30);
    const Tensor mean = uniform({channels}, 1, 3, float64), variance = uniform({channels}, 0.5, 4, float64);
    compare(
        [&](const Inputs& in) {
          const auto given = [&](const Tensor& values) { return to(to(values, in[0].dtype()), in[0].device()); };
          return batch_norm(in[0], given(mean), given(variance), in[1], in[2]);
        },
        x, 30);
    if (shape.dim() < 3 || x[0].numel() / (shape[0] * channels) < 5) continue;  // groups of 3 may lie close together
    compare([](const Inputs& in) { return instance_norm(in[0], in[1], in[2]); }, x, 30);
    for (int64_t groups : {int64_t(1), channels})
      compare([&](const Inputs& in) { return group_norm(in[0], groups, in[1], in[2]); }, x, 30);
  }
  const Function in_groups = [](const Inputs& in) { return group_norm(in[0], 3, in[1], in[2]); };
  for (const Shape& shape : {Shape{50, 12}, Shape{5, 12, 1}, Shape{4, 12, 7}, Shape{3, 6, 20, 31}})
    compare(in_groups, norm_inputs(shape, {shape[1]}), 30);
  // Nothing to normalise: given statistics, and gradients that are 0.
  compare([](const Inputs& in) { return batch_norm(in[0], in[2], in[1], in[1], in[2]); },
          norm_inputs({0, 3, 2, 2}, {3}));
  MESSAGE(cases << " cases");
}

TEST_CASE("cuda rows: batch norm by cuDNN") {
  manual_seed(9);
  const auto compare_all = [&](const std::string& engines) {
    for (const Shape& shape : {Shape{12, 16}, Shape{4, 24, 9}, Shape{3, 8, 5, 7}, Shape{1, 8, 2, 3}, Shape{4, 12, 3}}) {
      CAPTURE(engines);
      CAPTURE(shape);
      const int64_t runs = engines == "all" && shape[1] % 8 == 0, channels = shape[1];
      const Inputs x = norm_inputs(shape, {channels});
      // What is computed twice in bfloat16, forward and backward.
      check_cudnn_runs(4 * runs, [&] { compare(training_norm, x, 4); });
      check_cudnn_runs(
          0, [&] { compare([](const Inputs& in) { return batch_norm(in[0], in[2], in[1], in[1], in[2]); }, x, 4); });
      // x and the gradient of y begin at odd places.
      const Inputs odd{uniform({x[0].numel() + 1}, -1, 5, float64), x[1], x[2]};
      const auto at_odd_places = [&](const Inputs& in) {
        const Tensor first = narrow(in[0], 0, 0, 1), rest = reshape(narrow(in[0], 0, 1, shape.numel()), shape);
        return cat({first, flatten(training_norm({rest, in[1], in[2]}))});
      };
      check_cudnn_runs(4 * runs, [&] { compare(at_odd_places, odd, 4); });
      check_cudnn_runs(runs, [&] {
        const auto statistics = [&](Device device) {
          const Tensor mean = zeros({channels}, float32, device), variance = ones({channels}, float32, device);
          batch_norm(to(to(x[0], bfloat16), device), mean, variance, {}, {}, {.training = true});
          return std::pair(here(mean), here(variance));
        };
        const auto [mean, variance] = statistics(Device::cpu());
        const auto [found_mean, found_variance] = statistics(gpu);
        CHECK(distance(found_mean, mean) < 1e-6);
        CHECK(distance(found_variance, variance) < 1e-6);
      });
    }
    // As many rows as columns, and channels of several images, are none for cuDNN.
    check_cudnn_runs(0, [] {
      compare([](const Inputs& in) { return layer_norm(in[0], {16}, in[1], in[2]); }, norm_inputs({16, 16}, {16}), 4);
      compare([](const Inputs& in) { return instance_norm(in[0], in[1], in[2]); }, norm_inputs({3, 8, 5, 7}, {8}), 4);
    });
    // Variances that are nothing beside eps, or not finite.
    for (double value : {3., double(NAN)}) {
      const Tensor x = full({6, 8}, value, bfloat16, gpu).requires_grad();
      const Tensor mean = zeros({8}, float32, gpu), variance = ones({8}, float32, gpu);
      const Tensor y = batch_norm(x, mean, variance, {}, {}, {.training = true, .momentum = 1});
      const double nothing = 0 * value;
      CHECK(distance(here(y), full({6, 8}, nothing)) <= 1e-3);
      CHECK(distance(here(mean), full({8}, value)) <= 1e-6);
      CHECK(distance(here(variance), full({8}, nothing)) <= 1e-11);
      CHECK(distance(here(grad(sum(y), x)), full({6, 8}, nothing)) <= 1e-3);
    }
  };
  for (const char* engines : {"all", "float32"}) with_cudnn_engines(engines, [&] { compare_all(engines); });
}

TEST_CASE("cuda rows: linear steps with ReLU") {
  const auto compare_all = [](const std::string& engines) {
    manual_seed(8);
    struct Sizes {
      int64_t rows, features, outputs;
    };
    for (const auto& [rows, features, outputs] :
         std::vector<Sizes>{{64, 48, 32}, {1, 16, 16}, {77, 33, 65}, {5, 1, 3}, {4, 0, 3}}) {
      const Inputs x{uniform({rows, features}, -1, 1, float64), uniform({outputs, features}, -1, 1, float64),
                     uniform({outputs}, -1, 1, float64)};
      CAPTURE(x[1].shape());
      const int64_t runs = engines == "all" && features > 0;  // forward, in bfloat16, which is computed twice
      const auto with_relu = [](const Inputs& in) { return linear(in[0], in[1], in[2], {.relu = true}); };
      check_cudnn_runs(2 * runs, [&] { compare(with_relu, x, 2); });
      // Operands that do not lie row by row, or begin at odd places.
      const Inputs turned{contiguous(t(x[0])), contiguous(t(x[1])), cat({x[2], x[2]})};
      check_cudnn_runs(2 * runs, [&] {
        compare(
            [&](const Inputs& in) {
              return with_relu({t(in[0]), t(in[1]), narrow(in[2], 0, x[2].numel() / 2, x[2].numel())});
            },
            turned, 2);
      });
      check_cudnn_runs(0, [&] {
        compare([](const Inputs& in) { return linear(in[0], in[1], {}, {.relu = true}); }, {x[0], x[1]}, 2);
      });
    }
    const Tensor numbers = to(Tensor({1, NAN, -1}, {3, 1}), gpu), one = ones({1, 1}, float32, gpu);
    for (Dtype dtype : dtypes) {
      const Tensor y = here(linear(to(numbers, dtype), to(one, dtype), zeros({1}, dtype, gpu), {.relu = true}));
      CHECK(y.at(0) == 1);
      CHECK(std::isnan(y.at(1)));
      CHECK(y.at(2) == 0);
    }
  };
  for (const char* engines : {"all", "float32"}) with_cudnn_engines(engines, [&] { compare_all(engines); });
}

TEST_CASE("cuda rows: running statistics of batch norm") {
  manual_seed(6);
  for (const Shape& shape : {Shape{64, 300}, Shape{2, 32776}, Shape{8, 7, 5, 9}, Shape{11, 2, 1200}}) {
    const Tensor x = uniform(shape, -1, 5, float64);
    const auto statistics = [&](Device device) {
      const Tensor mean = zeros({shape[1]}, float64, device), variance = ones({shape[1]}, float64, device);
      batch_norm(to(x, device), mean, variance, {}, {}, {.training = true, .momentum = 0.3});
      return std::pair(here(mean), here(variance));
    };
    const auto [mean, variance] = statistics(Device::cpu());
    const auto [found_mean, found_variance] = statistics(gpu);
    CHECK(distance(found_mean, mean) < 1e-14);
    CHECK(distance(found_variance, variance) < 1e-14);
  }
}

TEST_CASE("cuda rows: normalisation stays accurate far from 0") {
  manual_seed(7);
  const Tensor x = normal({16, 8, 30, 30}, 1e4, 1), exact = to(x, float64);
  const auto check = [](const auto& f, const Tensor& in, const Tensor& in_double) {
    const Tensor y = here(f(to(in, gpu))), expected = f(in_double);
    CHECK(distance(y, expected) < 1e-3);  // of x only ±5e-4 is known
    CHECK(gradus::std(y).item<double>() == doctest::Approx(1).epsilon(1e-5));
  };
  const auto batch = [](const Tensor& in) { return batch_norm(in, {}, {}, {}, {}, {.training = true}); };
  check(batch, x, exact);
  check(batch, reshape(x, {-1, 100}), reshape(exact, {-1, 100}));
  for (const Shape& row : {Shape{30}, Shape{30, 30}, Shape{8, 30, 30}})
    check([&](const Tensor& in) { return layer_norm(in, row); }, x, exact);
}

TEST_CASE("cuda rows: a number that is not finite stays in its group") {
  for (double odd : {double(NAN), double(INFINITY)})
    for (int64_t n : {4, 1100}) {
      std::vector<double> values;
      for (int64_t i = 0; i < 6 * n; ++i) values.push_back(double(i * i % 7));
      values[size_t(2 * n + 1)] = odd;
      const Tensor x(values, {2, 3, n}), ones_3 = ones({3}), ones_n = ones({n});
      compare([](const Inputs& in) { return layer_norm(in[0], {in[0].size(2)}, in[1], in[1]); }, {x, ones_n}, 10);
      compare([](const Inputs& in) { return instance_norm(in[0], in[1], in[1]); }, {x, ones_3}, 10);
      compare([](const Inputs& in) { return training_norm({in[0], in[1], in[1]}); }, {x, ones_3}, 10);
    }
}

TEST_CASE("cuda rows: dropout keeps the same elements as on the CPU, bit for bit") {
  manual_seed(8);
  for (int64_t n : {0, 1, 3, 4, 5, 1023, 4097, 70001})
    for (double p : {0.1, 0.5, 1.})
      for (Dtype dtype : dtypes) {
        CAPTURE(n);
        CAPTURE(p);
        const Tensor x = to(uniform({n}, -3, 3, float64), dtype);
        const auto dropped = [&](const Tensor& in) {
          Generator generator(77);
          generator.set_state({0xfedcba9876543210, (uint64_t(1) << 33) - 3});  // counters beyond 32 bits
          return dropout(in, p, true, generator);
        };
        CHECK(here(dropped(to(x, gpu))).to_vector<double>() == dropped(x).to_vector<double>());
        const Tensor wide = to(uniform({2 * n, 3}, -3, 3, float64), dtype);
        const auto odd_rows = [](const Tensor& in) { return t(slice(in, 0, 1, std::max<int64_t>(in.size(0), 1), 2)); };
        CHECK(here(dropped(odd_rows(to(wide, gpu)))).to_vector<double>() ==
              dropped(odd_rows(wide)).to_vector<double>());
      }
}
