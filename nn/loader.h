#pragma once
// Batches of a dataset, in order or shuffled, prepared in the background.

#include <functional>
#include <iterator>
#include <vector>

#include "nn/data.h"
#include "nn/sampler.h"
#include "nn/transforms.h"

namespace gradus::data {

struct LoaderOptions {
  int64_t batch = 64;
  bool shuffle = false;                    ///< another order each epoch
  Sampler sampler = {};                    ///< which examples in which order, if not all of them
  bool drop_last = false;                  ///< leave out the last batch if it is smaller than the others
  Device device = Device::cpu();           ///< where the batches are to lie; copied while the program goes on
  int prefetch = 2;                        ///< how many batches a background thread prepares ahead; 0: no thread
  std::vector<Transform> transforms = {};  ///< applied to the inputs of each batch, one after the other
  Generator* generator = nullptr;          ///< where randomness comes from; null: default_generator()
};

/// Goes through a dataset in batches: `for (auto [image, label] : Loader(train, {.batch = 64, .shuffle = true})) ...`.
/// Each loop is an epoch. Its order and all that is random in it follow from the state that the generator has when the
/// loop starts, whatever `prefetch` is. Without sampler, shuffling and transforms a batch is a view of the dataset.
class Loader {
 public:
  explicit Loader(TensorDataset dataset, LoaderOptions options = {}, Location where = Location::here());

  /// The number of batches in an epoch.
  int64_t size() const;
  /// The number of examples in an epoch, a smaller last batch included.
  int64_t num_samples() const;

  /// The current batch of an epoch.
  class Iterator {
   public:
    using value_type = TensorDataset;
    using difference_type = std::ptrdiff_t;
    explicit Iterator(std::function<TensorDataset()> next) : next_(std::move(next)) { ++*this; }
    const TensorDataset& operator*() const { return batch_; }
    Iterator& operator++() {
      batch_ = next_();
      return *this;
    }
    void operator++(int) { ++*this; }
    bool operator==(std::default_sentinel_t) const { return !batch_.inputs.defined(); }

   private:
    std::function<TensorDataset()> next_;
    TensorDataset batch_;
  };
  /// Starts an epoch.
  Iterator begin() const;
  std::default_sentinel_t end() const { return {}; }

 private:
  class Epoch;
  TensorDataset dataset_;
  LoaderOptions options_;
  Location where_;
};

}  // namespace gradus::data
