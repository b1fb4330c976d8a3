#include "core/tensor.h"

#include <doctest/doctest.h>

#include <sstream>

#include "core/cuda.h"
#include "ops/arithmetic.h"
#include "ops/create.h"
#include "ops/view.h"
#include "tests/checks.h"

using namespace gradus;
using checks::error_here;

namespace {

std::string text(const Tensor& x) {
  std::ostringstream out;
  out << x;
  return out.str();
}

}  // namespace

TEST_CASE("tensor: shapes, strides and values") {
  const Tensor x = tensor({{1, 2, 3}, {4, 5, 6}});
  CHECK(x.shape() == Shape{2, 3});
  CHECK(x.strides() == Shape{3, 1});
  CHECK(x.dim() == 2);
  CHECK(x.numel() == 6);
  CHECK(x.size(0) == 2);
  CHECK(x.size(-1) == 3);
  CHECK(x.dtype() == float32);
  CHECK(x.device() == Device::cpu());
  CHECK(x.is_contiguous());
  CHECK(x.at(4) == 5);
  CHECK(x.data<float>()[3] == 4);

  const Tensor y = t(x);
  CHECK(y.shape() == Shape{3, 2});
  CHECK(y.strides() == Shape{1, 3});
  CHECK_FALSE(y.is_contiguous());
  CHECK(y.to_vector<int>() == std::vector{1, 4, 2, 5, 3, 6});
  CHECK(y.to_vector<float>() == std::vector<float>{1, 4, 2, 5, 3, 6});
  CHECK(y.at(1) == 4);
  CHECK(y.storage() == x.storage());
  CHECK(select(x, 0, 1).to_vector<int>() == std::vector{4, 5, 6});
  CHECK(select(x, 0, 1).data<float>()[0] == 4);
  CHECK(expand(tensor({7}), {3}).strides() == Shape{0});
  CHECK(expand(tensor({7}), {3}).to_vector<int>() == std::vector{7, 7, 7});
  CHECK(Tensor(2.5).shape() == Shape{});
  CHECK(Tensor(2.5).numel() == 1);
  CHECK(zeros({2, 0, 3}).numel() == 0);
  CHECK(zeros({2, 0, 3}).to_vector<int>().empty());
}

TEST_CASE("tensor: copies share memory, clones do not") {
  const Tensor x = tensor({1, 2});
  const Tensor same = x, copy = clone(x);
  CHECK(same.is(x));
  CHECK_FALSE(copy.is(x));
  Tensor writable = x;
  writable.mutable_data<float>()[0] = 9;
  CHECK(same.at(0) == 9);
  CHECK(copy.at(0) == 1);
}

TEST_CASE("tensor: from C++ values and back") {
  CHECK(tensor(std::vector<double>{1.5, 2}).dtype() == float64);
  CHECK(tensor(std::vector<int>{1, 2}).dtype() == int64);
  CHECK(tensor(std::vector<uint8_t>{1, 255}).to_vector<int>() == std::vector{1, 255});
  CHECK(tensor(std::vector<int>{-7}).to_vector<int64_t>() == std::vector<int64_t>{-7});
  const bool flags[] = {true, false};
  CHECK(Tensor::copy_of(flags, {2}).dtype() == boolean);
  CHECK(Tensor({1, 2, 3, 4}, {2, 2}, int64).to_vector<int>() == std::vector{1, 2, 3, 4});
  CHECK(tensor({0, 0.5, -2}, boolean).to_vector<int>() == std::vector{0, 1, 1});
  CHECK(Tensor(3).item() == 3);
  CHECK(Tensor(3.75, float64).item<double>() == 3.75);
  CHECK(Tensor(3.75).item<int>() == 3);
  CHECK(Tensor(3).item<bool>());
  CHECK(Tensor({5}, {1, 1}).item<int64_t>() == 5);
  // Integers beyond 2^53 survive.
  const int64_t large = (int64_t(1) << 62) + 1;
  CHECK(tensor(std::vector<int64_t>{large}).item<int64_t>() == large);
  CHECK(expand(tensor(std::vector<int64_t>{large}), {2}).to_vector<int64_t>() == std::vector<int64_t>{large, large});
}

TEST_CASE("tensor: memory of somebody else is used as it is and released once") {
  const checks::NoLeaks no_leaks;
  float values[] = {1, 2, 3, 4};
  int released = 0;
  {
    const Tensor x = Tensor::from_memory(values, {2, 2}, [&] { ++released; });
    const Tensor view = t(x), copy = x;
    values[1] = 7;
    CHECK(view.to_vector<int>() == std::vector{1, 3, 7, 4});
    CHECK(x.data<float>() == values);
    CHECK(released == 0);
  }
  CHECK(released == 1);
  const Tensor without = Tensor::from_memory(values, {4});
  CHECK(without.numel() == 4);
}

TEST_CASE("tensor: names") {
  const Tensor x = tensor({1, 2}).named("x");
  CHECK(x.name() == "x");
  CHECK(x.detach().name().empty());
  CHECK_FALSE(x.needs_grad());
  const Tensor y = (x.requires_grad() * 2).named("y");
  CHECK(y.name() == "y");
  CHECK(x.name() == "x");
}

TEST_CASE("tensor: printing is NumPy's layout") {
  CHECK(text(Tensor(3)) == "3.");
  CHECK(text(Tensor(0.5)) == "0.5000");
  CHECK(text(tensor({1, -2, 10})) == "[ 1., -2., 10.]");
  CHECK(text(tensor({0.25, -1.5})) == "[ 0.2500, -1.5000]");
  CHECK(text(tensor({{1, 2}, {3, 4}})) == "[[1., 2.],\n [3., 4.]]");
  CHECK(text(reshape(arange(12), {2, 3, 2})) ==
        "[[[ 0,  1],\n  [ 2,  3],\n  [ 4,  5]],\n\n [[ 6,  7],\n  [ 8,  9],\n  [10, 11]]]");
  CHECK(text(t(tensor({{1, 2}, {3, 4}}))) == "[[1., 3.],\n [2., 4.]]");
  CHECK(text(tensor({1, 0}, boolean)) == "[ true, false]");
  CHECK(text(tensor({INFINITY, -INFINITY, NAN, 1.5})) == "[   inf,   -inf,    nan, 1.5000]");
  CHECK(text(tensor({1e-7, 1})) == "[1.0000e-07, 1.0000e+00]");
  CHECK(text(tensor({1e9, 1})) == "[1.0000e+09, 1.0000e+00]");
  CHECK(text(tensor({1, 2}, float64)) == "[1., 2.], float64");
  CHECK(text(tensor(std::vector{(int64_t(1) << 53) + 1, INT64_MIN})) == "[    9007199254740993, -9223372036854775808]");
  CHECK(text(tensor({1.5}, bfloat16)) == "[1.5000], bfloat16");
  CHECK(text(zeros({0})) == "[], shape [0]");
  CHECK(text(zeros({2, 0})) == "[[],\n []], shape [2, 0]");
  CHECK(text(Tensor()) == "undefined");
  CHECK(text(arange(2000)) == "[   0,    1,    2, ..., 1997, 1998, 1999], shape [2000]");
  CHECK(text(reshape(arange(4000), {2, 2000})) ==
        "[[   0,    1,    2, ..., 1997, 1998, 1999],\n [2000, 2001, 2002, ..., 3997, 3998, 3999]], shape [2, 2000]");
  CHECK(text(reshape(arange(4000), {2000, 2})) ==
        "[[   0,    1],\n [   2,    3],\n [   4,    5],\n ...,\n [3994, 3995],\n [3996, 3997],\n [3998, 3999]], "
        "shape [2000, 2]");
  print_options() = {.precision = 2, .threshold = 5, .edge_items = 1};
  CHECK(text(tensor({0.125, 1, 2, 3, 4, 5})) == "[0.12, ..., 5.00], shape [6]");
  print_options() = {};
}

TEST_CASE("tensor: lists of numbers and of rows are told apart") {
  CHECK(tensor({{1}, {2}}).shape() == Shape{2, 1});
  CHECK(tensor({{1, 2.5}}).shape() == Shape{1, 2});
  CHECK(tensor({1, 2.5, true}).to_vector<double>() == std::vector<double>{1, 2.5, 1});
}

TEST_CASE("tensor: errors") {
  const Tensor x = tensor({{1, 2}, {3, 4}}), undefined;
  CHECK(error_here([&] { Tensor({1, 2, 3}, {2, 2}); }) == "tensor: 3 values do not fill the shape [2, 2]");
  CHECK(error_here([&] { tensor({{1, 2}, {3}}); }) == "tensor: the rows differ in length (2 and 1)");
  CHECK(error_here([&] { x.item(); }) == "item: the tensor has shape [2, 2]; only one element has a single value");
  CHECK(error_here([&] { x.at(4); }) == "at: there is no element 4 in a tensor of shape [2, 2]");
  CHECK(error_here([&] { x.at(-1); }) == "at: there is no element -1 in a tensor of shape [2, 2]");
  CHECK(error_here([&] { x.data<double>(); }) == "data: the tensor holds float32, not float64");
  CHECK(error_here([&] { x.size(2); }) == "there is no dimension 2 in a tensor of 2 dimensions");
  CHECK(error_here([&] { undefined.shape(); }) ==
        "the tensor is undefined (default-constructed, or a gradient that was never computed)");
  CHECK(error_here([&] { undefined + x; }) ==
        "add: the tensor is undefined (default-constructed, or a gradient that was never computed) (here)");
  CHECK(error_here([&] { x.grad().item(); }) ==
        "the tensor is undefined (default-constructed, or a gradient that was never computed)");
  CHECK(error_here([&] { zeros({2, -1}); }) == "a tensor cannot have the shape [2, -1]");
  CHECK(error_here([&] { zeros({1, 1, 1, 1, 1, 1, 1, 1, 1}); }) == "a tensor has at most 8 dimensions");
  CHECK(error_here([&] { zeros({2}).alias({2}, {1}, 0).requires_grad().data<int>(); }) ==
        "data: the tensor holds float32, not int64");
  if (!cuda::is_available()) {
    CHECK(error_here([&] { Tensor::empty({2}, float32, Device::cuda()); }).starts_with("there is no CUDA device (lib"));
    CHECK(error_here([&] { to(x, Device::cuda()); }).starts_with("to: there is no CUDA device (lib"));
  } else {
    CHECK(error_here([&] { to(x, Device::cuda(200)); }) ==
          "to: there is no cuda:200, only " + std::to_string(cuda::device_count()) + " CUDA device(s) (here)");
  }
}
