#include <doctest/doctest.h>

#include "core/threads.h"
#include "ops/arithmetic.h"
#include "ops/create.h"
#include "ops/loss.h"
#include "ops/reduce.h"
#include "ops/view.h"
#include "tests/checks.h"
#include "tests/golden.h"

using namespace gradus;

namespace {

// The cases with a reduction, whose name ends the names of the cases.
void check(golden::File& file, const std::string& name, LossReduction how) {
  const auto elementwise = [&](const std::string& loss, const auto& function) {
    file.function(loss + name, [&](const Tensor& x, const Tensor& target) { return function(x, target, how); });
  };
  elementwise("mse_loss/", mse_loss);
  elementwise("l1_loss/", l1_loss);
  elementwise("huber_loss/", [](auto& x, auto& target, auto r) { return huber_loss(x, target, 1, r); });
  elementwise("huber_loss/delta_", [](auto& x, auto& target, auto r) { return huber_loss(x, target, 0.5, r); });
  elementwise("smooth_l1_loss/", [](auto& x, auto& target, auto r) { return smooth_l1_loss(x, target, 1, r); });
  elementwise("smooth_l1_loss/beta_", [](auto& x, auto& t, auto r) { return smooth_l1_loss(x, t, 0.3, r); });
  elementwise("binary_cross_entropy_with_logits/",
              [](auto& x, auto& t, auto r) { return binary_cross_entropy_with_logits(x, t, {.reduction = r}); });
  file.function("binary_cross_entropy_with_logits/weights_" + name, [&](auto& x, auto& t, auto& w) {
    return binary_cross_entropy_with_logits(x, t, {.weight = flip(w, {0}), .pos_weight = w, .reduction = how});
  });
  elementwise("kl_div/", [](auto& x, auto& target, auto r) { return kl_div(x, target, r); });
  elementwise("kl_div/log_target_", [](auto& x, auto& target, auto r) { return kl_div(x, target, r, true); });

  const auto cross = [&](const std::string& setting, CrossEntropyOptions options) {
    options.reduction = how;
    file.function("cross_entropy/" + setting + name, [&](const golden::Tensors& in) {
      if (in.size() == 3) options.weight = in[2];
      return cross_entropy(in[0], in[1], options);
    });
  };
  cross("classes_", {});
  cross("weight_", {});
  cross("ignore_", {});
  cross("ignore_index_", {.ignore_index = 2});
  cross("smoothing_", {.label_smoothing = 0.2});
  cross("all_", {.label_smoothing = 0.1});
  cross("probabilities_", {});
  cross("probabilities_all_", {.label_smoothing = 0.3});
  cross("image_", {});
  cross("image_all_", {.label_smoothing = 0.1});
  cross("image_probabilities_", {.label_smoothing = 0.1});

  const auto nll = [&](const golden::Tensors& in) {
    return nll_loss(in[0], in[1], {.weight = in.size() == 3 ? in[2] : Tensor(), .reduction = how});
  };
  file.function("nll_loss/weight_" + name, nll);
  file.function("nll_loss/image_weight_" + name, nll);
  file.function("nll_loss/" + name, nll);
  file.function("nll_loss/ignore_" + name, nll);
}

}  // namespace

TEST_CASE("golden: losses agree with PyTorch") {
  golden::File file("loss");
  check(file, "none", LossReduction::none);
  check(file, "mean", LossReduction::mean);
  check(file, "sum", LossReduction::sum);
  file.function("kl_div/batchmean",
                [](const Tensor& x, const Tensor& target) { return kl_div(x, target, LossReduction::batchmean); });
  file.function("cross_entropy/one", [](const Tensor& x, const Tensor& target) { return cross_entropy(x, target); });
  file.function("cross_entropy/nothing_sum", [](const Tensor& x, const Tensor& target) {
    return cross_entropy(x, target, {.reduction = LossReduction::sum});
  });
}

TEST_CASE("loss: in one pass what the formula and its mean give in two, whatever the size, the layout and the dtype") {
  manual_seed(3);
  const int before = num_threads();
  for (const Dtype dtype : {float32, float64, bfloat16})
    for (const Shape& shape : {Shape{}, Shape{0, 2}, Shape{1, 1}, Shape{7, 9}, Shape{2, 2049}, Shape{300, 400}}) {
      CAPTURE(dtype);
      CAPTURE(shape);
      const Tensor target = randn(shape, dtype);
      const Tensor x = (shape.dim() == 2 ? t(randn({shape[1], shape[0]}, dtype)) : randn(shape, dtype)).requires_grad();
      const Tensor d = x - target, squares = to(to(d, float64) * to(d, float64), dtype);
      const double mean_of = mean(to(squares, float64)).item<double>(), rounding = dtype == bfloat16 ? 1e-2 : 1e-6;
      for (const int threads : {1, 2}) {
        set_num_threads(threads);
        const Tensor loss = mse_loss(x, target);
        x.set_grad({});
        loss.backward();
        if (shape.numel() == 0) {
          CHECK(std::isnan(loss.item()));  // as the mean of nothing is
        } else {
          CHECK(loss.item<double>() == doctest::Approx(mean_of).epsilon(rounding));
          CHECK(checks::distance(x.grad() * double(x.numel()), 2 * d) <= 10 * rounding);
        }
      }
      set_num_threads(1);
      const Tensor one = mse_loss(x, target, LossReduction::sum);
      set_num_threads(2);
      CHECK(one.item() == mse_loss(x, target, LossReduction::sum).item());
    }
  set_num_threads(before);
}
