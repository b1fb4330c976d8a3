// Recurrences and attention on the GPU (or the emulated one) against the CPU: values and gradients at sizes that the
// operations' samples do not reach: several tiles, odd and single sizes, every layout of heads.

#include <doctest/doctest.h>

#include <functional>

#include "core/tape.h"
#include "ops/arithmetic.h"
#include "ops/attention.h"
#include "ops/comparison.h"
#include "ops/create.h"
#include "ops/index.h"
#include "ops/rnn.h"
#include "ops/view.h"
#include "tests/checks.h"
#include "tests/cuda/cuda_function.h"

using namespace gradus;
using checks::distance;

namespace {

const Device gpu = Device::cuda();
using Inputs = std::vector<Tensor>;
using Function = std::function<Tensor(const Inputs&)>;

Tensor here(const Tensor& x) { return to(x.detach(), Device::cpu()); }

// f's result, and the gradients of its inputs, for an arbitrary gradient of the result.
Inputs results(const Function& f, const Inputs& inputs, Device device) {
  Inputs x;
  for (const Tensor& each : inputs) x.push_back(each.detach().copied_to(device).requires_grad());
  Inputs all{f(x)};
  Generator generator(9);
  const Tensor dy = to(uniform(all[0].shape(), -1, 1, float64, generator), all[0].dtype());
  for (const Tensor& gradient : grad({all[0]}, x, {}, {to(dy, device)})) all.push_back(gradient);
  return all;
}

int cases = 0;

// The same on both devices, within the rounding errors of the inputs' dtype; if `twice`, the same bits again.
void compare(const Function& f, const Inputs& x, bool twice) {
  ++cases;
  CAPTURE(to_string(x[0].dtype()));
  const double allowed = x[0].dtype() == float64 ? 1e-11 : x[0].dtype() == float32 ? 1e-4 : 0x1p-5;
  const Inputs expected = results(f, x, Device::cpu()), found = results(f, x, gpu);
  const Inputs again = twice ? results(f, x, gpu) : found;
  for (size_t i = 0; i < found.size(); ++i) {
    CAPTURE(i);
    CHECK(found[i].dtype() == expected[i].dtype());
    CHECK(distance(here(found[i]), expected[i]) <= allowed);
    CHECK(distance(here(found[i]), here(again[i])) == 0);
  }
}

void compare(const Function& f, const Inputs& x) { compare(f, x, x[0].dtype() == float32); }

Inputs converted(const Inputs& x, Dtype dtype) {
  Inputs all;
  for (const Tensor& each : x) all.push_back(to(each, dtype));
  return all;
}

// Heads as they leave a linear layer: [B, T, heads, E] seen as [B, heads, T, E].
Tensor heads(int64_t batch, int64_t count, int64_t steps, int64_t size) {
  return transpose(uniform({batch, steps, count, size}, -2, 2, float64), 1, 2);
}

struct AttentionSize {
  int64_t queries, keys, size, value_size;
};
constexpr AttentionSize attention_sizes[] = {
    {1, 1, 1, 1},    {1, 130, 3, 80},   {5, 65, 32, 3},    {65, 5, 80, 32},  {65, 65, 33, 1},
    {130, 70, 1, 3}, {32, 64, 32, 128}, {3, 40, 130, 150}, {40, 3, 150, 12}, {5, 4, 4, 140},
};

}  // namespace

TEST_CASE("cuda sequences: recurrences") {
  manual_seed(1);
  cases = 0;
  for (Recurrence kind : {Recurrence::rnn_tanh, Recurrence::rnn_relu, Recurrence::lstm, Recurrence::gru})
    for (int64_t steps : {1, 7, 70})
      for (int64_t batch : {1, 5})
        for (int64_t n : {1, 33, 64}) {
          CAPTURE(int(kind));
          CAPTURE(Shape({steps, batch, n}));
          const int64_t width = gate_count(kind) * n;
          const double bound = 1 / std::sqrt(double(n));
          const Inputs x{uniform({steps, batch, width}, -1, 1, float64),
                         uniform({state_count(kind), batch, n}, -1, 1, float64),
                         uniform({width, n}, -bound, bound, float64), uniform({width}, -bound, bound, float64)};
          std::vector<double> lengths;
          for (int64_t b = 0; b < batch; ++b) lengths.push_back(double(b * 3 % (steps + 1)));
          for (bool reverse : {false, true})
            for (bool has_lengths : {false, true}) {
              const auto run = [&](const Inputs& in) {
                RecurrenceOptions options{.reverse = reverse};
                if (has_lengths) options.lengths = Tensor(lengths, {batch}, int64).copied_to(in[0].device());
                return recurrence(kind, in[0], in[1], in[2], in[3], options);
              };
              compare(run, x);
              compare(run, converted(x, float32));
              const NoGrad without_backward;  // one step's values for all
              CHECK(distance(
                        here(run({x[0].copied_to(gpu), x[1].copied_to(gpu), x[2].copied_to(gpu), x[3].copied_to(gpu)})),
                        run(x)) <= 1e-11);
            }
        }
  const Tensor none = recurrence(Recurrence::lstm, zeros({0, 2, 12}, float32, gpu), ones({2, 2, 3}, float32, gpu),
                                 zeros({12, 3}, float32, gpu));
  CHECK(distance(here(none), ones({2, 1, 2, 3})) == 0);
  MESSAGE(cases << " cases");
}

TEST_CASE("cuda sequences: attention") {
  manual_seed(2);
  cases = 0;
  for (const auto& [queries, keys, size, value_size] : attention_sizes) {
    const Shape sizes{queries, keys, size, value_size};
    CAPTURE(sizes);
    const Inputs contiguous{uniform({2, 1, queries, size}, -2, 2, float64), uniform({2, 1, keys, size}, -2, 2, float64),
                            uniform({2, 1, keys, value_size}, -2, 2, float64)};
    // Two items of two heads each; keys of one item for both, values of one head for both.
    const Inputs of_heads{heads(2, 2, queries, size), heads(1, 2, keys, size), heads(2, 1, keys, value_size)};
    const Inputs columns{uniform({size, queries}, -2, 2, float64), uniform({size, keys}, -2, 2, float64),
                         uniform({value_size, keys}, -2, 2, float64)};
    const Inputs of_columns{t(columns[0]), t(columns[1]), t(columns[2])};
    // Some queries see no key at all; a mask for all heads, and one for all items and queries.
    const Tensor sees_some =
        logical_and(uniform({2, 1, queries, keys}, 0, 1) > 0.4, unsqueeze(arange(queries), 1) != 2);
    const Tensor added = uniform({keys}, -1, 1);
    for (const Inputs& x : {contiguous, of_heads, of_columns})
      for (bool is_causal : {false, true})
        for (int mask = 0; mask < 3; ++mask) {
          if (x[0].dim() == 2 && mask == 1) continue;
          for (double dropout_p : {0., 0.3}) {
            if (mask == 2 && (dropout_p > 0) == is_causal) continue;
            CAPTURE(is_causal);
            CAPTURE(mask);
            CAPTURE(dropout_p);
            const auto run = [&](const Inputs& in) {
              Generator generator(5);
              AttentionOptions options{.dropout_p = dropout_p, .is_causal = is_causal};
              if (mask > 0) options.attn_mask = to(mask == 1 ? sees_some : added, in[0].device());
              return scaled_dot_product_attention(in[0], in[1], in[2], options, generator);
            };
            compare(run, x);
            compare(run, converted(x, float32));
            compare(run, converted(x, bfloat16));
          }
        }
  }
  MESSAGE(cases << " cases");
}

TEST_CASE("cuda sequences: attention by cuDNN") {
  manual_seed(3);
  struct Case {
    const char* name;
    Inputs x;
    AttentionOptions options = {};
    bool by_cudnn = true;
  };
  const auto random = [](const Shape& shape) { return to(uniform(shape, -1, 1), bfloat16); };
  const auto side_by_side = [&](int64_t steps, int64_t size) { return transpose(random({2, steps, 3, size}), 1, 2); };
  const Tensor q = random({2, 3, 70, 16}), k = random({2, 3, 40, 16}), v = random({2, 3, 40, 24});
  const Case all[] = {
      {"all keys", {q, k, v}},
      {"causal", {q, k, v}, {.is_causal = true}},
      {"more keys than queries, causal", {k, q, q}, {.is_causal = true}},
      {"another scale", {q, k, v}, {.is_causal = true, .scale = 0.5}},
      {"heads side by side", {side_by_side(33, 8), side_by_side(35, 8), side_by_side(35, 16)}},
      {"three dimensions", {random({4, 5, 8}), random({4, 9, 8}), random({4, 9, 8})}, {.is_causal = true}},
      {"two dimensions", {random({5, 8}), random({9, 8}), random({9, 8})}},
      {"one head", {random({2, 1, 5, 8}), random({2, 1, 9, 8}), random({2, 1, 9, 8})}, {.is_causal = true}},
      {"keys of one item for all", {random({3, 5, 8}), random({1, 3, 9, 8}), random({1, 3, 9, 8})}},
      {"one query", {random({1, 8}), random({5, 8}), random({5, 8})}, {}, false},
      {"one key", {random({5, 8}), random({1, 8}), random({1, 8})}, {.is_causal = true}, false},
      {"a negative scale", {q, k, v}, {.scale = -0.5}, false},
      {"rows that begin at odd places", {random({5, 12}), random({9, 8}), random({9, 8})}, {}, false},
      {"five dimensions", {random({2, 1, 3, 5, 8}), random({2, 1, 3, 9, 8}), random({2, 1, 3, 9, 8})}, {}, false},
      {"heads of odd size", {random({5, 12}), random({9, 12}), random({9, 8})}, {}, false},
      {"dropout", {q, k, v}, {.dropout_p = 0.5}, false},
      {"mask", {q, k, v}, {.attn_mask = ones({40})}, false},
      {"the same key for all heads", {q, random({40, 16}), random({40, 16})}, {}, false},
      {"an odd place in memory", {random({5 * 8 + 1}), random({4, 8}), random({4, 8})}, {}, false},
      {"transposed", {t(random({16, 8})), t(random({16, 9})), random({9, 16})}, {}, false},
      {"no queries", {random({0, 8}), random({9, 8}), random({9, 8})}, {}, false},
      {"no keys", {random({5, 8}), random({0, 8}), random({0, 8})}, {}, false},
  };
  const auto compare_all = [&](const std::string& engines) {
    for (const Case& each : all) {
      CAPTURE(std::string(each.name));
      CAPTURE(engines);
      const auto attend = [&](const Inputs& x) {
        Generator generator(5);
        AttentionOptions options = each.options;
        if (options.attn_mask.defined()) options.attn_mask = options.attn_mask.copied_to(x[0].device());
        Tensor query = x[0];
        if (query.dim() == 1) query = reshape(narrow(query, 0, 1, 40), {5, 8});
        if (query.size(-1) > x[1].size(-1)) query = narrow(query, -1, 0, x[1].size(-1));
        return scaled_dot_product_attention(query, x[1], x[2], options, generator);
      };
      // The second time with the plan of the first.
      check_cudnn_runs(each.by_cudnn && engines == "all" ? 2 : 0, [&] { compare(attend, each.x, true); });
    }
  };
  for (const char* engines : {"all", "float32"}) with_cudnn_engines(engines, [&] { compare_all(engines); });
}

TEST_CASE("cuda sequences: attention without keys, queries or values, and with numbers that are not finite") {
  const auto run = [](const Inputs& in) { return scaled_dot_product_attention(in[0], in[1], in[2]); };
  for (const auto& [queries, keys, size, value_size] :
       {AttentionSize{3, 0, 4, 5}, {0, 3, 4, 5}, {3, 4, 0, 5}, {3, 4, 5, 0}, {3, 4, 0, 0}})
    compare(run,
            {ones({2, queries, size}, float64), ones({2, keys, size}, float64), ones({2, keys, value_size}, float64)});
  compare([](const Inputs& in) { return scaled_dot_product_attention(in[0], in[1], in[2], {.dropout_p = 1}); },
          {ones({3, 4}), ones({5, 4}), ones({5, 4})});
  for (double value : {double(NAN), 1e30}) {
    const Tensor q = full({3, 4}, value), k = uniform({40, 4}, -1, 1), v = uniform({40, 2}, -1, 1);
    CHECK(distance(here(run({to(q, gpu), to(k, gpu), to(v, gpu)})), run({q, k, v})) <= 1e-4);
  }
}
