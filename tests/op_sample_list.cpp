// The list behind op_samples(): calls, input shapes and definitions in simpler operations.

#include "ops/activation.h"
#include "ops/arithmetic.h"
#include "ops/checkpoint.h"
#include "ops/comparison.h"
#include "ops/create.h"
#include "ops/exponential.h"
#include "ops/index.h"
#include "ops/join.h"
#include "ops/loss.h"
#include "ops/matmul.h"
#include "ops/reduce.h"
#include "ops/softmax.h"
#include "ops/view.h"
#include "tests/op_samples.h"

namespace gradus::samples {
namespace {

using X = Inputs;

Tensor classes(std::vector<int> values) { return tensor(values); }

std::vector<Sample> views() {
  const auto gathered = [](const Tensor& x, std::vector<int> order, const Shape& shape) {
    return reshape(index_select(reshape(x, {-1}), 0, tensor(order)), shape);
  };
  return {
      {"reshape(x, {2, -1})",
       {{3, 2}},
       [](X x) {
         return reshape(x[0], {2, -1});
       },
       [=](X x) {
         return gathered(x[0], {0, 1, 2, 3, 4, 5}, {2, 3});
       }},
      {"reshape(t(x), {2, 3})",
       {{2, 3}},
       [](X x) {
         return reshape(t(x[0]), {2, 3});
       },
       [=](X x) {
         return gathered(x[0], {0, 3, 1, 4, 2, 5}, {2, 3});
       }},
      {"flatten(x, 1)",
       {{2, 3, 4}},
       [](X x) { return flatten(x[0], 1); },
       [](X x) {
         return reshape(x[0], {2, 12});
       }},
      {"squeeze(x)",
       {{3, 1, 4, 1}},
       [](X x) { return squeeze(x[0]); },
       [](X x) {
         return reshape(x[0], {3, 4});
       }},
      {"unsqueeze(x, -1)",
       {{3, 4}},
       [](X x) { return unsqueeze(x[0], -1); },
       [](X x) {
         return reshape(x[0], {3, 4, 1});
       }},
      {"permute(x, {2, 0, 1})",
       {{2, 3, 2}},
       [](X x) {
         return permute(x[0], {2, 0, 1});
       },
       [=](X x) {
         return gathered(x[0], {0, 2, 4, 6, 8, 10, 1, 3, 5, 7, 9, 11}, {2, 2, 3});
       }},
      {"transpose(x, 0, 1)",
       {{3, 2}},
       [](X x) { return transpose(x[0], 0, 1); },
       [=](X x) {
         return gathered(x[0], {0, 2, 4, 1, 3, 5}, {2, 3});
       }},
      {"t(x)", {{3, 2}}, [](X x) { return t(x[0]); }, [](X x) { return transpose(x[0], 0, 1); }},
      {"expand(x, {2, 3, 4})",
       {{3, 1}},
       [](X x) {
         return expand(x[0], {2, 3, 4});
       },
       [=](X x) {
         return x[0] + zeros({2, 3, 4}, x[0].dtype());
       }},
      {"sum_to(x, {3, 1})",
       {{2, 3, 4}},
       [](X x) {
         return sum_to(x[0], {3, 1});
       },
       [](X x) { return sum(sum(x[0], 2, true), 0); }},
      {"slice(x, 1, 1, 6, 2)",
       {{2, 7}},
       [](X x) { return slice(x[0], 1, 1, 6, 2); },
       [=](X x) {
         return gathered(x[0], {1, 3, 5, 8, 10, 12}, {2, 3});
       }},
      {"narrow(x, 0, 1, 2)",
       {{4, 3}},
       [](X x) { return narrow(x[0], 0, 1, 2); },
       [](X x) { return slice(x[0], 0, 1, 3); }},
      {"select(x, 1, -2)",
       {{3, 4}},
       [](X x) { return select(x[0], 1, -2); },
       [=](X x) {
         return gathered(x[0], {2, 6, 10}, {3});
       }},
      {"flip(x, {0, 1})",
       {{2, 3}},
       [](X x) {
         return flip(x[0], {0, 1});
       },
       [=](X x) {
         return gathered(x[0], {5, 4, 3, 2, 1, 0}, {2, 3});
       }},
      {"split(x, 2, 1)",
       {{3, 5}},
       [](X x) {
         const std::vector<Tensor> parts = split(x[0], 2, 1);
         return parts[0] * parts[1] + parts[2];
       },
       [](X x) { return narrow(x[0], 1, 0, 2) * narrow(x[0], 1, 2, 2) + narrow(x[0], 1, 4, 1); }},
      {"chunk(x, 2)", {{5, 3}}, [](X x) { return chunk(x[0], 2)[1]; }, [](X x) { return slice(x[0], 0, 3); }},
      {"clone(x)", {{3, 4}}, [](X x) { return clone(x[0]); }, [](X x) { return x[0]; }},
      {"contiguous(x)", {{3, 4}}, [](X x) { return contiguous(t(x[0])); }, [](X x) { return t(x[0]); }},
  };
}

std::vector<Sample> joins() {
  return {
      {"cat({a, b, a}, 1)",
       {{2, 3}, {2, 1}},
       [](X x) {
         return cat({x[0], x[1], x[0]}, 1);
       },
       [](X x) {
         return pad(x[0], {0, 4}) + pad(x[1], {3, 3}) + pad(x[0], {4, 0});
       }},
      {"stack({a, b}, 1)",
       {{3, 2}, {3, 2}},
       [](X x) {
         return stack({x[0], x[1]}, 1);
       },
       [](X x) {
         return cat({unsqueeze(x[0], 1), unsqueeze(x[1], 1)}, 1);
       }},
      {"pad(x, {1, 2, 0, 1}, 0.5)",
       {{2, 3}},
       [](X x) {
         return pad(x[0], {1, 2, 0, 1}, 0.5);
       },
       [](X x) {
         const auto half = [&](const Shape& shape) { return full(shape, 0.5, x[0].dtype()); };
         return cat({cat({half({2, 1}), x[0], half({2, 2})}, 1), half({1, 6})}, 0);
       }},
      {"repeat(x, {2, 1, 3})",
       {{2, 2}},
       [](X x) {
         return repeat(x[0], {2, 1, 3});
       },
       [](X x) {
         const Tensor row = cat({x[0], x[0], x[0]}, 1);
         return stack({row, row});
       }},
      {"roll(x, 2, 1)",
       {{2, 5}},
       [](X x) { return roll(x[0], 2, 1); },
       [](X x) {
         return cat({slice(x[0], 1, 3), slice(x[0], 1, 0, 3)}, 1);
       }},
  };
}

std::vector<Sample> indexing() {
  const Tensor rows = classes({2, 0, 2, 3}).named("index");
  const Tensor places = reshape(classes({1, 0, 2, 2, 0, 1, 1, 1}), {4, 2}).named("index");
  const auto one_hots = [](const Tensor& index, const Tensor& x) { return to(one_hot(index, 4), x.dtype()); };
  return {
      {"index_select(x, 0, index)",
       {{4, 3}},
       [=](X x) { return index_select(x[0], 0, beside(x, rows)); },
       [=](X x) { return matmul(one_hots(rows, x[0]), x[0]); }},
      {"index_add(x, 0, index, source)",
       {{4, 3}, {4, 3}},
       [=](X x) { return index_add(x[0], 0, beside(x, rows), x[1]); },
       [=](X x) { return x[0] + matmul(t(one_hots(rows, x[0])), x[1]); }},
      {"embedding(index, weight)",
       {{4, 3}},
       [=](X x) { return embedding(beside(x, places), x[0]); },
       [=](X x) { return matmul(one_hots(places, x[0]), x[0]); }},
      {"gather(x, 1, index)",
       {{4, 4}},
       [=](X x) { return gather(x[0], 1, beside(x, places)); },
       [=](X x) { return sum(one_hots(places, x[0]) * unsqueeze(x[0], 1), 2); }},
      {"scatter_add(x, 1, index, source)",
       {{4, 4}, {4, 2}},
       [=](X x) { return scatter_add(x[0], 1, beside(x, places), x[1]); },
       [=](X x) { return x[0] + sum(one_hots(places, x[0]) * unsqueeze(x[1], 2), 1); }},
      {"masked_fill(x, mask, 3)",
       {{4, 2}},
       [=](X x) { return masked_fill(x[0], (beside(x, places) == 1).named("mask"), 3); },
       [=](X x) { return x[0] * to(places != 1, x[0].dtype()) + 3 * to(places == 1, x[0].dtype()); }},
      {"tril(x)",
       {{2, 3, 4}},
       [](X x) { return tril(x[0]); },
       [](X x) { return x[0] * to(unsqueeze(arange(3), 1) >= arange(4), x[0].dtype()); }},
      {"triu(x, 1)",
       {{3, 4}},
       [](X x) { return triu(x[0], 1); },
       [](X x) { return x[0] * to(unsqueeze(arange(3), 1) < arange(4), x[0].dtype()); }},
  };
}

std::vector<Sample> reductions() {
  return {
      {"sum(x)",
       {{3, 4}},
       [](X x) { return sum(x[0]); },
       [](X x) { return matmul(flatten(x[0]), ones_like(flatten(x[0]))); }},
      {"sum(x, {0, 2}, true)",
       {{2, 3, 5}},
       [](X x) {
         return sum(x[0], {0, 2}, true);
       },
       [](X x) { return sum(sum(x[0], 0, true), 2, true); }},
      {"mean(x, 0)", {{5, 7}}, [](X x) { return mean(x[0], 0); }, [](X x) { return sum(x[0], 0) / 5; }},
      {"amax(x, 1)", {{3, 17}}, [](X x) { return amax(x[0], 1); }},
      {"amin(x)", {{4, 5}}, [](X x) { return amin(x[0]); }, [](X x) { return -amax(-x[0]); }},
      {"var(x, 1)",
       {{3, 9}},
       [](X x) { return var(x[0], 1); },
       [](X x) { return sum(square(x[0] - mean(x[0], 1, true)), 1) / 8; }},
      {"var(x, {0, 1}, true, 0)",
       {{3, 5}},
       [](X x) {
         return var(x[0], {0, 1}, true, 0);
       },
       [](X x) { return mean(square(x[0] - mean(x[0])), {}, true); }},
      {"std(x)", {{3, 5}}, [](X x) { return std(x[0]); }, [](X x) { return sqrt(var(x[0])); }},
      {"logsumexp(x, -1)",
       {{3, 5}},
       [](X x) { return logsumexp(x[0], -1); },
       [](X x) { return log(sum(exp(x[0]), -1)); }},
      {"norm(x, 0)", {{4, 3}}, [](X x) { return norm(x[0], 0); }, [](X x) { return sqrt(sum(x[0] * x[0], 0)); }},
  };
}

std::vector<Sample> products() {
  const auto product = [](const Tensor& a, const Tensor& b) { return sum(unsqueeze(a, -1) * unsqueeze(b, -3), -2); };
  const auto by_hand = [=](X x) { return product(x[0], x[1]); };
  const auto use = [](X x) { return matmul(x[0], x[1]); };
  return {
      {"matmul(a, b)", {{3, 4}, {4, 5}}, use, by_hand},
      {"matmul(a, t(b))",
       {{3, 4}, {5, 4}},
       [](X x) { return matmul(x[0], t(x[1])); },
       [=](X x) { return product(x[0], t(x[1])); }},
      {"matmul(t(a), b)",
       {{4, 3}, {4, 5}},
       [](X x) { return matmul(t(x[0]), x[1]); },
       [=](X x) { return product(t(x[0]), x[1]); }},
      {"matmul(vector, vector)", {{7}, {7}}, use, [](X x) { return sum(x[0] * x[1]); }},
      {"matmul(matrix, vector)", {{3, 4}, {4}}, use, [](X x) { return sum(x[0] * x[1], 1); }},
      {"matmul(vector, matrix)", {{4}, {4, 3}}, use, [](X x) { return sum(unsqueeze(x[0], 1) * x[1], 0); }},
      {"matmul of batches", {{2, 3, 4}, {2, 4, 2}}, use, by_hand},
      {"matmul of broadcast batches", {{2, 1, 3, 2}, {3, 2, 2}}, use, by_hand},
      {"matmul of a batch and a matrix", {{2, 3, 4}, {4, 2}}, use, by_hand},
      {"checkpoint(function, a, b)",
       {{3, 4}, {4, 2}},
       [](X x) { return checkpoint([](auto a, auto b) { return tanh(matmul(a, b)); }, x[0], x[1]); },
       [](X x) { return tanh(matmul(x[0], x[1])); }},
      {"linear(x, weight, bias)",
       {{3, 4}, {5, 4}, {5}},
       [](X x) { return linear(x[0], x[1], x[2]); },
       [=](X x) { return product(x[0], t(x[1])) + x[2]; }},
      {"linear of a batch, without bias",
       {{2, 3, 4}, {5, 4}},
       [](X x) { return linear(x[0], x[1]); },
       [=](X x) { return product(x[0], t(x[1])); }},
      {"linear of a batch",
       {{2, 3, 4}, {5, 4}, {5}},
       [](X x) { return linear(x[0], x[1], x[2]); },
       [=](X x) { return product(x[0], t(x[1])) + x[2]; }},
      {"linear(x, weight, bias, {.relu = true})",
       {{3, 4}, {5, 4}, {5}},
       [](X x) { return linear(x[0], x[1], x[2], {.relu = true}); },
       [=](X x) { return relu(product(x[0], t(x[1])) + x[2]); }},
      {"linear of a batch with ReLU, without bias",
       {{2, 3, 4}, {5, 4}},
       [](X x) { return linear(x[0], x[1], {}, {.relu = true}); },
       [=](X x) { return relu(product(x[0], t(x[1]))); }},
  };
}

std::vector<Sample> losses() {
  constexpr auto none = LossReduction::none, total = LossReduction::sum;
  const Tensor target = classes({2, 0, 3, 2, 1}).named("target");
  const auto chosen = [=](const Tensor& x) { return sum(x * to(one_hot(target, 4), x.dtype()), 1); };
  const auto weight = [](const Tensor& x) { return to(to(tensor({1, 2, 0.5, 3}), x.device()), x.dtype()); };
  return {
      {"softmax(x, 1)",
       {{3, 5}},
       [](X x) { return softmax(x[0], 1); },
       [](X x) { return exp(x[0]) / sum(exp(x[0]), 1, true); }},
      {"softmax(x, 0)",
       {{3, 2, 4}},
       [](X x) { return softmax(x[0], 0); },
       [](X x) { return exp(x[0]) / sum(exp(x[0]), 0, true); }},
      {"log_softmax(x, -1)",
       {{3, 5}},
       [](X x) { return log_softmax(x[0], -1); },
       [](X x) { return x[0] - log(sum(exp(x[0]), -1, true)); }},
      {"dropout(x, 0.5)",
       {{5, 6}},
       [](X x) {
         Generator generator(3);
         return dropout(x[0], 0.5, true, generator);
       }},
      {"cross_entropy(logits, target)",
       {{5, 4}},
       [=](X x) { return cross_entropy(x[0], beside(x, target)); },
       [=](X x) { return -mean(chosen(log_softmax(x[0], 1))); }},
      {"cross_entropy(logits, target, {.reduction = none})",
       {{5, 4}},
       [=](X x) { return cross_entropy(x[0], beside(x, target), {.reduction = none}); },
       [=](X x) { return -chosen(log_softmax(x[0], 1)); }},
      {"cross_entropy(logits, target, {.ignore_index = 2, .label_smoothing = 0.1})",
       {{5, 4}},
       [=](X x) { return cross_entropy(x[0], beside(x, target), {.ignore_index = 2, .label_smoothing = 0.1}); },
       [=](X x) {
         const Tensor y = log_softmax(x[0], 1), loss = -0.9 * chosen(y) - 0.1 * mean(y, 1);
         return sum(loss * to(target != 2, y.dtype())) / 3;
       }},
      {"cross_entropy(logits, target, {.weight = w})",
       {{5, 4}},
       [=](X x) { return cross_entropy(x[0], beside(x, target), {.weight = weight(x[0])}); },
       [=](X x) { return -sum(chosen(log_softmax(x[0], 1) * weight(x[0]))) / 7; }},
      {"cross_entropy(logits, probabilities)",
       {{3, 4}, {3, 4}},
       [](X x) { return cross_entropy(x[0], softmax(x[1], 1)); },
       [](X x) { return -sum(softmax(x[1], 1) * log_softmax(x[0], 1)) / 3; }},
      {"nll_loss(log_probability, target)",
       {{5, 4}},
       [=](X x) { return nll_loss(x[0], beside(x, target)); },
       [=](X x) { return -mean(chosen(x[0])); }},
      {"mse_loss(x, target)",
       {{3, 4}, {3, 4}},
       [](X x) { return mse_loss(x[0], x[1]); },
       [](X x) { return mean((x[0] - x[1]) * (x[0] - x[1])); }},
      {"l1_loss(x, target)",
       {{3, 4}, {3, 4}},
       [](X x) { return l1_loss(x[0], x[1]); },
       [](X x) { return mean(abs(x[0] - x[1])); }},
      {"huber_loss(x, target, 0.7)",
       {{3, 4}, {3, 4}},
       [](X x) { return huber_loss(x[0], x[1], 0.7); },
       [](X x) {
         const Tensor d = abs(x[0] - x[1]);
         return mean(where(d <= 0.7, 0.5 * d * d, 0.7 * (d - 0.35)));
       }},
      {"smooth_l1_loss(x, target, 0.5, sum)",
       {{3, 4}, {3, 4}},
       [](X x) { return smooth_l1_loss(x[0], x[1], 0.5, total); },
       [](X x) {
         const Tensor d = abs(x[0] - x[1]);
         return sum(where(d < 0.5, d * d, d - 0.25));
       }},
      {"binary_cross_entropy_with_logits(x, target)",
       {{3, 4}, {3, 4}},
       [](X x) { return binary_cross_entropy_with_logits(x[0], x[1]); },
       [](X x) { return mean(log(1 + exp(x[0])) - x[0] * x[1]); }},
      {"binary_cross_entropy_with_logits(x, target, {.pos_weight = w})",
       {{5, 4}, {5, 4}},
       [=](X x) { return binary_cross_entropy_with_logits(x[0], x[1], {.pos_weight = weight(x[0])}); },
       [=](X x) { return mean(log(1 + exp(x[0])) * (1 - x[1]) + log(1 + exp(-x[0])) * x[1] * weight(x[0])); }},
      {"kl_div(x, target)",
       {{3, 4}, {3, 4}},
       [](X x) { return kl_div(x[0], x[1]); },
       [](X x) { return mean(x[1] * (log(x[1]) - x[0])); },
       0.1,
       2},
  };
}

}  // namespace

std::vector<Sample> op_samples() {
  std::vector<Sample> all;
  for (const auto& family : {views(), joins(), indexing(), reductions(), products(), losses(), attention_samples(),
                             image_samples(), norm_samples(), rnn_samples()})
    all.insert(all.end(), family.begin(), family.end());
  return all;
}

}  // namespace gradus::samples
