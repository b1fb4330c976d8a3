#pragma once
// What tests look at: error texts, leaks, and how far two tensors lie apart.

#include <doctest/doctest.h>

#include <algorithm>
#include <cmath>
#include <string>
#include <string_view>
#include <vector>

#include "core/node.h"
#include "core/storage.h"
#include "core/tensor.h"

namespace gradus::checks {

/// What the error that f throws says; its place reads "(here)" if that is the line on which this is called.
template <class F> std::string error_here(const F& f, Location here = Location::here()) {
  try {
    f();
  } catch (const Error& error) {
    std::string text = error.what();
    if (const std::string place = '(' + to_string(here) + ')'; text.ends_with(place))
      text.replace(text.size() - place.size(), place.size(), "(here)");
    return text;
  }
  return "no error";
}

/// Checks at its end that no node and no storage is left that was not there at its beginning.
class NoLeaks {
 public:
  ~NoLeaks() {
    CHECK_MESSAGE(Node::live() == nodes_, "steps were left behind");
    CHECK_MESSAGE(Storage::live() == storages_, "memory was left behind");
  }

 private:
  int64_t nodes_ = Node::live(), storages_ = Storage::live();
};

/// The largest difference between two tensors of one shape, relative to values above 1; NaN equals NaN and infinity
/// itself. Infinite if the shapes differ.
inline double distance(const Tensor& a, const Tensor& b) {
  if (!a.defined() || !b.defined()) return a.defined() == b.defined() ? 0 : INFINITY;
  if (a.shape() != b.shape()) return INFINITY;
  const std::vector<double> x = a.to_vector<double>(), y = b.to_vector<double>();
  double largest = 0;
  for (size_t i = 0; i < x.size(); ++i) {
    if (x[i] == y[i] || (std::isnan(x[i]) && std::isnan(y[i]))) continue;
    const double error = std::fabs(x[i] - y[i]) / std::max(1., std::fabs(y[i]));
    largest = std::isnan(error) ? INFINITY : std::max(largest, error);
  }
  return largest;
}

}  // namespace gradus::checks
