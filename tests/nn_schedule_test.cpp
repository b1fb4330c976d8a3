#include <doctest/doctest.h>

#include <cmath>
#include <numbers>
#include <string>

#include "nn/optim.h"
#include "nn/schedule.h"
#include "ops/create.h"
#include "tests/files.h"

using namespace gradus;
using files::error_text;

namespace {

template <class Schedule> void check_factors(const Schedule& schedule, const std::vector<double>& expected) {
  for (size_t step = 0; step < expected.size(); ++step) {
    CAPTURE(step);
    CHECK(schedule(int64_t(step)) == doctest::Approx(expected[step]).epsilon(1e-9));
  }
}

}  // namespace

TEST_CASE("StepLR, MultiStepLR and ExponentialLR") {
  check_factors(optim::StepLR{.step_size = 2, .gamma = 0.5}, {1, 1, 0.5, 0.5, 0.25, 0.25, 0.125});
  check_factors(optim::StepLR{.step_size = 1}, {1, 0.1, 0.01});
  check_factors(optim::MultiStepLR{.milestones = {1, 4}, .gamma = 0.1}, {1, 0.1, 0.1, 0.1, 0.01, 0.01});
  check_factors(optim::MultiStepLR{.milestones = {2, 2}}, {1, 1, 0.01});
  check_factors(optim::ExponentialLR{.gamma = 0.9}, {1, 0.9, 0.81, 0.729});
}

TEST_CASE("LinearLR") {
  check_factors(optim::LinearLR{.start_factor = 0.5, .total_iters = 4}, {0.5, 0.625, 0.75, 0.875, 1, 1, 1});
  check_factors(optim::LinearLR{}, {1. / 3, 7. / 15, 9. / 15, 11. / 15, 13. / 15, 1, 1});
  check_factors(optim::LinearLR{.start_factor = 1, .end_factor = 0, .total_iters = 2}, {1, 0.5, 0, 0});
}

TEST_CASE("CosineAnnealingLR") {
  const double half = std::numbers::sqrt2 / 2;
  check_factors(optim::CosineAnnealingLR{.T_max = 4}, {1, (1 + half) / 2, 0.5, (1 - half) / 2, 0, (1 - half) / 2});
  check_factors(optim::CosineAnnealingLR{.T_max = 2, .min_factor = 0.2}, {1, 0.6, 0.2});
}

TEST_CASE("OneCycleLR rises to 1 at the end of the first phase and falls to almost nothing") {
  // 10 steps, 0.3 of them rising: the peak is at step 0.3 · 10 − 1 = 2, the end at step 9.
  const optim::OneCycleLR schedule{.total_steps = 10};
  CHECK(schedule(0) == doctest::Approx(0.04));
  CHECK(schedule(1) == doctest::Approx(0.52));
  CHECK(schedule(2) == doctest::Approx(1));
  CHECK(schedule(4) == doctest::Approx(4e-6 + (1 - 4e-6) * (1 + std::cos(std::numbers::pi * 2 / 7)) / 2));
  CHECK(schedule(9) == doctest::Approx(4e-6));
  CHECK(schedule(10) == doctest::Approx(4e-6));
  CHECK(error_text([&] { schedule(11); }) == "OneCycleLR: the cycle of 10 steps is over; this is step 11");
  CHECK(optim::OneCycleLR{.total_steps = 4, .pct_start = 1}(3) == 1);
  CHECK(optim::OneCycleLR{.total_steps = 1, .pct_start = 1}(0) == 1);
}

TEST_CASE("Warmup leads to any other schedule") {
  check_factors(optim::Warmup{4, optim::StepLR{.step_size = 2, .gamma = 0.5}},
                {0.25, 0.5, 0.75, 1, 1, 1, 0.5, 0.5, 0.25});
  check_factors(optim::Warmup{2, [](int64_t) { return 1.; }}, {0.5, 1, 1});
}

TEST_CASE("a Scheduler sets the learning rate of every group") {
  const Tensor a = zeros({1}).requires_grad(), b = zeros({1}).requires_grad();
  optim::SGD sgd({a}, {.lr = 0.8});
  sgd.add_group({b}, {.lr = 0.4});
  optim::Scheduler scheduler(sgd, optim::Warmup{2, optim::ExponentialLR{.gamma = 0.5}});
  std::vector<double> rates;
  for (int step = 0; step < 4; ++step, scheduler.step()) {
    rates.push_back(sgd.lr());
    CHECK(sgd.lr(1) == doctest::Approx(sgd.lr() / 2));
  }
  CHECK(rates == std::vector<double>{0.4, 0.8, 0.8, 0.4});
  CHECK(scheduler.steps() == 4);
}

TEST_CASE("a Scheduler that is resumed goes on as if nothing had happened") {
  const Tensor x = zeros({1}).requires_grad();
  optim::Adam adam({x}, {.lr = 0.1});
  optim::Scheduler scheduler(adam, optim::CosineAnnealingLR{.T_max = 10});
  for (int step = 0; step < 5; ++step) scheduler.step();

  optim::Adam later({x}, {.lr = 0.1});
  later.load_state_dict(adam.state_dict());
  optim::Scheduler resumed(later, optim::CosineAnnealingLR{.T_max = 10});
  resumed.jump(scheduler.steps());
  CHECK(later.lr() == adam.lr());
  scheduler.step();
  resumed.step();
  CHECK(later.lr() == adam.lr());
}

TEST_CASE("schedules with settings that make no sense are errors") {
  CHECK(error_text([] { optim::StepLR{.step_size = 0}(1); }) == "StepLR: step_size is 0; it must be at least 1");
  CHECK(error_text([] {
          optim::MultiStepLR{.milestones = {3, 1}}(1);
        }) == "MultiStepLR: the milestones must be in rising order");
  CHECK(error_text([] { optim::LinearLR{.total_iters = -1}(1); }) ==
        "LinearLR: total_iters is -1; it must be at least 1");
  CHECK(error_text([] { optim::CosineAnnealingLR{.T_max = 0}(1); }) ==
        "CosineAnnealingLR: T_max is 0; it must be at least 1");
  CHECK(error_text([] { optim::OneCycleLR{.total_steps = 0}(0); }) ==
        "OneCycleLR: total_steps is 0; it must be at least 1");
  CHECK(error_text([] { optim::OneCycleLR{.total_steps = 5, .pct_start = 2}(0); }) ==
        "OneCycleLR: pct_start is 2.000000; it must be between 0 and 1");
}
