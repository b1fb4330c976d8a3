#include <doctest/doctest.h>

#include "nn/optim.h"
#include "nn/schedule.h"
#include "ops/create.h"
#include "ops/view.h"
#include "tests/golden.h"

using namespace gradus;

namespace {

struct Schedules {
  golden::File file{"schedule"};

  // The learning rates of 20 steps, from an initial one of 0.1.
  template <class Schedule> void operator()(const std::string& name, const Schedule& schedule) {
    file.check(name, [&](const golden::Case& one) {
      optim::SGD sgd({zeros({1}).requires_grad()}, {.lr = 0.1});
      optim::Scheduler scheduler(sgd, schedule);
      std::vector<double> rates;
      for (int i = 0; i < 20; ++i, scheduler.step()) rates.push_back(sgd.lr());
      return StateDict{{"lr", to(tensor(rates), one.dtype)}};
    });
  }
};

}  // namespace

TEST_CASE("golden: learning rate schedules agree with PyTorch") {
  using namespace optim;
  Schedules check;
  check("StepLR/default", StepLR{.step_size = 7});
  check("StepLR/gamma", StepLR{.step_size = 3, .gamma = 0.7});
  check("MultiStepLR/default", MultiStepLR{.milestones = {2, 11}});
  check("MultiStepLR/gamma", MultiStepLR{.milestones = {1, 4, 5, 15}, .gamma = 0.5});
  check("ExponentialLR/gamma", ExponentialLR{.gamma = 0.9});
  check("LinearLR/default", LinearLR{});
  check("LinearLR/down", LinearLR{.start_factor = 1, .end_factor = 0.1, .total_iters = 12});
  check("CosineAnnealingLR/default", CosineAnnealingLR{.T_max = 20});
  check("CosineAnnealingLR/min_and_up_again", CosineAnnealingLR{.T_max = 8, .min_factor = 0.2});
  check("OneCycleLR/default", OneCycleLR{.total_steps = 20});
  check("OneCycleLR/all", OneCycleLR{.total_steps = 24, .pct_start = 0.4, .div_factor = 10, .final_div_factor = 100});
  check("Warmup/cosine", Warmup{5, CosineAnnealingLR{.T_max = 15}});
}
