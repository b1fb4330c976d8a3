#pragma once
// Learning rate schedules. A schedule is a function from the number of steps taken to a factor of the initial learning
// rate; the ones here are PyTorch's, in closed form, and any other function will do.
//
//   optim::Scheduler scheduler(adam, optim::CosineAnnealingLR{.T_max = 100});
//   …
//   adam.step();
//   scheduler.step();

#include <cstdint>
#include <utility>
#include <vector>

namespace gradus::optim {

/// gamma after every `step_size` steps.
struct StepLR {
  int64_t step_size;
  double gamma = 0.1;
  double operator()(int64_t step) const;
};

/// gamma after each of the milestones, in rising order.
struct MultiStepLR {
  std::vector<int64_t> milestones;
  double gamma = 0.1;
  double operator()(int64_t step) const;
};

/// gammaᵗ
struct ExponentialLR {
  double gamma;
  double operator()(int64_t step) const;
};

/// A straight line from one factor to the other over `total_iters` steps, then constant.
struct LinearLR {
  double start_factor = 1. / 3, end_factor = 1;
  int64_t total_iters = 5;
  double operator()(int64_t step) const;
};

/// Loshchilov and Hutter, "SGDR: stochastic gradient descent with warm restarts", 2017, without the restarts: half a
/// cosine wave from 1 down to `min_factor` after T_max steps (and up again after that).
struct CosineAnnealingLR {
  int64_t T_max;
  double min_factor = 0;
  double operator()(int64_t step) const;
};

/// Smith and Topin, "Super-convergence", 2018: up from 1/div_factor to 1 during the first pct_start of the steps, then
/// down to 1/(div_factor·final_div_factor), along half cosine waves. The optimiser's learning rate is the largest one.
struct OneCycleLR {
  int64_t total_steps;
  double pct_start = 0.3, div_factor = 25, final_div_factor = 1e4;
  double operator()(int64_t step) const;
};

/// Linear warm-up: (step + 1) / steps during the first `steps` steps, and from then on another schedule.
template <class Schedule> struct Warmup {
  int64_t steps;
  Schedule then;
  double operator()(int64_t step) const { return step < steps ? double(step + 1) / double(steps) : then(step - steps); }
};
template <class Schedule> Warmup(int64_t, Schedule) -> Warmup<Schedule>;

/// Sets the learning rates of an optimiser, which must outlive it, to the schedule's factor times the initial ones.
template <class Optimizer, class Schedule> class Scheduler {
 public:
  Scheduler(Optimizer& optimizer, Schedule schedule) : optimizer_(&optimizer), schedule_(std::move(schedule)) {
    jump(0);
  }

  /// To be called after each step of the optimiser (or after each epoch, if the schedule counts epochs).
  void step() { jump(steps_ + 1); }
  int64_t steps() const { return steps_; }
  /// Goes to a number of steps, such as steps() of a run that is resumed.
  void jump(int64_t steps) {
    const double factor = schedule_(steps);
    for (auto& group : optimizer_->groups()) group.options.lr = group.initial_lr * factor;
    steps_ = steps;
  }

 private:
  Optimizer* optimizer_;
  Schedule schedule_;
  int64_t steps_ = 0;
};

}  // namespace gradus::optim
