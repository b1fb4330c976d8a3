// Attention: sizes that cross the kernel's tiles, masks, dropout, threads, layouts; positions.

#include "ops/attention.h"

#include <doctest/doctest.h>

#include <cmath>

#include "core/tape.h"
#include "core/threads.h"
#include "derive/gradcheck.h"
#include "ops/arithmetic.h"
#include "ops/comparison.h"
#include "ops/create.h"
#include "ops/exponential.h"
#include "ops/index.h"
#include "ops/matmul.h"
#include "ops/reduce.h"
#include "ops/softmax.h"
#include "ops/view.h"
#include "tests/checks.h"

using namespace gradus;
using checks::distance;
using checks::error_here;

namespace {

struct Inputs {
  Tensor query, key, value;
};

Inputs inputs(const Shape& batch, int64_t t, int64_t s, int64_t e, int64_t ev, Dtype dtype = float64) {
  const auto leaf = [&](int64_t rows, int64_t columns) {
    Shape shape = batch;
    shape.push_back(rows);
    shape.push_back(columns);
    return uniform(shape, -2, 2, dtype).requires_grad();
  };
  return {leaf(t, e), leaf(s, e), leaf(s, ev)};
}

// The definition; `hidden` (bool) is where a query may not look.
Tensor definition(const Inputs& x, const Tensor& hidden = {}, double dropout_p = 0, uint64_t seed = 0) {
  const Tensor scores = matmul(x.query, transpose(x.key, -2, -1)) / std::sqrt(double(x.query.size(-1)));
  Generator generator(seed);
  const Tensor p = softmax(hidden.defined() ? masked_fill(scores, hidden, -INFINITY) : scores, -1);
  return matmul(dropout(p, dropout_p, true, generator), x.value);
}

Tensor causal(int64_t t, int64_t s) { return unsqueeze(arange(t), 1) < arange(s); }

std::vector<Tensor> gradients(const Tensor& y, const Inputs& x, bool create_graph = false) {
  Generator generator(7);
  const Tensor dy = uniform(y.shape(), 0.5, 1.5, y.dtype(), generator);
  return grad({y}, {x.query, x.key, x.value}, {.create_graph = create_graph}, {dy});
}

void check_same(const Tensor& y, const Tensor& expected, const Inputs& x, double allowed = 1e-12) {
  CHECK(distance(y, expected) < allowed);
  const std::vector<Tensor> found = gradients(y, x), wanted = gradients(expected, x);
  for (size_t i = 0; i < 3; ++i) CHECK(distance(found[i], wanted[i]) < allowed * 10);
}

std::vector<std::vector<float>> bits(const Tensor& y, const Inputs& x) {
  std::vector<std::vector<float>> values{y.to_vector<float>()};
  for (const Tensor& gradient : gradients(y, x)) values.push_back(gradient.to_vector<float>());
  return values;
}

}  // namespace

TEST_CASE("attention: values and gradients at sizes that cross tiles") {
  manual_seed(1);
  for (const Shape& sizes : {Shape{1, 1, 1, 1},
                             {64, 128, 8, 8},
                             {63, 127, 3, 5},
                             {65, 129, 8, 3},
                             {1, 300, 4, 4},
                             {200, 1, 4, 2},
                             {130, 70, 5, 4},
                             {140, 270, 2, 7}}) {
    CAPTURE(sizes);
    const int64_t t = sizes[0], s = sizes[1], e = sizes[2], ev = sizes[3];
    const Inputs x = inputs({2, 2}, t, s, e, ev);
    const auto& [query, key, value] = x;
    check_same(scaled_dot_product_attention(query, key, value), definition(x), x);
    check_same(scaled_dot_product_attention(query, key, value, {.is_causal = true}), definition(x, causal(t, s)), x);

    const Tensor hidden = logical_and(bernoulli({t, s}, 0.7), arange(s) > 0);  // each query sees key 0
    check_same(scaled_dot_product_attention(query, key, value, {.attn_mask = logical_not(hidden)}),
               definition(x, hidden), x);
    check_same(scaled_dot_product_attention(query, key, value, {.attn_mask = logical_not(hidden), .is_causal = true}),
               definition(x, logical_or(hidden, causal(t, s))), x);
    const Tensor padding = unsqueeze(logical_and(bernoulli({2, 1, s}, 0.5), arange(s) > 0), 1);  // [2, 1, 1, S]
    check_same(scaled_dot_product_attention(query, key, value, {.attn_mask = logical_not(padding)}),
               definition(x, padding), x);

    const Inputs narrow{to(query, float32).detach().requires_grad(), to(key, float32).detach().requires_grad(),
                        to(value, float32).detach().requires_grad()};
    check_same(scaled_dot_product_attention(narrow.query, narrow.key, narrow.value, {.is_causal = true}),
               definition(narrow, causal(t, s)), narrow, 1e-5);
  }
}

TEST_CASE("attention: gradients of gradients across tiles, with everything on") {
  manual_seed(2);
  const Inputs x = inputs({2}, 66, 130, 3, 2);
  const Tensor mask = uniform({2, 1, 130}, -1, 1, float64);
  const auto f = [&](const Tensor& query, const Tensor& key, const Tensor& value) {
    Generator generator(3);
    return scaled_dot_product_attention(query, key, value, {.attn_mask = mask, .dropout_p = 0.2, .is_causal = true},
                                        generator);
  };
  CHECK(gradcheck(f, {.second_order = true, .fast = true}, x.query, x.key, x.value));
  const std::vector<Tensor> kernel = gradients(f(x.query, x.key, x.value), x),
                            recorded = gradients(f(x.query, x.key, x.value), x, true);
  for (size_t i = 0; i < 3; ++i) CHECK(distance(kernel[i], recorded[i]) < 1e-12);
}

TEST_CASE("attention: dropout is that of the probabilities, and the same for the same seed") {
  manual_seed(3);
  const Inputs x = inputs({3}, 70, 133, 4, 4);
  const auto attention = [&](uint64_t seed, double p, bool is_causal = false) {
    Generator generator(seed);
    return scaled_dot_product_attention(x.query, x.key, x.value, {.dropout_p = p, .is_causal = is_causal}, generator);
  };
  check_same(attention(5, 0.4), definition(x, {}, 0.4, 5), x);
  check_same(attention(6, 0.4, true), definition(x, causal(70, 133), 0.4, 6), x);
  CHECK(bits(attention(5, 0.4), x) == bits(attention(5, 0.4), x));
  CHECK(distance(attention(5, 0.4), attention(6, 0.4)) > 0.1);
  CHECK(distance(attention(5, 1), zeros_like(attention(5, 0))) == 0);

  // Equal scores and values of 1: each result is the part of the probabilities that was kept, times 1 / (1 − p).
  const Tensor kept =
      scaled_dot_product_attention(zeros({4, 100, 2}), zeros({4, 500, 2}), ones({4, 500, 1}), {.dropout_p = 0.25});
  CHECK(mean(kept).item() == doctest::Approx(1).epsilon(0.005));
  CHECK(var(kept).item() == doctest::Approx(0.25 / 0.75 / 500).epsilon(0.2));

  Generator generator(1);
  scaled_dot_product_attention(x.query, x.key, x.value, {}, generator);
  CHECK(generator.state() == GeneratorState{1, 0});  // no number is drawn without dropout
}

TEST_CASE("attention: the same bits at any number of threads") {
  manual_seed(4);
  const int before = num_threads();
  for (bool is_causal : {false, true}) {
    const Inputs x = inputs({2, 4}, 150, 140, 32, 32, float32);
    std::vector<std::vector<std::vector<float>>> results;
    for (int threads : {1, 2, 3}) {
      set_num_threads(threads);
      Generator generator(8);
      results.push_back(bits(
          scaled_dot_product_attention(x.query, x.key, x.value, {.dropout_p = 0.1, .is_causal = is_causal}, generator),
          x));
    }
    CHECK(results[0] == results[1]);
    CHECK(results[0] == results[2]);
  }
  set_num_threads(before);
}

TEST_CASE("attention: a query that may look at nothing gives zeros and gets no gradient") {
  manual_seed(5);
  const Inputs x = inputs({2}, 3, 4, 2, 2);
  const Tensor sees = reshape(tensor({1, 0, 1, 1, 0, 0, 0, 0, 0, 0, 0, 1}) > 0, {3, 4});
  const Tensor added = masked_fill(zeros({3, 4}), logical_not(sees), -INFINITY);
  for (const Tensor& mask : {sees, added, zeros({3, 4}) + added.detach().requires_grad()}) {
    const Tensor y = scaled_dot_product_attention(x.query, x.key, x.value, {.attn_mask = mask});
    CHECK(distance(select(y, 1, 1), zeros({2, 2}, float64)) == 0);
    CHECK(all(isfinite(y)).item());
    for (bool create_graph : {false, true}) {
      const std::vector<Tensor> found = gradients(y, x, create_graph);
      for (const Tensor& gradient : found) CHECK(all(isfinite(gradient)).item());
      CHECK(distance(select(found[0], 1, 1), zeros({2, 2}, float64)) == 0);
      if (!create_graph) break;
    }
  }
  CHECK(all(scaled_dot_product_attention(ones({2, 3}), ones({0, 3}), ones({0, 4})) == 0).item());
  CHECK(scaled_dot_product_attention(ones({0, 3}), ones({5, 3}), ones({5, 4})).shape() == Shape{0, 4});
}

TEST_CASE("attention: scores far apart and large neither overflow nor become NaN") {
  const auto column = [](std::initializer_list<double> values) { return unsqueeze(tensor(values), 1); };
  const Tensor query = column({1e4, -1e4}).requires_grad(), key = column({1e4, 0, -1e4}), value = column({1, 2, 3});
  const Tensor y = scaled_dot_product_attention(query, key, value);
  CHECK(y.to_vector<float>() == std::vector<float>{1, 3});
  sum(y).backward();
  CHECK(query.grad().to_vector<float>() == std::vector<float>{0, 0});
  CHECK(std::isnan(scaled_dot_product_attention(column({NAN}), key, value).item()));
}

TEST_CASE("attention: a mask that needs a gradient gets one") {
  manual_seed(6);
  const Inputs x = inputs({2}, 3, 4, 2, 2);
  const Tensor bias = uniform({3, 4}, -1, 1, float64);
  CHECK(gradcheck(
      [&](const Tensor& mask) {
        return scaled_dot_product_attention(x.query, x.key, x.value, {.attn_mask = mask, .is_causal = true});
      },
      {.second_order = true}, bias));
}

TEST_CASE("attention: heads are read and written where they lie") {
  manual_seed(7);
  const Tensor memory = randn({2, 5, 3 * 12}).requires_grad();  // [B, T, queries | keys | values], 3 heads of 4 each
  const auto heads = [&](int64_t part) {
    return transpose(reshape(narrow(memory, 2, part * 12, 12), {2, 5, 3, 4}), 1, 2);
  };
  const Inputs views{heads(0), heads(1), heads(2)};
  const Tensor y = scaled_dot_product_attention(views.query, views.key, views.value, {.is_causal = true});
  CHECK(y.shape() == Shape{2, 3, 5, 4});
  CHECK(transpose(y, 1, 2).is_contiguous());
  CHECK(distance(y, scaled_dot_product_attention(contiguous(views.query), contiguous(views.key),
                                                 contiguous(views.value), {.is_causal = true})) == 0);
  for (const Tensor& gradient : gradients(y, views)) CHECK(transpose(gradient, 1, 2).is_contiguous());
  check_same(scaled_dot_product_attention(views.query, views.key, views.value, {.is_causal = true}),
             definition(views, causal(5, 5)), views, 1e-6);
}

TEST_CASE("attention: errors") {
  const Tensor x = ones({2, 5, 8});
  CHECK(error_here([&] {
          scaled_dot_product_attention(x, ones({2, 7, 6}), ones({2, 7, 6}));
        }) ==
        "scaled_dot_product_attention: query is [2, 5, 8], key is [2, 7, 6] and value is [2, 7, 6]; they must be [..., "
        "T, "
        "E], [..., S, E] and [..., S, Ev] (here)");
  CHECK(error_here([&] {
          scaled_dot_product_attention(x, x, ones({2, 4, 8}));
        }) ==
        "scaled_dot_product_attention: query is [2, 5, 8], key is [2, 5, 8] and value is [2, 4, 8]; they must be [..., "
        "T, "
        "E], [..., S, E] and [..., S, Ev] (here)");
  CHECK(
      error_here([&] { scaled_dot_product_attention(x, ones({8}), x); }) ==
      "scaled_dot_product_attention: query is [2, 5, 8], key is [8] and value is [2, 5, 8]; they must be [..., T, E], "
      "[..., S, E] and [..., S, Ev] (here)");
  CHECK(error_here([&] { scaled_dot_product_attention(x, x, to(x, float64)); }) ==
        "scaled_dot_product_attention: query, key and value hold float32, float32 and float64; all must be of one "
        "floating-point dtype (here)");
  CHECK(error_here([&] {
          scaled_dot_product_attention(x, ones({3, 5, 8}), x);
        }) ==
        "scaled_dot_product_attention: cannot broadcast [2] with [3]; dimension 0 is 2 on the left and 3 on the right "
        "(here)");
  CHECK(
      error_here([&] {
        scaled_dot_product_attention(x, x, x, {.attn_mask = ones({5, 4})});
      }) ==
      "scaled_dot_product_attention: attn_mask is [5, 4] (float32); it must be bool or floating-point and broadcast to "
      "the scores, [2, 5, 5] (here)");
  CHECK(
      error_here([&] { scaled_dot_product_attention(x, x, x, {.attn_mask = arange(5)}); }) ==
      "scaled_dot_product_attention: attn_mask is [5] (int64); it must be bool or floating-point and broadcast to the "
      "scores, [2, 5, 5] (here)");
  CHECK(error_here([&] { scaled_dot_product_attention(x, x, x, {.dropout_p = 1.5}); }) ==
        "scaled_dot_product_attention: dropout_p must be a probability, not 1.500000 (here)");
  CHECK(error_here([&] {
          rotary(ones({3, 5}));
        }) == "rotary: x is [3, 5] (float32); it must be floating-point and [..., T, E] with an even E (here)");
  for (double base : {0., -2., double(NAN)})
    CHECK(error_here([&] {
            rotary(zeros({3, 4}), 0, base);
          }) == "rotary: base is " + std::to_string(base) + "; it must be positive (here)");
  CHECK(error_here([&] { sinusoidal_positions(3, 5); }) ==
        "sinusoidal_positions: length is 3 and dim 5; they must not be negative, and dim must be even (here)");
}

TEST_CASE("positions: sinusoidal ones are sines and cosines, rotary ones depend on distances only") {
  const Tensor table = sinusoidal_positions(4, 6, 2);
  CHECK(table.shape() == Shape{4, 6});
  CHECK(table.at(0) == doctest::Approx(std::sin(2.)));
  CHECK(table.at(1 * 6 + 3) == doctest::Approx(std::cos(3 * std::pow(10000., -2. / 6))));

  manual_seed(8);
  const Tensor query = randn({1, 8}, float64), key = randn({1, 8}, float64);
  const auto product = [&](int64_t i, int64_t j) { return sum(rotary(query, i) * rotary(key, j)).item<double>(); };
  CHECK(product(7, 3) == doctest::Approx(product(104, 100)));
  CHECK(product(7, 3) != doctest::Approx(product(7, 4)));
  CHECK(distance(rotary(query), query) == 0);
  const Tensor both = rotary(expand(query, {2, 3, 8}), 5);  // positions 5, 6, 7
  CHECK(distance(select(both, 1, 2), expand(rotary(query, 7), {2, 8})) < 1e-15);
  CHECK(rotary(ones({0, 3, 4})).numel() == 0);
}
