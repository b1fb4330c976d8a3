#include "ops/view.h"

#include <doctest/doctest.h>

#include <algorithm>
#include <random>

#include "ops/arithmetic.h"
#include "ops/create.h"
#include "ops/join.h"
#include "ops/reduce.h"
#include "tests/checks.h"

using namespace gradus;
using checks::distance;

namespace {

std::mt19937_64 random_engine(1);
int64_t pick(int64_t low, int64_t high) { return std::uniform_int_distribution<int64_t>(low, high)(random_engine); }

// A tensor whose memory is permuted, cut, repeated and reversed at random.
Tensor random_view() {
  Shape shape;
  for (int64_t dim = pick(1, 4); dim > 0; --dim) shape.push_back(pick(1, 4));
  Tensor x = reshape(arange(shape.numel()), shape);
  for (int64_t step = pick(0, 4); step > 0; --step) {
    const int64_t dim = pick(0, x.dim() - 1), other = pick(0, x.dim() - 1);
    switch (pick(0, 4)) {
      case 0: x = transpose(x, dim, other); break;
      case 1: x = slice(x, dim, pick(0, x.size(dim) - 1), x.size(dim), pick(1, 2)); break;
      case 2: x = flip(x, {dim}); break;
      case 3: x = unsqueeze(x, pick(0, x.dim())); break;
      default:
        if (x.size(dim) != 1) break;
        Shape wider = x.shape();
        wider[int(dim)] = pick(1, 3);
        x = expand(x, wider);
    }
  }
  return x;
}

// The values in order, taken one by one.
std::vector<double> by_element(const Tensor& x) {
  std::vector<double> values;
  for (int64_t i = 0; i < x.numel(); ++i) values.push_back(x.at(i));
  return values;
}

}  // namespace

TEST_CASE("views: copies of any layout hold the same values") {
  for (int round = 0; round < 500; ++round) {
    const Tensor x = random_view();
    CAPTURE(x.shape());
    CAPTURE(x.strides());
    const std::vector<double> values = by_element(x);
    CHECK(clone(x).to_vector<double>() == values);
    CHECK(contiguous(x).is_contiguous());
    CHECK(contiguous(x).to_vector<double>() == values);
    for (Dtype dtype : {float32, float64, bfloat16}) CHECK(to(x, dtype).to_vector<double>() == values);
    CHECK(x.to_vector<double>() == values);
    CHECK((x + 0).to_vector<double>() == values);
  }
}

TEST_CASE("views: copies of transposed tensors, wider than the registers and the cache lines") {
  for (const Dtype dtype : {float32, float64, bfloat16, int64})
    for (const Shape& shape : std::vector<Shape>{{8, 8}, {9, 40}, {37, 53}, {300, 257}, {3, 17, 300}, {5, 9, 2, 33}}) {
      CAPTURE(shape);
      const Tensor x = to(reshape(arange(shape.numel()), shape), dtype);
      for (int d = 0; d + 1 < x.dim(); ++d) {
        const Tensor turned = transpose(x, d, -1);
        CHECK(contiguous(turned).to_vector<double>() == by_element(turned));
        const Tensor part = narrow(turned, -1, 1, turned.size(-1) - 1);
        CHECK(contiguous(part).to_vector<double>() == by_element(part));
      }
    }
}

TEST_CASE("views: reshape keeps the order of the values, whatever the layout") {
  int64_t shared = 0;
  for (int round = 0; round < 2000; ++round) {
    const Tensor x = random_view();
    Shape shape;
    int64_t left = x.numel();
    while (left > 1 || pick(0, 2) == 0) {
      if (shape.dim() == 7) break;
      int64_t size = pick(1, left);
      while (left % size != 0) --size;
      shape.push_back(size);
      left /= size;
    }
    if (left > 1) shape.push_back(left);
    CAPTURE(x.shape());
    CAPTURE(x.strides());
    CAPTURE(shape);
    const Tensor y = reshape(x, shape);
    CHECK(y.shape() == shape);
    CHECK(by_element(y) == by_element(x));
    if (y.storage() == x.storage()) ++shared;
    if (x.is_contiguous()) CHECK(y.storage() == x.storage());
  }
  CHECK(shared > 1000);
}

TEST_CASE("views: slice follows Python") {
  // [list(range(6)[start:end:step]) for ...] by the language's own definition
  const auto python = [](int64_t size, int64_t start, int64_t end, int64_t step) {
    const auto clip = [&](int64_t at) { return at < 0 ? std::max<int64_t>(at + size, 0) : std::min(at, size); };
    std::vector<int> values;
    for (int64_t i = clip(start); i < clip(end); i += step) values.push_back(int(i));
    return values;
  };
  for (int64_t size : {0, 1, 6})
    for (int64_t start = -8; start <= 8; ++start)
      for (int64_t end = -8; end <= 8; ++end)
        for (int64_t step = 1; step <= 4; ++step)
          CHECK(slice(arange(size), 0, start, end, step).to_vector<int>() == python(size, start, end, step));
  CHECK(slice(arange(6), 0, 2).to_vector<int>() == std::vector{2, 3, 4, 5});
  CHECK(slice(arange(6), 0, INT64_MIN, INT64_MAX, INT64_MAX).to_vector<int>() == std::vector{0});
}

TEST_CASE("views: what shares memory and what copies") {
  const Tensor x = reshape(arange(24), {2, 3, 4});
  for (const Tensor& view : {reshape(x, {6, 4}), transpose(x, 0, 2), permute(x, {1, 0, 2}), slice(x, 1, 1),
                             flip(x, {0}), select(x, 2, 1), unsqueeze(x, 0), expand(x, {5, 2, 3, 4}), x.detach(),
                             reshape(transpose(x, 0, 1), {3, 2, 2, 2}), narrow(x, 0, 1, 1), split(x, 2, 2)[1]})
    CHECK(view.storage() == x.storage());
  for (const Tensor& copy :
       {clone(x), reshape(transpose(x, 0, 1), {24}), contiguous(t(reshape(x, {4, 6}))), to(x, float32)})
    CHECK(copy.storage() != x.storage());
  CHECK(reshape(x, {2, 3, 4}).is(x));
  CHECK(expand(x, {2, -1, 4}).is(x));
  CHECK(contiguous(x).is(x));
  CHECK(to(x, int64).is(x));
  CHECK(flatten(x).shape() == Shape{24});
  CHECK(flatten(x, 0, 1).shape() == Shape{6, 4});
  CHECK(flatten(Tensor(1)).shape() == Shape{1});
  CHECK(squeeze(zeros({1, 2, 1})).shape() == Shape{2});
  CHECK(squeeze(zeros({1, 2, 1}), 0).shape() == Shape{2, 1});
  CHECK(transpose(x, -1, -2).shape() == Shape{2, 4, 3});
}

TEST_CASE("views: empty tensors") {
  const Tensor x = zeros({2, 0, 3});
  CHECK(reshape(x, {0}).shape() == Shape{0});
  CHECK(reshape(x, {3, -1, 2}).shape() == Shape{3, 0, 2});
  CHECK(permute(x, {1, 2, 0}).shape() == Shape{0, 3, 2});
  CHECK(flip(x, {0, 1, 2}).shape() == x.shape());
  CHECK(slice(x, 1, 0, 5, 2).shape() == x.shape());
  CHECK(expand(zeros({1, 0}), {4, 0}).shape() == Shape{4, 0});
  CHECK(cat({x, zeros({2, 1, 3})}, 1).shape() == Shape{2, 1, 3});
  CHECK(sum(x).item() == 0);
  CHECK(split(x, 2, 1).empty());
  CHECK(clone(x).numel() == 0);
  const Tensor leaf = zeros({0, 3}).requires_grad();
  sum(reshape(transpose(leaf, 0, 1), {0}) * 2).backward();
  CHECK(leaf.grad().shape() == Shape{0, 3});
}

TEST_CASE("views: parts put together again are the whole") {
  const Tensor x = randn({7, 5});
  CHECK(distance(cat(split(x, 3)), x) == 0);
  CHECK(distance(cat(split(x, {1, 0, 4}, 1), 1), x) == 0);
  CHECK(distance(cat(chunk(x, 3, 1), 1), x) == 0);
  CHECK(chunk(x, 3).size() == 3);
  CHECK(chunk(x, 4).size() == 4);
  CHECK(chunk(x, 10).size() == 7);
}
