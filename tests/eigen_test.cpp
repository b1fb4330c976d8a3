#include "core/eigen.h"

#include <doctest/doctest.h>

#include "ops/view.h"

using namespace gradus;

TEST_CASE("Eigen matrices and vectors become tensors of their values, row by row") {
  Eigen::MatrixXd matrix(2, 3);
  matrix << 1, 2, 3, 4, 5, 6;
  const Tensor x = from_eigen(matrix);
  CHECK(x.shape() == Shape{2, 3});
  CHECK(x.dtype() == float64);
  CHECK(x.to_vector<double>() == std::vector<double>{1, 2, 3, 4, 5, 6});
  CHECK(from_eigen(Eigen::VectorXf::LinSpaced(3, 0, 2)).to_vector<float>() == std::vector<float>{0, 1, 2});
  CHECK(from_eigen(matrix.transpose() * 2).to_vector<double>() == std::vector<double>{2, 8, 4, 10, 6, 12});
}

TEST_CASE("a view in Eigen shares the tensor's memory and follows its strides") {
  const Tensor x = tensor({{1, 2, 3}, {4, 5, 6}});
  CHECK(as_eigen<float>(x).data() == x.data<float>());
  CHECK(as_eigen<float>(x)(1, 2) == 6);
  CHECK(as_eigen<float>(t(x))(2, 1) == 6);
  CHECK(as_eigen<float>(slice(x, 1, 0, 3, 2)).sum() == 14);
  CHECK(as_eigen<float>(select(x, 1, 1)).col(0).sum() == 7);
}

TEST_CASE("as_eigen refuses what has no view") {
  const Location here{"user.cpp", 7};
  CHECK_THROWS_WITH_AS(as_eigen<float>(Tensor(1.), here),
                       "as_eigen: x is []; only vectors and matrices have a view in Eigen (user.cpp:7)", Error);
  CHECK_THROWS_WITH_AS(as_eigen<double>(tensor({1, 2}), here),
                       "as_eigen: data: the tensor holds float32, not float64 (user.cpp:7)", Error);
}
