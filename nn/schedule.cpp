#include "nn/schedule.h"

#include <algorithm>
#include <cmath>
#include <numbers>
#include <string>

#include "core/error.h"

namespace gradus::optim {
namespace {

void at_least_one(const char* schedule, const char* setting, int64_t value) {
  if (value < 1)
    fail(std::string(schedule) + ": " + setting + " is " + std::to_string(value) + "; it must be at least 1");
}

// Half a cosine wave: `from` at 0, `to` at 1.
double cosine(double from, double to, double part) {
  return to + (from - to) * (1 + std::cos(std::numbers::pi * part)) / 2;
}

}  // namespace

double StepLR::operator()(int64_t step) const {
  at_least_one("StepLR", "step_size", step_size);
  return std::pow(gamma, double(step / step_size));
}

double MultiStepLR::operator()(int64_t step) const {
  if (!std::is_sorted(milestones.begin(), milestones.end()))
    fail("MultiStepLR: the milestones must be in rising order");
  const auto passed = std::upper_bound(milestones.begin(), milestones.end(), step) - milestones.begin();
  return std::pow(gamma, double(passed));
}

double ExponentialLR::operator()(int64_t step) const { return std::pow(gamma, double(step)); }

double LinearLR::operator()(int64_t step) const {
  at_least_one("LinearLR", "total_iters", total_iters);
  return start_factor + (end_factor - start_factor) * double(std::min(step, total_iters)) / double(total_iters);
}

double CosineAnnealingLR::operator()(int64_t step) const {
  at_least_one("CosineAnnealingLR", "T_max", T_max);
  return cosine(1, min_factor, double(step) / double(T_max));
}

double OneCycleLR::operator()(int64_t step) const {
  at_least_one("OneCycleLR", "total_steps", total_steps);
  if (!(pct_start >= 0 && pct_start <= 1))
    fail("OneCycleLR: pct_start is " + std::to_string(pct_start) + "; it must be between 0 and 1");
  if (step > total_steps)
    fail("OneCycleLR: the cycle of " + std::to_string(total_steps) + " steps is over; this is step " +
         std::to_string(step));
  const double initial = 1 / div_factor, last = double(total_steps - 1), peak = pct_start * double(total_steps) - 1;
  const double now = std::min(double(step), last);
  if (now <= peak) return peak > 0 ? cosine(initial, 1, now / peak) : 1;
  return cosine(1, initial / final_div_factor, (now - peak) / (last - peak));
}

}  // namespace gradus::optim
