// The values of softmax and cross-entropy where they are delicate. Gradients are checked with all operations'.

#include "ops/softmax.h"

#include <doctest/doctest.h>

#include "ops/arithmetic.h"
#include "ops/comparison.h"
#include "ops/create.h"
#include "ops/exponential.h"
#include "ops/index.h"
#include "ops/loss.h"
#include "ops/reduce.h"
#include "ops/view.h"
#include "tests/checks.h"

using namespace gradus;
using checks::distance;

TEST_CASE("softmax: logits far from zero keep their digits") {
  const Tensor near({0, 1, 2, 3, 3, 1, 0, 2}, {2, 4}), far = near + 1e6, target = tensor({0, 1}, int64);
  const Tensor log_probability = log_softmax(near, 1);
  CHECK(distance(log_probability, Tensor({-3.4401897, -2.4401897, -1.4401897, -0.4401897, -0.4401897, -2.4401897,
                                          -3.4401897, -1.4401897},
                                         {2, 4})) < 1e-6);
  CHECK(distance(log_softmax(far, 1), log_probability) < 1e-6);
  CHECK(distance(softmax(far, 1), softmax(near, 1)) < 1e-6);
  for (const double smoothing : {0., 0.1}) {
    const CrossEntropyOptions options{.label_smoothing = smoothing};
    CHECK(distance(cross_entropy(far, target, options), cross_entropy(near, target, options)) < 1e-6);
  }
  const Tensor x = far.requires_grad(), y = clone(near).requires_grad();
  sum(square(log_softmax(x, 1))).backward();
  sum(square(log_softmax(y, 1))).backward();
  CHECK(distance(x.grad(), y.grad()) < 1e-6);
}

TEST_CASE("softmax: infinite logits") {
  const Tensor x({-INFINITY, 0, 0, -INFINITY, -INFINITY, -INFINITY, 0, INFINITY, 0}, {3, 3});
  CHECK(distance(log_softmax(x, 1), Tensor({-INFINITY, -0.6931472, -0.6931472, NAN, NAN, NAN, NAN, NAN, NAN}, {3, 3})) <
        1e-6);
  const Tensor loss = cross_entropy(x, tensor({0, 1, 1}, int64), {.reduction = LossReduction::none});
  CHECK(distance(loss, tensor({INFINITY, NAN, NAN})) == 0);
}

TEST_CASE("softmax: rows of every length, also with a NaN or an infinity anywhere") {
  manual_seed(7);
  for (const Dtype dtype : {float32, float64})
    for (const int64_t n : {1, 2, 7, 8, 9, 15, 16, 17, 33, 63, 64, 65, 2047, 2048, 2049}) {
      CAPTURE(n);
      const Tensor x = randn({2, n}, dtype), power = exp(x), expected = power / sum(power, 1, true);
      const double allowed = dtype == float32 ? 1e-6 : 1e-14;
      CHECK(distance(softmax(x, 1), expected) < allowed);
      CHECK(distance(exp(log_softmax(x, 1)), expected) < allowed);
      const Tensor target = randint(0, n, {2}), logits = clone(x).requires_grad();
      const Tensor loss = cross_entropy(logits, target);
      CHECK(distance(loss, -mean(gather(log_softmax(x, 1), 1, unsqueeze(target, 1)))) < allowed);
      loss.backward();
      CHECK(distance(logits.grad(), (expected - to(one_hot(target, n), dtype)) / 2) < allowed);
      for (const int64_t place : {int64_t(0), n / 2, n - 1}) {
        const auto with = [&](double value) { return where(arange(n) == double(place), value, x); };
        CHECK(distance(softmax(with(NAN), 1), full({2, n}, NAN, dtype)) == 0);
        CHECK(distance(log_softmax(with(NAN), 1), full({2, n}, NAN, dtype)) == 0);
        CHECK(distance(log_softmax(where(arange(n) == double(place), NAN, full({2, n}, -INFINITY, dtype)), 1),
                       full({2, n}, NAN, dtype)) == 0);
        if (n == 1) continue;
        const Tensor rest = where(arange(n) == double(place), 0, power);
        CHECK(distance(softmax(with(-INFINITY), 1), rest / sum(rest, 1, true)) < allowed);
      }
    }
}

TEST_CASE("softmax: rows without elements") {
  for (const Shape& shape : {Shape{7, 0}, Shape{0, 7}}) {
    CHECK(softmax(zeros(shape), 1).shape() == shape);
    CHECK(log_softmax(zeros(shape), 0).shape() == shape);
  }
}
