#pragma once
// How well it goes: averages, accuracy, and who is taken for whom.

#include <functional>
#include <ostream>
#include <string>
#include <vector>

#include "nn/data.h"
#include "nn/module.h"

namespace gradus {

/// A running average: `loss.add(batch_loss, batch_size)`, … `loss.mean()`. Start anew with `loss = {}`.
struct Average {
  double sum = 0, weight = 0;
  void add(double value, double value_weight = 1) { sum += value * value_weight, weight += value_weight; }
  /// Fails if nothing was added.
  double mean() const;
};

/// How many rows of `scores` [N, C] are largest at the class (int64, [N]) given.
int64_t count_correct(const Tensor& scores, const Tensor& classes, Location where = Location::here());

/// The part of the examples, 0 to 1, that a network classifies correctly, `batch` at a time. The network gives one
/// score a class, [N, C]; the targets are class numbers.
double accuracy(const std::function<Tensor(const Tensor&)>& net, const data::TensorDataset& dataset,
                int64_t batch = 1000, Location where = Location::here());
/// The same for a module, in evaluation mode.
template <class Net>
requires Module<std::remove_cvref_t<Net>>
double accuracy(Net&& net, const data::TensorDataset& dataset, int64_t batch = 1000,
                Location where = Location::here()) {
  const Evaluation evaluation(net);
  return accuracy([&](const Tensor& x) { return net(x); }, dataset, batch, where);
}

/// How often each class was taken for each other one.
class ConfusionMatrix {
 public:
  explicit ConfusionMatrix(int64_t classes, Location where = Location::here());
  /// Counts predicted classes against the true ones, both int64, [N].
  void add(const Tensor& predicted, const Tensor& actual, Location where = Location::here());

  int64_t classes() const { return classes_; }
  int64_t count(int64_t actual, int64_t predicted) const { return counts_[size_t(actual * classes_ + predicted)]; }
  /// The part of the examples that was recognised.
  double accuracy() const;
  /// The part of the examples of a class that was recognised; NaN if there are none.
  double recall(int64_t actual) const;
  /// The part of the examples taken for a class that belongs to it; NaN if there are none.
  double precision(int64_t predicted) const;
  /// A table: a row for each true class, a column for each predicted one, and the recall. `names` of the classes may be
  /// left out.
  void print(std::ostream& out, const std::vector<std::string>& names = {}) const;

 private:
  int64_t total(int64_t start, int64_t step) const;
  int64_t classes_;
  std::vector<int64_t> counts_;  // [actual, predicted]
};
std::ostream& operator<<(std::ostream& out, const ConfusionMatrix& matrix);

}  // namespace gradus
