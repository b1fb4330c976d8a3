#include "ops/join.h"

#include <doctest/doctest.h>

#include <limits>
#include <sstream>

#include "core/node.h"
#include "core/tape.h"
#include "core/threads.h"
#include "derive/gradcheck.h"
#include "ops/arithmetic.h"
#include "ops/comparison.h"
#include "ops/create.h"
#include "ops/reduce.h"
#include "ops/view.h"
#include "tests/files.h"

using namespace gradus;
using files::error_text;

namespace {

template <class T> std::string text(const T& value) {
  std::ostringstream out;
  out << value;
  return out.str();
}

const Dtype all_dtypes[] = {float32, float64, bfloat16, int64, boolean};

}  // namespace

TEST_CASE("cat puts tensors one after the other") {
  for (const Dtype dtype : all_dtypes) {
    CAPTURE(dtype);
    const Tensor a = tensor({{0, 1}, {1, 1}}, dtype), b = tensor({{1, 0}}, dtype);
    CHECK(text(cat({a, b})) == text(tensor({{0, 1}, {1, 1}, {1, 0}}, dtype)));
    CHECK(text(cat({t(b), a}, -1)) == text(tensor({{1, 0, 1}, {0, 1, 1}}, dtype)));
  }
  const Tensor x = reshape(arange(8), {2, 2, 2});
  CHECK(text(cat({x, slice(x, 1, 0, 1), permute(x, {1, 0, 2})}, 1)) ==
        text(Tensor({0, 1, 2, 3, 0, 1, 0, 1, 4, 5, 4, 5, 6, 7, 4, 5, 2, 3, 6, 7}, {2, 5, 2}, int64)));
  CHECK(text(cat({zeros({0}), tensor({1, 2}), zeros({0})})) == text(tensor({1, 2})));
  CHECK(cat({zeros({2, 0}), zeros({1, 0})}).shape() == Shape{3, 0});
  const Tensor alone = ones({2});
  CHECK(cat({alone}).storage() != alone.storage());
}

TEST_CASE("cat promotes dtypes, and gradients go back in those of the inputs") {
  const Tensor a = tensor({1, 2}, bfloat16).requires_grad(), b = tensor({3}, float64).requires_grad();
  const Tensor flags = tensor({1}, boolean), numbers = tensor({7}, int64);
  const Tensor y = cat({a, flags, b, numbers});
  CHECK(text(y) == text(tensor({1, 2, 1, 3, 7}, float64)));
  CHECK(cat({flags, numbers}).dtype() == int64);
  y.backward(tensor({1, 2, 3, 4, 5}, float64));
  CHECK(text(a.grad()) == text(tensor({1, 2}, bfloat16)));
  CHECK(text(b.grad()) == text(tensor({4}, float64)));
}

TEST_CASE("stack puts tensors side by side along a new dimension") {
  const Tensor a = tensor({1, 2, 3}), b = tensor({4, 5, 6});
  CHECK(text(stack({a, b})) == text(tensor({{1, 2, 3}, {4, 5, 6}})));
  CHECK(text(stack({a, b}, -1)) == text(tensor({{1, 4}, {2, 5}, {3, 6}})));
  CHECK(text(stack({Tensor(1), Tensor(2)})) == text(tensor({1, 2})));
  CHECK(stack({zeros({2, 0}), zeros({2, 0}), zeros({2, 0})}, 1).shape() == Shape{2, 3, 0});
}

TEST_CASE("pad surrounds with a value, listed from the last dimension on") {
  for (const Dtype dtype : all_dtypes) {
    CAPTURE(dtype);
    const Tensor x = tensor({{1, 0}, {0, 1}}, dtype);
    CHECK(text(pad(x, {1, 2})) == text(tensor({{0, 1, 0, 0, 0}, {0, 0, 1, 0, 0}}, dtype)));
    CHECK(text(pad(t(x), {0, 0, 1, 0}, 1)) == text(tensor({{1, 1}, {1, 0}, {0, 1}}, dtype)));
  }
  CHECK(text(pad(tensor({{1, 2}}), {1, 0, 0, 1}, -0.5)) == text(tensor({{-0.5, 1, 2}, {-0.5, -0.5, -0.5}})));
  CHECK(text(pad(zeros({0, 2}), {0, 0, 1, 0}, 3)) == text(tensor({{3, 3}})));
  CHECK(text(pad(Tensor(2), {})) == text(Tensor(2)));
}

TEST_CASE("repeat lays copies beside each other") {
  for (const Dtype dtype : all_dtypes) {
    CAPTURE(dtype);
    const Tensor x = tensor({{1, 0}, {0, 1}}, dtype);
    CHECK(text(repeat(x, {1, 2})) == text(tensor({{1, 0, 1, 0}, {0, 1, 0, 1}}, dtype)));
    CHECK(text(repeat(slice(x, 0, 0, 1), {3, 1})) == text(tensor({{1, 0}, {1, 0}, {1, 0}}, dtype)));
  }
  const Tensor x = tensor({{1, 2}, {3, 4}});
  CHECK(text(repeat(t(x), {2, 2})) == text(tensor({{1, 3, 1, 3}, {2, 4, 2, 4}, {1, 3, 1, 3}, {2, 4, 2, 4}})));
  CHECK(text(repeat(tensor({1, 2}), {2, 1, 2})) == text(Tensor({1, 2, 1, 2, 1, 2, 1, 2}, {2, 1, 4})));
  CHECK(text(repeat(Tensor(3), {2})) == text(tensor({3, 3})));
  CHECK(repeat(x, {0, 3}).shape() == Shape{0, 6});
  CHECK(repeat(zeros({0, 2}), {4, 2}).shape() == Shape{0, 4});
  CHECK(repeat(zeros({1, 2, 1, 2, 1, 2, 1, 2}), {2, 2, 2, 2, 2, 2, 2, 2}).shape() == Shape{2, 4, 2, 4, 2, 4, 2, 4});
}

TEST_CASE("roll moves around the end") {
  const Tensor x = tensor({{1, 2, 3}, {4, 5, 6}});
  CHECK(text(roll(x, 1, 1)) == text(tensor({{3, 1, 2}, {6, 4, 5}})));
  CHECK(text(roll(x, -1, -1)) == text(tensor({{2, 3, 1}, {5, 6, 4}})));
  CHECK(text(roll(x, 3, 0)) == text(tensor({{4, 5, 6}, {1, 2, 3}})));
  CHECK(text(roll(x, 0, 0)) == text(x));
  CHECK(roll(zeros({0, 2}), 5, 0).shape() == Shape{0, 2});
}

TEST_CASE("gradients of first and second order") {
  manual_seed(11);
  const Tensor a = randn({2, 3}), b = randn({2, 1}), c = randn({2, 3});
  const auto join = [](auto x, auto y, auto z) { return square(cat({x, y, t(z), x}, 1)); };
  CHECK(gradcheck(join, a, b, randn({4, 2})));
  CHECK(gradcheck(join, {.second_order = true}, a, b, randn({4, 2})));
  const auto pile = [](auto x, auto y) { return square(stack({x, y, x}, 1)); };
  CHECK(gradcheck(pile, a, c));
  CHECK(gradcheck(pile, {.second_order = true}, a, c));
  const auto surround = [](auto x) { return square(pad(x, {1, 0, 2, 1}, 3)); };
  CHECK(gradcheck(surround, a));
  CHECK(gradcheck(surround, {.second_order = true}, a));
  const auto tile = [](auto x) { return square(repeat(x, {2, 1, 3})); };
  CHECK(gradcheck(tile, a));
  CHECK(gradcheck(tile, {.second_order = true}, a));
  CHECK(gradcheck([](auto x) { return square(roll(x, 2, 1)) * x; }, {.second_order = true}, a));
}

TEST_CASE("cat passes gradients to the inputs that need one, and nothing when none does") {
  const Tensor x = ones({2, 2}).requires_grad(), plain = ones({2, 2});
  sum(cat({plain, x, plain, x, x, plain}) * reshape(arange(24), {12, 2})).backward();
  CHECK(text(x.grad()) == text(tensor({{32, 35}, {38, 41}})));
  CHECK_FALSE(cat({plain, plain}).needs_grad());
  const NoGrad off;
  CHECK_FALSE(cat({plain, x}).needs_grad());
}

TEST_CASE("an empty repetition has a gradient of zeros") {
  const Tensor x = ones({2, 2}).requires_grad();
  sum(repeat(x, {0, 2})).backward();
  CHECK(text(x.grad()) == text(zeros({2, 2})));
}

TEST_CASE("cat is shared out over threads") {
  const int before = num_threads();
  set_num_threads(2);
  const Tensor a = randn({301, 170}), b = randn({301, 33}), y = cat({a, b}, 1);
  set_num_threads(before);
  CHECK(narrow(y, 1, 0, 170).to_vector<float>() == a.to_vector<float>());
  CHECK(narrow(y, 1, 170, 33).to_vector<float>() == b.to_vector<float>());
}

TEST_CASE("steps of the tape print what was joined") {
  const Tensor a = ones({2}).named("a").requires_grad(), b = ones({2}).named("b");
  CHECK(text(Tape(cat({a, b, a}))).find("cat        v1 = cat([a, b, a], 0)") != std::string::npos);
  CHECK(text(Tape(pad(a, {1, 2}))).find("v1 = pad(a, [2] → [5])") != std::string::npos);
}

TEST_CASE("what cannot be joined, padded or repeated is an error") {
  const Tensor x = zeros({2, 3});
  CHECK(error_text([] { cat({}); }) == "cat: there is no tensor to join");
  CHECK(error_text([] { stack({}); }) == "stack: there is no tensor to join");
  CHECK(error_text([] { cat({Tensor(1), Tensor(2)}); }) == "cat: scalars have no dimension to join along: use stack");
  CHECK(error_text([&] { cat({x, x}, 2); }) == "cat: there is no dimension 2 in a tensor of 2 dimensions");
  CHECK(error_text([&] {
          cat({x, x, zeros({3, 3})}, 1);
        }) == "cat: tensor 0 is [2, 3] and tensor 2 is [3, 3]; all sizes but that of dimension 1 must be equal");
  CHECK(error_text([&] {
          cat({x, zeros({3})});
        }) == "cat: tensor 0 is [2, 3] and tensor 1 is [3]; all sizes but that of dimension 0 must be equal");
  CHECK(error_text([&] {
          cat({x, Tensor()});
        }) == "cat: the tensor is undefined (default-constructed, or a gradient that was never computed)");
  CHECK(error_text([&] {
          stack({x, t(x)});
        }) == "stack: tensor 0 is [2, 3] and tensor 1 is [3, 2]; all must have the same shape");
  CHECK(error_text([&] { stack({x}, 3); }) == "stack: there is no dimension 3 in a tensor of 3 dimensions");

  CHECK(error_text([&] { pad(x, {1}); }) ==
        "pad: x is [2, 3] and the length of the padding is 1; it takes two numbers for each dimension to be padded, "
        "from the last on");
  CHECK(error_text([&] {
          pad(x, {1, 1, 1, 1, 1, 1});
        }) ==
        "pad: x is [2, 3] and the length of the padding is 6; it takes two numbers for each dimension to be padded, "
        "from the last on");
  CHECK(error_text([&] {
          pad(x, {0, -1});
        }) == "pad: the padding must not be negative, as -1 is; narrow cuts elements off");
  CHECK(error_text([&] { pad(x == 0, {1, 1}, 0.5); }) == "pad: x holds bool, which cannot be 0.5");
  CHECK(error_text([&] { pad(x, {INT64_MAX, 1}); }) == "pad: the result would be too large");

  CHECK(error_text([&] { repeat(x, {2}); }) == "repeat: x is [2, 3]; the counts [2] are fewer than its dimensions");
  CHECK(error_text([&] { repeat(x, {2, -1}); }) == "repeat: the counts [2, -1] must not be negative");
  CHECK(error_text([&] { repeat(x, {INT64_MAX, INT64_MAX}); }) == "repeat: the result would be too large");
  CHECK(error_text([&] { repeat(zeros({0, 3}), {1, INT64_MAX}); }) == "repeat: the result would be too large");
  CHECK(error_text([&] { roll(x, 1, 2); }) == "roll: there is no dimension 2 in a tensor of 2 dimensions");
}

TEST_CASE("errors name the caller's line") {
  try {
    cat({zeros({2}), zeros({2, 2})});
    FAIL("no error");
  } catch (const Error& error) {
    CHECK(to_string(error.where()) == "join_test.cpp:" + std::to_string(__LINE__ - 3));
  }
}
