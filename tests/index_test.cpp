#include "ops/index.h"

#include <doctest/doctest.h>

#include <limits>
#include <sstream>

#include "core/node.h"
#include "core/tape.h"
#include "core/threads.h"
#include "derive/gradcheck.h"
#include "ops/arithmetic.h"
#include "ops/assign.h"
#include "ops/comparison.h"
#include "ops/create.h"
#include "ops/join.h"
#include "ops/reduce.h"
#include "ops/view.h"
#include "tests/files.h"

using namespace gradus;
using files::error_text;

namespace {

constexpr double infinity = std::numeric_limits<double>::infinity();

template <class T> std::string text(const T& value) {
  std::ostringstream out;
  out << value;
  return out.str();
}

Tensor ids(std::initializer_list<double> values) { return tensor(values, int64); }
Tensor ids(std::initializer_list<std::initializer_list<double>> rows) { return tensor(rows, int64); }

const Dtype all_dtypes[] = {float32, float64, bfloat16, int64, boolean};

// Whether a function gives the same bits on one thread and on two.
template <class F> bool same_on_two_threads(const F& f) {
  const int before = num_threads();
  set_num_threads(1);
  const std::vector<double> one = f().template to_vector<double>();
  set_num_threads(2);
  const std::vector<double> two = f().template to_vector<double>();
  set_num_threads(before);
  return one == two;
}

}  // namespace

TEST_CASE("index_select takes slices in the order of the index") {
  for (const Dtype dtype : all_dtypes) {
    CAPTURE(dtype);
    const Tensor x = tensor({{0, 1, 1}, {1, 0, 0}}, dtype);
    CHECK(text(index_select(x, 0, ids({1, 1, 0}))) == text(tensor({{1, 0, 0}, {1, 0, 0}, {0, 1, 1}}, dtype)));
    CHECK(text(index_select(x, -1, ids({2, 0}))) == text(tensor({{1, 0}, {0, 1}}, dtype)));
  }
  const Tensor x = reshape(arange(24), {2, 3, 4});
  CHECK(text(index_select(x, 1, ids({2, 0}))) ==
        text(Tensor({8, 9, 10, 11, 0, 1, 2, 3, 20, 21, 22, 23, 12, 13, 14, 15}, {2, 2, 4}, int64)));
  CHECK(text(index_select(transpose(x, 0, 2), 0, slice(ids({3, 0, 1}), 0, 0, 3, 2))) ==
        text(Tensor({3, 15, 7, 19, 11, 23, 1, 13, 5, 17, 9, 21}, {2, 3, 2}, int64)));
  CHECK(index_select(x, 1, zeros({0}, int64)).shape() == Shape{2, 0, 4});
  CHECK(index_select(zeros({0, 3}), 1, ids({2, 2})).shape() == Shape{0, 2});
  CHECK(index_select(zeros({3, 0}), 0, ids({2, 2})).shape() == Shape{2, 0});
}

TEST_CASE("index_add adds slices, several to one place") {
  for (const Dtype dtype : {float32, float64, bfloat16, int64}) {
    CAPTURE(dtype);
    const Tensor x = tensor({{1, 2}, {3, 4}, {5, 6}}, dtype), source = tensor({{10, 20}, {30, 40}, {50, 60}}, dtype);
    CHECK(text(index_add(x, 0, ids({2, 0, 2}), source)) == text(tensor({{31, 42}, {3, 4}, {65, 86}}, dtype)));
    CHECK(text(index_add(x, 1, ids({0}), Tensor({1, 2, 3}, {3, 1}, dtype))) ==
          text(tensor({{2, 2}, {5, 4}, {8, 6}}, dtype)));
    CHECK(text(index_add(t(x), 1, ids({1, 1, 1}), t(source))) == text(tensor({{1, 93, 5}, {2, 124, 6}}, dtype)));
  }
  CHECK(text(index_add(ones({2, 3}), 0, zeros({0}, int64), zeros({0, 3}))) == text(ones({2, 3})));
  CHECK(index_add(zeros({0, 3}), 1, ids({1}), zeros({0, 1})).shape() == Shape{0, 3});
}

TEST_CASE("index_add sums bfloat16 in float32") {
  const Tensor ones_and_256 = cat({full({1}, 256, bfloat16), ones({16}, bfloat16)});
  CHECK(index_add(zeros({1}, bfloat16), 0, zeros({17}, int64), ones_and_256).item() == 272);
}

TEST_CASE("embedding looks up rows for an index of any shape") {
  const Tensor weight = tensor({{0, 1}, {10, 11}, {20, 21}});
  CHECK(text(embedding(ids({{2, 0}, {1, 2}}), weight)) == text(Tensor({20, 21, 0, 1, 10, 11, 20, 21}, {2, 2, 2})));
  CHECK(text(embedding(Tensor(1, int64), weight)) == text(tensor({10, 11})));
  CHECK(embedding(zeros({2, 0}, int64), weight).shape() == Shape{2, 0, 2});
  CHECK(embedding(ids({1}), to(weight, bfloat16)).dtype() == bfloat16);

  weight.requires_grad();
  sum(embedding(ids({{2, 0}, {2, 2}}), weight) * tensor({1, 2})).backward();
  CHECK(text(weight.grad()) == text(tensor({{1, 2}, {0, 0}, {3, 6}})));
}

TEST_CASE("gather takes an element for each of the index") {
  for (const Dtype dtype : all_dtypes) {
    CAPTURE(dtype);
    const Tensor x = tensor({{0, 1, 1}, {1, 0, 0}}, dtype);
    CHECK(text(gather(x, 1, ids({{2, 0}, {1, 0}}))) == text(tensor({{1, 0}, {0, 1}}, dtype)));
    CHECK(text(gather(x, 0, ids({{1, 1}}))) == text(tensor({{1, 0}}, dtype)));
  }
  const Tensor x = reshape(arange(24), {2, 3, 4});
  CHECK(text(gather(x, 1, Tensor({2, 0, 1, 0, 0, 1, 1, 2}, {1, 2, 4}, int64))) ==
        text(Tensor({8, 1, 6, 3, 0, 5, 6, 11}, {1, 2, 4}, int64)));
  CHECK(text(gather(transpose(x, 0, 2), 0, Tensor({3, 1, 0}, {1, 3, 1}, int64))) ==
        text(Tensor({3, 5, 8}, {1, 3, 1}, int64)));
  CHECK(text(gather(tensor({{1, 2}, {3, 4}}), 1, t(ids({{0, 1}, {1, 1}})))) == text(tensor({{1, 2}, {4, 4}})));
  CHECK(gather(x, 0, zeros({5, 0, 4}, int64)).shape() == Shape{5, 0, 4});
  CHECK(gather(zeros({2, 0}), 1, zeros({2, 0}, int64)).shape() == Shape{2, 0});
}

TEST_CASE("gather agrees with its definition in every dimension of odd-sized tensors") {
  const Tensor x = randn({5, 67, 3, 70});
  for (int dim = 0; dim < 4; ++dim) {
    const Tensor index = randint(0, x.size(dim), {5, 66, 2, 69});
    const Tensor y = gather(x, dim, index);
    const Strides strides = contiguous_strides(x.shape()), places = contiguous_strides(index.shape());
    int64_t wrong = 0;
    for (int64_t i = 0; i < index.numel(); ++i) {
      int64_t at = 0;
      for (int d = 0; d < 4; ++d)
        at += strides[d] * (d == dim ? index.data<int64_t>()[i] : i / places[d] % index.shape()[d]);
      wrong += y.data<float>()[i] != x.data<float>()[at];
    }
    CAPTURE(dim);
    CHECK(wrong == 0);
  }
}

TEST_CASE("scatter_add adds elements, several to one place") {
  for (const Dtype dtype : {float32, float64, bfloat16, int64}) {
    CAPTURE(dtype);
    const Tensor x = tensor({{1, 2, 3}, {4, 5, 6}}, dtype), source = tensor({{10, 20, 30}, {40, 50, 60}}, dtype);
    CHECK(text(scatter_add(x, 1, ids({{2, 2}, {0, 1}}), source)) == text(tensor({{1, 2, 33}, {44, 55, 6}}, dtype)));
    CHECK(text(scatter_add(x, 0, ids({{1, 0, 1}, {1, 0, 0}}), source)) ==
          text(tensor({{1, 72, 63}, {54, 5, 36}}, dtype)));
    CHECK(text(scatter_add(t(x), 0, zeros({2, 1}, int64), t(source))) ==
          text(tensor({{31, 4}, {2, 5}, {3, 6}}, dtype)));
  }
  CHECK(text(scatter_add(ones({2}), 0, zeros({0}, int64), ones({3}))) == text(ones({2})));
}

TEST_CASE("one_hot marks the class of each index") {
  const Tensor rows = one_hot(ids({1, 0}), 3);
  CHECK(rows.dtype() == int64);
  CHECK(text(rows) == text(ids({{0, 1, 0}, {1, 0, 0}})));
  CHECK(text(one_hot(ids({2, 0}))) == text(ids({{0, 0, 1}, {1, 0, 0}})));
  CHECK(text(one_hot(Tensor(1, int64), 2)) == text(ids({0, 1})));
  CHECK(one_hot(zeros({2, 3}, int64), 4).shape() == Shape{2, 3, 4});
  CHECK(one_hot(zeros({0}, int64), 4).shape() == Shape{0, 4});
}

TEST_CASE("masked_fill keeps the dtype and broadcasts the mask") {
  for (const Dtype dtype : all_dtypes) {
    CAPTURE(dtype);
    const Tensor x = tensor({{0, 1}, {1, 0}}, dtype), y = masked_fill(x, tensor({1, 0}, boolean), 1);
    CHECK(y.dtype() == dtype);
    CHECK(text(y) == text(tensor({{1, 1}, {1, 0}}, dtype)));
  }
  CHECK(text(masked_fill(tensor({1, 2}), tensor({0, 1}, boolean), -infinity)) == text(tensor({1, -infinity})));
  CHECK(masked_fill(zeros({0, 2}), zeros({2}, boolean), 1).shape() == Shape{0, 2});
}

TEST_CASE("tril and triu cut along any diagonal") {
  const Tensor x = tensor({{1, 2, 3}, {4, 5, 6}});
  CHECK(text(tril(x)) == text(tensor({{1, 0, 0}, {4, 5, 0}})));
  CHECK(text(tril(x, 1)) == text(tensor({{1, 2, 0}, {4, 5, 6}})));
  CHECK(text(tril(x, -1)) == text(tensor({{0, 0, 0}, {4, 0, 0}})));
  CHECK(text(triu(x)) == text(tensor({{1, 2, 3}, {0, 5, 6}})));
  CHECK(text(triu(x, 1)) == text(tensor({{0, 2, 3}, {0, 0, 6}})));
  CHECK(text(triu(x, -1)) == text(x));
  for (const int64_t far : {int64_t(4), INT64_MAX}) {
    CHECK(text(tril(x, far)) == text(x));
    CHECK(text(tril(x, -far)) == text(zeros({2, 3})));
    CHECK(text(triu(x, far)) == text(zeros({2, 3})));
    CHECK(text(triu(x, -far)) == text(x));
  }
  CHECK(text(tril(full({2, 2, 2}, infinity))) ==
        text(Tensor({infinity, 0, infinity, infinity, infinity, 0, infinity, infinity}, {2, 2, 2})));
  CHECK(tril(ones({2, 2}, boolean)).dtype() == boolean);
  CHECK(triu(zeros({2, 0})).shape() == Shape{2, 0});
}

TEST_CASE("gradients of first and second order") {
  manual_seed(7);
  const Tensor x = randn({4, 3, 2}), index = ids({2, 0, 2, 1}), source = randn({4, 4, 2});
  const auto select = [&](auto a) { return square(index_select(a, 1, index)); };
  CHECK(gradcheck(select, x));
  CHECK(gradcheck(select, {.second_order = true}, x));
  const auto add = [&](auto a, auto b) { return square(index_add(a, 1, index, b)); };
  CHECK(gradcheck(add, x, source));
  CHECK(gradcheck(add, {.second_order = true}, x, source));
  const auto look_up = [&](auto a) { return square(embedding(ids({{1, 1}, {0, 3}}), a)); };
  CHECK(gradcheck(look_up, {.second_order = true}, randn({4, 3})));

  for (int dim = 0; dim < 3; ++dim) {
    CAPTURE(dim);
    const Tensor places = randint(0, x.size(dim), {3, 3, 1});
    const auto take = [&](auto a) { return square(gather(a, dim, places)); };
    CHECK(gradcheck(take, x));
    CHECK(gradcheck(take, {.second_order = true}, x));
    const auto scatter = [&](auto a, auto b) { return square(scatter_add(a, dim, places, b)); };
    CHECK(gradcheck(scatter, x, randn({3, 4, 2})));
    CHECK(gradcheck(scatter, {.second_order = true}, x, randn({3, 4, 2})));
  }
  const auto fill_some = [&](auto a) { return square(masked_fill(a, tensor({1, 0}, boolean), 2)); };
  CHECK(gradcheck(fill_some, {.second_order = true}, x));
  CHECK(gradcheck([](auto a) { return square(tril(a, -1)) + triu(a, 1); }, {.second_order = true}, x));
}

TEST_CASE("gradients keep the dtype, and reach strided and empty inputs") {
  const Tensor x = randn({3, 2}, bfloat16).requires_grad(), index = ids({0, 0, 1});
  sum(index_select(t(x), 0, index)).backward();
  CHECK(text(x.grad()) == text(tensor({{2, 1}, {2, 1}, {2, 1}}, bfloat16)));
  const Tensor none = zeros({2, 0}).requires_grad();
  (sum(gather(none, 0, zeros({1, 0}, int64))) + sum(index_select(none, 0, index))).backward();
  CHECK(none.grad().shape() == Shape{2, 0});
}

TEST_CASE("only the index is kept for the backward pass, and a change to it is noticed") {
  const Tensor x = randn({8, 8}).requires_grad();
  Tensor index = randint(0, 8, {8, 8});
  const int64_t before = Storage::live();
  const Tensor y = sum(gather(square(x), 1, index));
  CHECK(Storage::live() - before == 1);
  fill(index, 0);
  CHECK(
      error_text([&] { y.backward(); }) ==
      "gather: a tensor that it saved for the backward pass was changed in place afterwards; change a copy: clone(x)");
}

TEST_CASE("results do not depend on the number of threads") {
  manual_seed(3);
  const Tensor x = randn({300, 40, 30}), rows = randn({5000, 40}), index = randint(0, 50, {5000});
  const Tensor few = randint(0, 40, {70});
  CHECK(same_on_two_threads([&] { return index_select(x, 1, few); }));
  CHECK(same_on_two_threads([&] { return index_add(zeros({50, 40}), 0, index, rows); }));
  CHECK(same_on_two_threads([&] { return index_add(zeros({50}), 0, index, select(rows, 1, 0)); }));
  for (int dim = 0; dim < 2; ++dim) {
    CAPTURE(dim);
    const Tensor places = randint(0, 40, {5000, 40});
    CHECK(same_on_two_threads([&] { return gather(rows, dim, places); }));
    CHECK(same_on_two_threads([&] { return scatter_add(zeros({5000, 40}), dim, places, rows); }));
  }
}

TEST_CASE("formulas name the index") {
  const Tensor w = randn({4, 3}).named("W").requires_grad();
  const Tensor chosen = ids({{0, 1, 3}}).named("ids");
  const auto formula = [](const Tensor& y) { return Tape(y)[0].formula(std::vector<std::string>{"W", "ids"}); };
  CHECK(formula(embedding(chosen, w)) == "W[ids]");
  CHECK(formula(index_select(w, 1, ids({0}))) == "W[:, ids]");
  CHECK(formula(gather(w, 0, chosen)) == "gather(W, 0, ids)");
  CHECK(text(Tape(embedding(chosen, w))).find("v1 = W[ids]") != std::string::npos);
  CHECK(formula(index_add(ones({5, 3}), 0, ids({0, 0, 1, 4}), w)) == "index_add(0, 0, ids, W)");
  CHECK(formula(scatter_add(ones({5, 3}), 1, zeros({4, 3}, int64), w)) == "scatter_add(0, 1, ids, W)");
}

TEST_CASE("bad indices are errors that say which") {
  const Tensor x = zeros({3, 4}), weight = zeros({5, 2});
  CHECK(error_text([&] {
          index_select(x, 0, ids({0, 3}));
        }) == "index_select: index[1] is 3; it must be at least 0 and less than 3, the size of dimension 0 of x");
  CHECK(error_text([&] {
          index_add(x, -1, ids({-1}), zeros({3, 1}));
        }) == "index_add: index[0] is -1; it must be at least 0 and less than 4, the size of dimension 1 of x");
  CHECK(error_text([&] {
          embedding(ids({{0, 1}, {4, 5}}), weight);
        }) == "embedding: index[1, 1] is 5; it must be at least 0 and less than 5, the number of rows of weight");
  CHECK(error_text([&] { embedding(Tensor(-2, int64), weight); }) ==
        "embedding: index is -2; it must be at least 0 and less than 5, the number of rows of weight");
  CHECK(error_text([&] {
          gather(x, 1, ids({{0, 0}, {0, 4}, {0, 0}}));
        }) == "gather: index[1, 1] is 4; it must be at least 0 and less than 4, the size of dimension 1 of x");
  CHECK(error_text([&] {
          scatter_add(x, 0, ids({{0, 7}}), x);
        }) == "scatter_add: index[0, 1] is 7; it must be at least 0 and less than 3, the size of dimension 0 of x");
  CHECK(error_text([&] {
          one_hot(ids({0, 2, 3}), 3);
        }) == "one_hot: index[2] is 3; it must be at least 0 and less than 3, the number of classes");
  CHECK(error_text([&] {
          one_hot(ids({0, -1}));
        }) == "one_hot: index[1] is -1; it must be at least 0 and less than 1, the number of classes");
  CHECK(error_text([&] {
          gather(zeros({2, 0}), 1, zeros({2, 1}, int64));
        }) == "gather: index[0, 0] is 0; it must be at least 0 and less than 0, the size of dimension 1 of x");
}

TEST_CASE("shapes and dtypes that do not fit are errors") {
  const Tensor x = zeros({3, 4}), index = ids({0, 1});
  CHECK(error_text([&] { index_select(x, 2, index); }) ==
        "index_select: there is no dimension 2 in a tensor of 2 dimensions");
  CHECK(error_text([&] { index_select(x, 0, zeros({2})); }) == "index_select: the index must be int64, not float32");
  CHECK(error_text([&] {
          index_select(x, 0, zeros({1, 2}, int64));
        }) == "index_select: the index is [1, 2]; it must have one dimension");
  CHECK(error_text([&] {
          index_add(x, 0, index, zeros({2, 3}));
        }) == "index_add: source is [2, 3]; with x [3, 4] and an index of 2 it must be [2, 4]");
  CHECK(error_text([&] {
          index_add(x, 0, index, zeros({2, 4}, float64));
        }) == "index_add: x holds float32 and source float64; both must have the same dtype");
  CHECK(error_text([&] {
          index_add(x == 0, 0, index, zeros({2, 4}, boolean));
        }) == "index_add: x holds bool, which cannot be added; convert it first: to(x, int64)");
  CHECK(error_text([&] { embedding(index, zeros({3})); }) ==
        "embedding: weight is [3]; it must be a matrix, one row for each index");
  CHECK(error_text([&] { embedding(zeros({2}), x); }) == "embedding: the index must be int64, not float32");
  CHECK(error_text([&] { gather(x, 1, index); }) ==
        "gather: the index is [2] and x is [3, 4]; the index must have as many dimensions, and no larger sizes but in "
        "dimension 1");
  CHECK(error_text([&] {
          scatter_add(x, 0, zeros({1, 5}, int64), zeros({1, 5}));
        }) ==
        "scatter_add: the index is [1, 5] and x is [3, 4]; the index must have as many dimensions, and no larger sizes "
        "but in dimension 0");
  CHECK(error_text([&] {
          scatter_add(x, 0, zeros({2, 4}, int64), zeros({2, 3}));
        }) ==
        "scatter_add: the index is [2, 4] and source is [2, 3]; the index must have as many dimensions, and no larger "
        "sizes");
  CHECK(error_text([&] { one_hot(zeros({0}, int64)); }) ==
        "one_hot: the index is empty, so the number of classes does not follow from it");
  CHECK(error_text([&] { one_hot(index, -2); }) == "one_hot: there cannot be -2 classes");
  CHECK(error_text([&] { one_hot(zeros({2}), 3); }) == "one_hot: the index must be int64, not float32");
  CHECK(error_text([&] { masked_fill(x, x, 0); }) ==
        "masked_fill: the mask must be a bool tensor, such as x > 0, not float32");
  CHECK(error_text([&] { masked_fill(x, zeros({3}, boolean), 0); }) ==
        "masked_fill: cannot broadcast [3, 4] with [3]; dimension 1 is 4 on the left and 3 on the right");
  CHECK(error_text([&] { masked_fill(index, ones({2}, boolean), 0.5); }) ==
        "masked_fill: x holds int64, which cannot be 0.5");
  CHECK(error_text([&] { masked_fill(index, ones({2}, boolean), -infinity); }) ==
        "masked_fill: x holds int64, which cannot be -inf");
  CHECK(error_text([&] { masked_fill(x == 0, x == 0, 2); }) == "masked_fill: x holds bool, which cannot be 2");
  CHECK(error_text([&] { tril(zeros({3})); }) == "tril: x is [3]; only a matrix, or a batch of them, has triangles");
  CHECK(error_text([&] { triu(zeros({})); }) == "triu: x is []; only a matrix, or a batch of them, has triangles");
}
