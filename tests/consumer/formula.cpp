// A program of somebody else with an operation of its own, and with Eigen for itself.

#include <gradus.h>
#include <ops/custom.h>

#include <Eigen/Dense>
#include <iostream>

struct Cube {
  static constexpr gradus::Info info{"cube"};
  template <class T> auto forward(const T& x) const { return x * x * x; }
  template <class T> auto backward(const T& dy, const T& x) const { return dy * gradus::formula::number<T>(3) * x * x; }
};

int main() {
  gradus::Tensor x = gradus::Tensor(2).requires_grad();
  gradus::map(Cube{}, x).backward();
  const Eigen::MatrixXf square = Eigen::MatrixXf::Constant(64, 64, 0.5f) * Eigen::MatrixXf::Constant(64, 64, 0.5f);
  std::cout << "the gradient of x^3 at 2 is " << x.grad().item<float>() << "; Eigen's product is " << square(63, 63)
            << '\n';
  return x.grad().item<float>() == 12 && square(63, 63) == 16 ? 0 : 1;
}
