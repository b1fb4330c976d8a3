#include "core/dtype.h"

#include <doctest/doctest.h>

#include <map>

#include "ops/activation.h"
#include "ops/arithmetic.h"
#include "ops/comparison.h"
#include "ops/create.h"
#include "ops/exponential.h"
#include "ops/reduce.h"
#include "ops/view.h"
#include "tests/checks.h"

using namespace gradus;
using checks::error_here;

namespace {

const std::vector<Dtype> dtypes = {boolean, int64, bfloat16, float32, float64};

Tensor of(Dtype dtype, const Shape& shape = {2}) { return ones(shape, dtype); }

}  // namespace

TEST_CASE("dtype: sizes and names") {
  const std::map<Dtype, std::pair<size_t, std::string_view>> expected = {{float32, {4, "float32"}},
                                                                         {float64, {8, "float64"}},
                                                                         {bfloat16, {2, "bfloat16"}},
                                                                         {int64, {8, "int64"}},
                                                                         {boolean, {1, "bool"}}};
  for (const auto& [dtype, about] : expected) {
    CHECK(item_size(dtype) == about.first);
    CHECK(to_string(dtype) == about.second);
    CHECK(is_floating_point(dtype) == (dtype != int64 && dtype != boolean));
    CHECK(visit(dtype, []<class T>() { return sizeof(T); }) == about.first);
    CHECK(visit(dtype, []<class T>() { return dtype_of<T>(); }) == dtype);
  }
}

TEST_CASE("dtype: two tensors promote as in PyTorch") {
  // torch.result_type(torch.ones(2, dtype=row), torch.ones(2, dtype=column))
  const Dtype table[5][5] = {{boolean, int64, bfloat16, float32, float64},
                             {int64, int64, bfloat16, float32, float64},
                             {bfloat16, bfloat16, bfloat16, float32, float64},
                             {float32, float32, float32, float32, float64},
                             {float64, float64, float64, float64, float64}};
  for (size_t i = 0; i < 5; ++i)
    for (size_t j = 0; j < 5; ++j) {
      CAPTURE(to_string(dtypes[i]));
      CAPTURE(to_string(dtypes[j]));
      CHECK(promote(dtypes[i], dtypes[j]) == table[i][j]);
      const Tensor y = maximum(of(dtypes[i]), of(dtypes[j]));
      CHECK(y.dtype() == table[i][j]);
      CHECK(y.to_vector<int>() == std::vector{1, 1});
    }
}

TEST_CASE("dtype: scalars and numbers do not widen tensors of their kind") {
  // torch.result_type(tensor, scalar): [tensor's dtype][scalar's dtype]
  const Dtype table[5][5] = {{boolean, int64, bfloat16, float32, float64},
                             {int64, int64, bfloat16, float32, float64},
                             {bfloat16, bfloat16, bfloat16, bfloat16, bfloat16},
                             {float32, float32, float32, float32, float32},
                             {float64, float64, float64, float64, float64}};
  for (size_t i = 0; i < 5; ++i)
    for (size_t j = 0; j < 5; ++j) {
      CAPTURE(to_string(dtypes[i]));
      CAPTURE(to_string(dtypes[j]));
      CHECK(maximum(of(dtypes[i]), of(dtypes[j], {})).dtype() == table[i][j]);
      CHECK(maximum(of(dtypes[j], {}), of(dtypes[i])).dtype() == table[i][j]);
      CHECK(maximum(of(dtypes[i], {}), of(dtypes[j], {})).dtype() == promote(dtypes[i], dtypes[j]));
    }
  for (Dtype dtype : dtypes) {
    CAPTURE(to_string(dtype));
    CHECK((of(dtype) + 1).dtype() == (dtype == boolean ? int64 : dtype));
    CHECK((2 * of(dtype)).dtype() == (dtype == boolean ? int64 : dtype));
    CHECK((of(dtype) + 0.5).dtype() == (is_floating_point(dtype) ? dtype : float32));
    CHECK((of(dtype, {}) + 0.5).dtype() == (is_floating_point(dtype) ? dtype : float32));
  }
  CHECK((of(int64) + 0.5).to_vector<double>() == std::vector{1.5, 1.5});
}

TEST_CASE("dtype: what the kinds of operation return") {
  for (Dtype dtype : dtypes) {
    CAPTURE(to_string(dtype));
    const Dtype floating = is_floating_point(dtype) ? dtype : float32;
    const Tensor x = of(dtype);
    CHECK(exp(x).dtype() == floating);
    CHECK(relu(x).dtype() == floating);
    CHECK((x / x).dtype() == floating);
    CHECK((x < x).dtype() == boolean);
    CHECK(logical_not(x).dtype() == boolean);
    CHECK(sum(x).dtype() == (is_floating_point(dtype) ? dtype : int64));
    CHECK(amax(x).dtype() == dtype);
    CHECK(any(x).dtype() == boolean);
    CHECK(argmax(x).dtype() == int64);
    CHECK(where(x > 0, x, x).dtype() == dtype);
    CHECK(reshape(x, {2, 1}).dtype() == dtype);
    CHECK(zeros_like(x).dtype() == dtype);
  }
  CHECK((tensor({7}, int64) / tensor({2}, int64)).item() == 3.5);
}

TEST_CASE("dtype: bfloat16 rounds to nearest, ties to even") {
  for (const auto& [value, rounded] : std::map<float, float>{{1, 1},
                                                             {1.00390625f, 1},          // a tie, down to even
                                                             {1.01171875f, 1.015625f},  // a tie, up to even
                                                             {1.0040f, 1.0078125f},
                                                             {-1.0040f, -1.0078125f},
                                                             {3.3895314e38f, 3.3895314e38f},
                                                             {1e-40f, 9.9494e-41f}})
    CHECK(float(BFloat16(value)) == doctest::Approx(rounded).epsilon(1e-4));
  CHECK(float(BFloat16(3.4e38f)) == INFINITY);
  CHECK(std::isnan(float(BFloat16(NAN))));
  CHECK(float(BFloat16(-INFINITY)) == -INFINITY);
  CHECK(std::signbit(float(BFloat16(-0.f))));
}

TEST_CASE("dtype: conversions of tensors") {
  const Tensor x = tensor({-1.75, 0, 0.5, 3}, float64);
  CHECK(to(x, int64).to_vector<int>() == std::vector{-1, 0, 0, 3});
  CHECK(to(x, boolean).to_vector<int>() == std::vector{1, 0, 1, 1});
  CHECK(to(x, float32).to_vector<double>() == x.to_vector<double>());
  CHECK(to(x, bfloat16).to_vector<double>() == x.to_vector<double>());
  CHECK(to(to(x, boolean), float32).to_vector<int>() == std::vector{1, 0, 1, 1});
  CHECK(to(x, float64).is(x));
  CHECK(to(Tensor(0.1, float64), bfloat16).item<double>() == 0.10009765625);
  const int64_t large = (int64_t(1) << 53) - 1;
  const Tensor n = tensor(std::vector<int64_t>{large});
  CHECK(to(n, float64).item<double>() == double(large));
  CHECK(to(to(n, float64), int64).item<int64_t>() == large);
  CHECK(clone(n).item<int64_t>() == large);
  for (Dtype from : dtypes)
    for (Dtype into : dtypes) CHECK(to(t(ones({3, 2}, from)), into).to_vector<int>() == std::vector<int>(6, 1));
}

TEST_CASE("dtype: gradients come back in the dtype of their tensor") {
  for (Dtype from : {float32, float64, bfloat16})
    for (Dtype other : dtypes) {
      CAPTURE(to_string(from));
      CAPTURE(to_string(other));
      const Tensor x = tensor({1, 2}, from).requires_grad();
      sum(to(x, float64) * of(other, {3, 2}) + x).backward();
      REQUIRE(x.grad().defined());
      CHECK(x.grad().dtype() == from);
      CHECK(x.grad().to_vector<int>() == std::vector{6, 6});
    }
  const Tensor x = tensor({1, 2}).requires_grad();
  CHECK_FALSE(to(x, int64).needs_grad());
}
