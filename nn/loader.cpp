#include "nn/loader.h"

#include <algorithm>
#include <condition_variable>
#include <deque>
#include <exception>
#include <memory>
#include <mutex>
#include <thread>

#include "core/cuda.h"
#include "core/node.h"
#include "core/threads.h"
#include "ops/view.h"

namespace gradus::data {

// One pass through the dataset. A background thread fills the queue; without one, each batch is made when it is asked
// for.
class Loader::Epoch {
 public:
  explicit Epoch(const Loader& loader)
      : dataset_(loader.dataset_),
        options_(loader.options_),
        where_(loader.where_),
        samples_(loader.num_samples()),
        batches_(loader.size()) {
    const Scope scope("Loader", where_);
    Generator& generator = options_.generator ? *options_.generator : default_generator();
    if (options_.sampler.draw) order_ = options_.sampler.draw(dataset_.size(), generator);
    if (order_.defined() && order_.shape() != Shape{samples_})
      fail("the sampler gave indices of shape " + to_string(order_.shape()) + " instead of [" +
           std::to_string(samples_) + ']');
    if (order_.defined()) order_ = order_.copied_to(dataset_.inputs.device());
    if (!options_.transforms.empty()) random_ = generator.reserve(uint64_t(batches_) << 32);
    const bool has_work = order_.defined() || !options_.transforms.empty();
    if (options_.prefetch < 1 || !has_work) return;
    const auto wait_for_dataset = cuda::record_event(dataset_.inputs.device());
    thread_ = std::jthread([=, this](std::stop_token stop) { fill_queue(stop, wait_for_dataset); });
  }

  // The next batch; an empty one at the end.
  TensorDataset next() {
    if (taken_ == batches_) return {};
    const int64_t number = taken_++;
    if (!thread_.joinable()) return batch(number);
    std::unique_lock lock(mutex_);
    changed_.wait(lock, [this] { return !queue_.empty() || error_; });
    if (queue_.empty()) std::rethrow_exception(error_);
    Prefetched made = std::move(queue_.front());
    queue_.pop_front();
    changed_.notify_all();
    made.wait();
    return std::move(made.batch);
  }

 private:
  // A batch that the thread has asked the device for; whoever uses it calls wait() first.
  struct Prefetched {
    TensorDataset batch;
    std::function<void()> wait;
  };

  TensorDataset batch(int64_t number) const {
    const Scope scope("Loader", where_);
    const NoGrad no_grad;
    const int64_t start = number * options_.batch, count = std::min(options_.batch, samples_ - start);
    TensorDataset result =
        order_.defined() ? dataset_.subset(narrow(order_, 0, start, count)) : dataset_.slice(start, start + count);
    Generator generator;  // each batch has counters of its own, whichever thread makes it
    generator.set_state({random_.seed, random_.offset + (uint64_t(number) << 32)});
    for (const Transform& transform : options_.transforms) result.inputs = transform(result.inputs, generator);
    return {result.inputs.copied_to(options_.device), result.targets.copied_to(options_.device)};
  }

  void fill_queue(std::stop_token stop, const std::function<void()>& wait_for_dataset) {
    set_num_threads(1);  // of this thread; the others have the training to do
    try {
      wait_for_dataset();
      for (int64_t number = 0; number < batches_; ++number) {
        Prefetched made{batch(number), {}};
        made.wait = cuda::record_event(options_.device);
        std::unique_lock lock(mutex_);
        if (!changed_.wait(lock, stop, [this] { return int(queue_.size()) < options_.prefetch; })) break;
        queue_.push_back(std::move(made));
        changed_.notify_all();
      }
      // Batches that nobody wants are freed by the thread that asked the device for them.
      std::unique_lock lock(mutex_);
      changed_.wait(lock, stop, [this] { return queue_.empty(); });
      queue_.clear();
    } catch (...) {
      const std::lock_guard lock(mutex_);
      error_ = std::current_exception();
      changed_.notify_all();
    }
  }

  TensorDataset dataset_;
  LoaderOptions options_;
  Location where_;
  int64_t samples_, batches_, taken_ = 0;
  Tensor order_;           // of the examples; undefined: as they come
  GeneratorState random_;  // for the transforms

  std::mutex mutex_;
  std::condition_variable_any changed_;
  std::deque<Prefetched> queue_;
  std::exception_ptr error_;
  std::jthread thread_;  // last: it is stopped and joined before the rest goes
};

Loader::Loader(TensorDataset dataset, LoaderOptions options, Location where)
    : dataset_(std::move(dataset)), options_(std::move(options)), where_(where) {
  const Scope scope("Loader", where);
  if (options_.batch < 1) fail("a batch must have at least 1 example, not " + std::to_string(options_.batch));
  if (options_.prefetch < 0) fail("cannot prefetch " + std::to_string(options_.prefetch) + " batches");
  dataset_.size();
  if (options_.shuffle && options_.sampler.draw) fail("a sampler leaves nothing to shuffle; leave out one of them");
  if (options_.shuffle) options_.sampler = random_sampler();
}

int64_t Loader::num_samples() const {
  return options_.sampler.num_samples < 0 ? dataset_.size() : options_.sampler.num_samples;
}

int64_t Loader::size() const {
  const int64_t examples = num_samples();
  const bool has_smaller_batch = examples % options_.batch != 0;
  return examples / options_.batch + (has_smaller_batch && !options_.drop_last);
}

Loader::Iterator Loader::begin() const {
  const auto epoch = std::make_shared<Epoch>(*this);
  return Iterator([epoch] { return epoch->next(); });
}

}  // namespace gradus::data
