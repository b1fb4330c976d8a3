// Errors, word for word: what was given, the rule, and the caller's line.

#include "core/error.h"

#include <doctest/doctest.h>

#include "core/device.h"
#include "core/tape.h"
#include "ops/activation.h"
#include "ops/arithmetic.h"
#include "ops/assign.h"
#include "ops/comparison.h"
#include "ops/create.h"
#include "ops/exponential.h"
#include "ops/loss.h"
#include "ops/matmul.h"
#include "ops/reduce.h"
#include "ops/softmax.h"
#include "ops/view.h"
#include "tests/checks.h"

using namespace gradus;
using checks::error_here;

TEST_CASE("errors: the place is the caller's, for functions and operators") {
  const Tensor a = zeros({2, 3}), b = zeros({4});
  try {
    a + b;
    FAIL("no error");
  } catch (const Error& error) {
    CHECK(error.where().line == __LINE__ - 3);
    CHECK(to_string(error.where()) == "error_test.cpp:" + std::to_string(error.where().line));
    CHECK(std::string_view(error.where().file).ends_with("error_test.cpp"));
  }
  CHECK(to_string(Location{}).empty());
  CHECK(to_string(Location{"C:\\code\\train.cpp", 7}) == "train.cpp:7");
}

TEST_CASE("errors: shapes that do not broadcast") {
  const Tensor a = zeros({2, 3}), b = zeros({4}), c = zeros({2, 1, 5, 3});
  CHECK(error_here([&] { a + b; }) ==
        "add: cannot broadcast [2, 3] with [4]; dimension 1 is 3 on the left and 4 on the right (here)");
  CHECK(error_here([&] { (void)(a < b); }) ==
        "lt: cannot broadcast [2, 3] with [4]; dimension 1 is 3 on the left and 4 on the right (here)");
  CHECK(error_here([&] { pow(a, c); }) ==
        "pow: cannot broadcast [2, 3] with [2, 1, 5, 3]; dimension 2 is 2 on the left and 5 on the right (here)");
  CHECK(error_here([&] { where(a > 0, 1, b); }) ==
        "where: cannot broadcast [2, 3] with [4]; dimension 1 is 3 on the left and 4 on the right (here)");
  CHECK(error_here([&] { where(a, a, a); }) ==
        "where: the condition must be a bool tensor, such as x > 0, not float32 (here)");
  CHECK(error_here([&] { zeros({0}) + zeros({2}); }) ==
        "add: cannot broadcast [0] with [2]; dimension 0 is 0 on the left and 2 on the right (here)");
}

TEST_CASE("errors: undefined tensors, wherever they are passed") {
  const Tensor u, x = zeros({2, 2});
  const std::string text =
      ": the tensor is undefined (default-constructed, or a gradient that was never computed) (here)";
  CHECK(error_here([&] { x* u; }) == "mul" + text);
  CHECK(error_here([&] { -u; }) == "neg" + text);
  CHECK(error_here([&] { exp(u); }) == "exp" + text);
  CHECK(error_here([&] { sum(u); }) == "sum" + text);
  CHECK(error_here([&] { matmul(x, u); }) == "matmul" + text);
  CHECK(error_here([&] { linear(x, u); }) == "linear" + text);
  CHECK(error_here([&] { reshape(u, {2}); }) == "reshape" + text);
  CHECK(error_here([&] { softmax(u, 0); }) == "softmax" + text);
  CHECK(error_here([&] { cross_entropy(x, u); }) == "cross_entropy" + text);
  CHECK(error_here([&] { assign(u, x); }) == "assign" + text);
  CHECK(error_here([&] { where(u, x, x); }) == "where" + text);
  CHECK(
      error_here([&] { u.backward(); }) ==
      "backward: no gradient flows to the output: it does not depend on a tensor that requires one, or it was computed "
      "under NoGrad (here)");
}

TEST_CASE("errors: dimensions that do not exist") {
  const Tensor x = zeros({2, 3}), one = zeros({3});
  CHECK(error_here([&] { sum(x, 2); }) == "sum: there is no dimension 2 in a tensor of 2 dimensions (here)");
  CHECK(error_here([&] { mean(x, -3); }) == "mean: there is no dimension -3 in a tensor of 2 dimensions (here)");
  CHECK(error_here([&] { softmax(one, 1); }) == "softmax: there is no dimension 1 in a tensor of 1 dimension (here)");
  CHECK(error_here([&] { sum(x, {0, -2}); }) == "sum: dimension -2 is named twice (here)");
  CHECK(error_here([&] { transpose(x, 0, 5); }) ==
        "transpose: there is no dimension 5 in a tensor of 2 dimensions (here)");
  CHECK(error_here([&] { unsqueeze(x, 4); }) ==
        "unsqueeze: there is no dimension 4 in a tensor of 3 dimensions (here)");
  CHECK(error_here([&] { argmax(x, 7); }) == "argmax: there is no dimension 7 in a tensor of 2 dimensions (here)");
}

TEST_CASE("errors: views") {
  const Tensor x = zeros({2, 3});
  CHECK(error_here([&] {
          reshape(x, {4, 2});
        }) == "reshape: x is [2, 3] with 6 elements, which do not fill the shape [4, 2] (here)");
  CHECK(error_here([&] {
          reshape(x, {-1, 4});
        }) == "reshape: x is [2, 3] with 6 elements, which do not fill the shape [-1, 4] (here)");
  CHECK(error_here([&] {
          reshape(x, {-1, -1});
        }) ==
        "reshape: the shape [-1, -1] is not possible: at most one size may be -1, the others are not negative (here)");
  CHECK(error_here([&] {
          reshape(x, {-2, 3});
        }) ==
        "reshape: the shape [-2, 3] is not possible: at most one size may be -1, the others are not negative (here)");
  CHECK(error_here([&] {
          reshape(zeros({0}), {-1, 0});
        }) == "reshape: x is [0] with 0 elements, which do not fill the shape [-1, 0] (here)");
  CHECK(error_here([&] { flatten(x, 1, 0); }) == "flatten: the first dimension (1) comes after the last (0) (here)");
  CHECK(error_here([&] { squeeze(x, 0); }) == "squeeze: dimension 0 of [2, 3] does not have size 1 (here)");
  CHECK(error_here([&] { permute(x, {0}); }) ==
        "permute: x is [2, 3]; the order [0] must name each dimension once (here)");
  CHECK(error_here([&] {
          permute(x, {1, 1});
        }) == "permute: x is [2, 3]; the order [1, 1] must name each dimension once (here)");
  CHECK(error_here([&] { t(zeros({2})); }) ==
        "t: x is [2]; only a matrix has a transpose: use transpose or permute (here)");
  CHECK(error_here([&] {
          expand(x, {2, 4});
        }) ==
        "expand: x is [2, 3], which does not broadcast to [2, 4]; each size must be 1 or equal, counted from the last "
        "(here)");
  CHECK(error_here([&] { expand(x, {3}); }) ==
        "expand: x is [2, 3], which does not broadcast to [3]; each size must be 1 or equal, counted from the last "
        "(here)");
  CHECK(error_here([&] {
          expand(zeros({1, 1}), {int64_t(1) << 32, int64_t(1) << 32});
        }) == "expand: the shape [4294967296, 4294967296] has more elements than int64 can count (here)");
  CHECK(expand(zeros({1, 1, 0}), {int64_t(1) << 32, int64_t(1) << 32, 0}).numel() == 0);
  CHECK(error_here([&] {
          sum_to(zeros({2, 1}), {1, 3});
        }) == "sum_to: x is [2, 1], which is not what [1, 3] broadcasts to (here)");
  CHECK(error_here([&] { sum_to(x, {2}); }) == "sum_to: x is [2, 3], which is not what [2] broadcasts to (here)");
  CHECK(error_here([&] { slice(x, 0, 0, 2, 0); }) ==
        "slice: the step must be positive, not 0; flip reverses a dimension (here)");
  CHECK(error_here([&] { narrow(x, 1, 2, 2); }) ==
        "narrow: elements 2 to 4 do not lie in dimension 1 of [2, 3] (here)");
  CHECK(error_here([&] { select(x, 0, -3); }) == "select: index -3 is out of range for dimension 0 of [2, 3] (here)");
  CHECK(error_here([&] {
          split(x, {1, 1}, 1);
        }) == "split: the sizes add up to 2, but dimension 1 of [2, 3] is 3 (here)");
  CHECK(error_here([&] { split(x, std::vector<int64_t>(9, 1), 1); }) ==
        "split: the sizes add up to 9, but dimension 1 of [2, 3] is 3 (here)");
  CHECK(error_here([&] { split(x, 0); }) == "split: the size of the parts must be positive, not 0 (here)");
  CHECK(error_here([&] { chunk(x, 0); }) == "chunk: the number of parts must be positive, not 0 (here)");
  CHECK(error_here([&] {
          unsqueeze(zeros({1, 1, 1, 1, 1, 1, 1, 1}), 0);
        }) == "unsqueeze: a tensor has at most 8 dimensions (here)");
}

TEST_CASE("errors: reductions") {
  const Tensor x = zeros({2, 0}), n = arange(3);
  CHECK(error_here([&] { mean(n); }) == "mean: x holds int64; convert it first: to(x, float32) (here)");
  CHECK(error_here([&] { logsumexp(n); }) == "logsumexp: x holds int64; convert it first: to(x, float32) (here)");
  CHECK(error_here([&] { softmax(n, 0); }) == "softmax: x holds int64; convert it first: to(x, float32) (here)");
  CHECK(error_here([&] { amax(x); }) == "amax: x is [2, 0]: there is no element to choose from (here)");
  CHECK(error_here([&] { amin(x, 1); }) == "amin: x is [2, 0]: there is no element to choose from (here)");
  CHECK(error_here([&] { argmax(x); }) == "argmax: x is [2, 0]: there is no element to choose from (here)");
  CHECK(amax(x, 0).shape() == Shape{0});
}

TEST_CASE("errors: matrix products") {
  const Tensor a = zeros({64, 784}), b = zeros({256, 10}), bias = zeros({3});
  CHECK(error_here([&] { matmul(a, b); }) ==
        "matmul: a is [64, 784] and b is [256, 10]; the last dimension of a (784) must equal the first but one of b "
        "(256) (here)");
  CHECK(error_here([&] { matmul(a, bias); }) ==
        "matmul: a is [64, 784] and b is [3]; the last dimension of a (784) must equal the only dimension of b (3) "
        "(here)");
  CHECK(error_here([&] { matmul(a, 2); }) ==
        "matmul: a is [64, 784] and b is []; a scalar has no matrix product: use a * b (here)");
  CHECK(error_here([&] {
          matmul(zeros({2, 1, 1}), zeros({3, 1, 1}));
        }) == "matmul: cannot broadcast [2] with [3]; dimension 0 is 2 on the left and 3 on the right (here)");
  CHECK(error_here([&] { matmul(arange(3), arange(3)); }) ==
        "matmul: matrix products are for floating-point tensors, not int64; convert it first: to(x, float32) (here)");
  CHECK(
      error_here([&] { linear(a, b); }) ==
      "linear: x is [64, 784] and weight is [256, 10]; the last dimension of x must equal the last of weight [out, in] "
      "(here)");
  CHECK(error_here([&] {
          linear(zeros({2, 10}), b, bias);
        }) == "linear: weight is [256, 10] and bias is [3]; bias must be [256] (here)");
}

TEST_CASE("errors: losses") {
  const Tensor logits = zeros({2, 3});
  CHECK(error_here([&] {
          cross_entropy(logits, tensor({0, 3}, int64));
        }) == "cross_entropy: target[1] is 3, but the classes go from 0 to 2 (here)");
  CHECK(error_here([&] {
          cross_entropy(logits, tensor({-1, 0}, int64));
        }) == "cross_entropy: target[0] is -1, but the classes go from 0 to 2 (here)");
  CHECK(error_here([&] { cross_entropy(logits, arange(3)); }) ==
        "cross_entropy: logits are [2, 3] and target is [3]; logits must be [N, C, …] or [C], and target the same "
        "without C (classes) or with it (probabilities) (here)");
  CHECK(error_here([&] {
          cross_entropy(zeros({2, 3, 2}), tensor({{0, 1}, {4, 0}}, int64));
        }) == "cross_entropy: target[1, 0] is 4, but the classes go from 0 to 2 (here)");
  CHECK(error_here([&] { nll_loss(logits, arange(2), {.weight = ones({2})}); }) ==
        "nll_loss: weight is [2]; one number for each of the 3 classes is needed (here)");
  CHECK(error_here([&] { nll_loss(logits, arange(2), {.reduction = LossReduction::batchmean}); }) ==
        "nll_loss: the reduction cannot be batchmean; it is for losses of elements (here)");
  CHECK(error_here([&] {
          nll_loss(logits, zeros({2, 3}, int64));
        }) ==
        "nll_loss: log_probability is [2, 3] and target is [2, 3]; they must be [N, C, …] and [N, …], or [C] and [] "
        "(here)");
  CHECK(error_here([&] {
          binary_cross_entropy_with_logits(logits, logits, {.pos_weight = ones({2, 2, 3})});
        }) ==
        "binary_cross_entropy_with_logits: x is [2, 3] and pos_weight is [2, 2, 3]; it must broadcast to x (here)");
  CHECK(error_here([&] {
          cross_entropy(logits, tensor({0, 1}, boolean));
        }) == "cross_entropy: the classes in target must be int64, not bool (here)");
  CHECK(error_here([&] { mse_loss(logits, zeros({3})); }) ==
        "mse_loss: x is [2, 3] and target is [3]; both must have the same shape (here)");
  CHECK(error_here([&] { huber_loss(logits, logits, 0); }) ==
        "huber_loss: delta must be positive, not 0.000000 (here)");
}

TEST_CASE("errors: changes in place") {
  const Tensor x = zeros({2});
  CHECK(error_here([&] { assign(x, zeros({3})); }) == "assign: the target is [2] and the source [3] (here)");
  CHECK(error_here([&] { fill(arange(2), 0.5); }) == "fill: x holds int64, which cannot be 0.5 (here)");
}

TEST_CASE("errors: a Scope nests and ends with an error") {
  CHECK(Scope::current() == nullptr);
  CHECK(error_here([] { zeros({2}) + zeros({3}); }) != "no error");
  CHECK(Scope::current() == nullptr);
  const Scope outer("layer", {"model.cpp", 12});
  CHECK(error_here([] { zeros({2}) + zeros({3}); }) ==
        "add: cannot broadcast [2] with [3]; dimension 0 is 2 on the left and 3 on the right (model.cpp:12)");
}
