#include <doctest/doctest.h>

#include <algorithm>
#include <cmath>
#include <limits>

#include "core/allocator.h"
#include "core/node.h"
#include "core/threads.h"
#include "nn/clip.h"
#include "nn/module.h"
#include "nn/optim.h"
#include "ops/arithmetic.h"
#include "ops/create.h"
#include "ops/reduce.h"
#include "ops/view.h"
#include "tests/files.h"

using namespace gradus;
using files::error_text;

namespace {

// The gradient of element i at step t: any sequence does.
double gradient(int t, int i) { return std::sin(1.3 * t + i) + 0.2 * i; }

Tensor gradients(int t, Dtype dtype = float64) {
  return Tensor({gradient(t, 0), gradient(t, 1), gradient(t, 2)}, {3}, dtype);
}

Tensor start(Dtype dtype = float64) { return Tensor({1, -2, 0.5}, {3}, dtype).requires_grad(); }

struct Net {
  Tensor w = ones({3}).requires_grad();
  GRADUS_FIELDS(w)
};

struct State {
  double a = 0, b = 0, c = 0;
};

// Ten steps of an optimiser against its update rule, written out for one element, and against what libtorch 1.13 gives.
template <class Options, class Rule> void check_rule(Options options, const std::vector<double>& libtorch, Rule rule) {
  const Tensor p = start();
  optim::Optimizer<Options> optimizer({p}, options);
  std::vector<double> expected = p.to_vector<double>();
  std::vector<State> states(3, State{});
  for (int t = 1; t <= 10; ++t) {
    p.set_grad(gradients(t));
    optimizer.step();
    for (int i = 0; i < 3; ++i) {
      rule(t, expected[size_t(i)], gradient(t, i), states[size_t(i)]);
      CHECK(p.at(i) == doctest::Approx(expected[size_t(i)]).epsilon(1e-13));
    }
  }
  for (int i = 0; i < 3; ++i) CHECK(p.at(i) == doctest::Approx(libtorch[size_t(i)]).epsilon(1e-13));
}

}  // namespace

TEST_CASE("SGD follows its rule and libtorch") {
  check_rule(optim::SGDOptions{.lr = 0.1}, {0.972904257803174, -2.23400001456638, 0.0903551696572952},
             [](int, double& p, double g, State&) { p -= 0.1 * g; });
  check_rule(optim::SGDOptions{.lr = 0.1, .momentum = 0.9, .weight_decay = 0.01},
             {0.584993479107366, -2.68858276280695, -0.733554742741326}, [](int, double& p, double g, State& s) {
               s.a = 0.9 * s.a + g + 0.01 * p;
               p -= 0.1 * s.a;
             });
  check_rule(optim::SGDOptions{.lr = 0.1, .momentum = 0.9, .dampening = 0.5},
             {0.494650862392399, -2.69731005125538, -0.188505077093713}, [](int t, double& p, double g, State& s) {
               s.a = t == 1 ? g : 0.9 * s.a + 0.5 * g;  // the first gradient is not dampened
               p -= 0.1 * s.a;
             });
  check_rule(optim::SGDOptions{.lr = 0.1, .momentum = 0.9, .weight_decay = 0.01, .nesterov = true},
             {0.594299627134789, -2.82915650202576, -1.01917744028528}, [](int, double& p, double g, State& s) {
               const double d = g + 0.01 * p;
               s.a = 0.9 * s.a + d;
               p -= 0.1 * (d + 0.9 * s.a);
             });
}

TEST_CASE("Adam and AdamW follow their rules and libtorch") {
  const auto adam = [](double beta1, double beta2, double eps, double decay, bool decoupled, bool amsgrad) {
    return [=](int t, double& p, double g, State& s) {
      const double lr = 0.05;
      if (decoupled) p -= lr * decay * p;
      else g += decay * p;
      s.a = beta1 * s.a + (1 - beta1) * g;
      s.b = beta2 * s.b + (1 - beta2) * g * g;
      s.c = std::max(s.c, s.b);
      const double mean = s.a / (1 - std::pow(beta1, t)), square = (amsgrad ? s.c : s.b) / (1 - std::pow(beta2, t));
      p -= lr * mean / (std::sqrt(square) + eps);
    };
  };
  check_rule(optim::AdamOptions{.lr = 0.05}, {0.877209754069839, -2.14964980057389, 0.325177483306485},
             adam(0.9, 0.999, 1e-8, 0, false, false));
  check_rule(optim::AdamOptions{.lr = 0.05, .betas = {0.8, 0.95}, .eps = 1e-3, .weight_decay = 0.1},
             {0.853030275246346, -2.0198230598892, 0.288619216652317}, adam(0.8, 0.95, 1e-3, 0.1, false, false));
  check_rule(optim::AdamOptions{.lr = 0.05, .amsgrad = true}, {0.877209754069839, -2.14964980057389, 0.325186260391213},
             adam(0.9, 0.999, 1e-8, 0, false, true));
  check_rule(optim::AdamWOptions{.lr = 0.05}, {0.872700603115513, -2.13926202197711, 0.323003972633547},
             adam(0.9, 0.999, 1e-8, 0.01, true, false));
  check_rule(optim::AdamWOptions{.lr = 0.05, .weight_decay = 0.1, .amsgrad = true},
             {0.833040413412945, -2.04782662923006, 0.303912459639622}, adam(0.9, 0.999, 1e-8, 0.1, true, true));
}

TEST_CASE("RMSprop and Adagrad follow their rules and libtorch") {
  check_rule(optim::RMSpropOptions{.lr = 0.05}, {0.674941525918078, -2.70339309463729, -0.739920228223994},
             [](int, double& p, double g, State& s) {
               s.a = 0.99 * s.a + 0.01 * g * g;
               p -= 0.05 * g / (std::sqrt(s.a) + 1e-8);
             });
  check_rule(optim::RMSpropOptions{.lr = 0.05, .alpha = 0.9, .weight_decay = 0.01, .momentum = 0.9, .centered = true},
             {0.0680974595096642, -2.92902843509248, -1.20250879409741}, [](int, double& p, double g, State& s) {
               g += 0.01 * p;
               s.a = 0.9 * s.a + 0.1 * g * g;
               s.b = 0.9 * s.b + 0.1 * g;
               s.c = 0.9 * s.c + g / (std::sqrt(s.a - s.b * s.b) + 1e-8);
               p -= 0.05 * s.c;
             });
  check_rule(optim::AdagradOptions{.lr = 0.05}, {0.967264450599916, -2.06979857405314, 0.376929379040459},
             [](int, double& p, double g, State& s) {
               s.a += g * g;
               p -= 0.05 * g / (std::sqrt(s.a) + 1e-10);
             });
  check_rule(optim::AdagradOptions{.lr = 0.05, .lr_decay = 0.1, .weight_decay = 0.01, .initial_accumulator_value = 0.5},
             {0.968812896729978, -2.04331056076215, 0.43759786658374}, [](int t, double& p, double g, State& s) {
               if (t == 1) s.a = 0.5;
               g += 0.01 * p;
               s.a += g * g;
               p -= 0.05 / (1 + 0.1 * (t - 1)) * g / (std::sqrt(s.a) + 1e-10);
             });
}

TEST_CASE("the defaults are PyTorch's") {
  CHECK(optim::SGDOptions{}.lr == 1e-3);
  CHECK(optim::AdamOptions{}.weight_decay == 0);
  CHECK(optim::AdamWOptions{}.weight_decay == 1e-2);
  CHECK(optim::RMSpropOptions{}.lr == 1e-2);
  CHECK(optim::AdagradOptions{}.eps == 1e-10);
}

TEST_CASE("every dtype, any strides and any number of threads") {
  for (const Dtype dtype : {float32, bfloat16}) {
    const Tensor p = start(dtype), exact = start();
    optim::Adam adam({p}, {.lr = 0.05}), reference({exact}, {.lr = 0.05});
    for (int t = 1; t <= 10; ++t) {
      p.set_grad(gradients(t, dtype));
      exact.set_grad(gradients(t));
      adam.step();
      reference.step();
    }
    for (int i = 0; i < 3; ++i) CHECK(p.at(i) == doctest::Approx(exact.at(i)).epsilon(dtype == float32 ? 1e-6 : 2e-2));
    CHECK(adam.state_dict().at("0.exp_avg").dtype() == float32);
  }

  const Tensor values = normal({301, 203}, 0, 1);
  const Tensor plain = clone(values).requires_grad(), transposed = clone(t(values)).alias({301, 203}, {1, 301}, 0);
  transposed.requires_grad();
  const int threads = num_threads();
  optim::RMSprop a({plain}, {.momentum = 0.9}), b({transposed}, {.momentum = 0.9});
  for (int step = 0; step < 3; ++step) {
    const Tensor grad = normal({301, 203}, 0, 1);
    plain.set_grad(grad);
    transposed.set_grad(t(clone(t(grad))));
    set_num_threads(1);
    a.step();
    set_num_threads(2);
    b.step();
  }
  set_num_threads(threads);
  CHECK(plain.to_vector<float>() == transposed.to_vector<float>());
  CHECK(plain.to_vector<float>() != values.to_vector<float>());
}

TEST_CASE("parameters without a gradient are left alone, and their steps are not counted") {
  const Tensor used = start(), idle = start();
  optim::Adam adam({used, idle}, {.weight_decay = 0.1});
  used.set_grad(gradients(1));
  adam.step();
  CHECK(idle.to_vector<double>() == std::vector<double>{1, -2, 0.5});
  CHECK(adam.state_dict().at("0.step").item<int64_t>() == 1);
  CHECK(adam.state_dict().at("1.step").item<int64_t>() == 0);
  CHECK(adam.state_dict().count("1.exp_avg") == 0);
  adam.zero_grad();
  CHECK_FALSE(used.grad().defined());
}

TEST_CASE("groups have settings of their own, and learning rates can be changed") {
  const Tensor a = start(), b = start();
  optim::SGD sgd({a}, {.lr = 0.5});
  sgd.add_group({b}, {.lr = 0.1});
  const auto step = [&] {
    a.set_grad(ones({3}, float64));
    b.set_grad(ones({3}, float64));
    sgd.step();
  };
  step();
  CHECK(a.at(0) == doctest::Approx(0.5));
  CHECK(b.at(0) == doctest::Approx(0.9));
  sgd.lr() = 0;
  sgd.lr(1) = 0.2;
  step();
  CHECK(a.at(0) == doctest::Approx(0.5));
  CHECK(b.at(0) == doctest::Approx(0.7));
  CHECK(sgd.groups().size() == 2);
}

TEST_CASE_TEMPLATE("a state that is saved and loaded goes on bit for bit", Options, optim::SGDOptions,
                   optim::AdamOptions, optim::AdamWOptions, optim::RMSpropOptions, optim::AdagradOptions) {
  Options options;
  options.lr = 0.03;
  if constexpr (requires { options.momentum; }) options.momentum = 0.9;
  if constexpr (requires { options.dampening; }) options.dampening = 0.5;
  if constexpr (requires { options.amsgrad; }) options.amsgrad = true;
  if constexpr (requires { options.centered; }) options.centered = true;
  if constexpr (requires { options.lr_decay; }) options.lr_decay = 0.1;
  const Tensor p = start(float32);
  optim::Optimizer<Options> optimizer({p}, options);
  const auto run = [](auto& o, const Tensor& tensor, int from, int to) {
    for (int step = from; step < to; ++step) {
      tensor.set_grad(gradients(step, float32));
      o.step();
    }
  };
  run(optimizer, p, 1, 6);
  optimizer.lr() = 0.01;

  const Tensor q = clone(p.detach()).requires_grad();
  optim::Optimizer<Options> resumed({q}, options);
  resumed.load_state_dict(optimizer.state_dict());
  CHECK(resumed.lr() == 0.01);
  run(optimizer, p, 6, 11);
  run(resumed, q, 6, 11);
  CHECK(p.to_vector<float>() == q.to_vector<float>());
}

TEST_CASE("a state that does not fit is an error, and changes nothing") {
  const Tensor p = start();
  optim::Adam adam({p}, {.lr = 0.1});
  p.set_grad(gradients(1));
  adam.step();
  auto state = adam.state_dict();
  CHECK(state.size() == 4);
  const auto load = [&] { return error_text([&] { adam.load_state_dict(state); }); };

  state["0.exp_avg"] = zeros({4}, float64);
  state["group.0.lr"] = Tensor(9, float64);
  CHECK(load() == "Adam: 0.exp_avg has shape [3] here and [4] in the state");
  CHECK(adam.lr() == 0.1);
  state.erase("0.exp_avg");
  CHECK(load() == "Adam: the state has no 0.exp_avg");
  state["0.exp_avg"] = zeros({3}, float64);
  state["0.momentum"] = zeros({3}, float64);
  CHECK(load() == "Adam: the state has 5 tensors and this optimiser 4");
  state.erase("0.momentum");
  CHECK(load() == "no error");
  CHECK(adam.lr() == 9);
}

TEST_CASE("settings and parameters that make no sense are errors") {
  const Tensor p = start();
  CHECK(error_text([&] { optim::SGD({p}, {.lr = -0.1}); }) == "SGD: lr is -0.1; it must be at least 0");
  CHECK(error_text([&] { optim::SGD({p}, {.lr = std::nan("")}); }) == "SGD: lr is nan; it must be at least 0");
  CHECK(error_text([&] { optim::SGD({p}, {.nesterov = true}); }) ==
        "SGD: nesterov needs a momentum and no dampening; they are 0 and 0");
  CHECK(error_text([&] {
          optim::Adam({p}, {.betas = {0.9, 1}});
        }) == "Adam: the second of betas is 1; it must be at least 0 and less than 1");
  CHECK(error_text([&] { optim::AdamW({}, {}); }) == "AdamW: there are no parameters to optimise");
  CHECK(error_text([&] { optim::RMSprop({p, p.named("w")}, {}); }) == "RMSprop: w is given twice");
  CHECK(error_text([&] { optim::Adagrad({p * 2}, {}); }) ==
        "Adagrad: parameter 0 is the result of mul; only leaves can be optimised");
  CHECK(error_text([&] { optim::SGD({arange(3)}, {}); }) ==
        "SGD: parameter 0 is int64; only floating-point tensors can be optimised");
  optim::Adam adam({p}, {});
  CHECK(error_text([&] { adam.add_group({p}); }) == "Adam: w is given twice");
  adam.lr() = -1;
  CHECK(error_text([&] { adam.step(); }) == "Adam: lr is -1; it must be at least 0");
}

TEST_CASE("an error names the user's line") {
  Location where;
  const int line = __LINE__ + 2;
  try {
    optim::SGD sgd({start()}, {.lr = -1});
  } catch (const Error& error) {
    where = error.where();
  }
  CHECK(to_string(where) == "nn_optim_test.cpp:" + std::to_string(line));
}

TEST_CASE("a step counts as a change in place, and takes no new memory once the state exists") {
  const Tensor p = zeros({1000}).requires_grad(), grad = ones({1000});
  optim::Adam adam({p});
  p.set_grad(grad);
  adam.step();
  const uint32_t version = p.storage()->version();
  const int64_t storages = Storage::live(), nodes = Node::live(), reserved = allocator_statistics().system_allocations;
  for (int i = 0; i < 10; ++i) adam.step();
  CHECK(p.storage()->version() == version + 10);
  CHECK(Storage::live() == storages);
  CHECK(Node::live() == nodes);
  CHECK(allocator_statistics().system_allocations == reserved);
}

TEST_CASE("an optimiser goes on with a module that was converted to another dtype") {
  Net net;
  optim::Adam adam(parameters(net), {.lr = 0.1});
  net.w.set_grad(ones({3}));
  adam.step();
  to(net, float64);
  CHECK(net.w.grad().dtype() == float64);
  adam.step();
  CHECK(net.w.dtype() == float64);
  CHECK(net.w.at(0) == doctest::Approx(0.8));
  CHECK(adam.state_dict().at("0.exp_avg").dtype() == float64);
}

TEST_CASE("training with an optimiser finds a minimum") {
  const Tensor target = Tensor({3, -1}, {2});
  const Tensor x = zeros({2}).requires_grad();
  optim::SGD sgd({x}, {.lr = 0.1, .momentum = 0.5});
  for (int i = 0; i < 100; ++i) {
    sgd.zero_grad();
    sum(square(x - target)).backward();
    sgd.step();
  }
  CHECK(x.at(0) == doctest::Approx(3).epsilon(1e-5));
  CHECK(x.at(1) == doctest::Approx(-1).epsilon(1e-5));
}

TEST_CASE("clip_grad_norm_ scales all gradients together, as libtorch does") {
  const Tensor a = zeros({2}).requires_grad(), b = zeros({1}).requires_grad(), none = zeros({5}).requires_grad();
  const auto reset = [&] {
    a.set_grad(Tensor({3, 4}, {2}));
    b.set_grad(Tensor({-12}, {1}));
  };
  reset();
  CHECK(clip_grad_norm_({a, b, none}, 1).item<double>() == doctest::Approx(13));
  CHECK(a.grad().at(0) == doctest::Approx(3. / 13));
  CHECK(b.grad().at(0) == doctest::Approx(-12. / 13));
  reset();
  CHECK(clip_grad_norm_({a, b}, 20).item<double>() == doctest::Approx(13));
  CHECK(a.grad().at(1) == 4);
  CHECK(clip_grad_norm_({a, b}, 100, 1).item<double>() == doctest::Approx(19));
  CHECK(clip_grad_norm_({a, b}, 6, std::numeric_limits<double>::infinity()).item<double>() == doctest::Approx(12));
  CHECK(a.grad().at(1) == doctest::Approx(2));
  CHECK(clip_grad_norm_({none}, 1).item<double>() == 0);
  CHECK_FALSE(none.grad().defined());
  for (Dtype dtype : {float32, float64, bfloat16}) {  // of a scalar, too
    const Tensor scalar = zeros({}, dtype).requires_grad();
    scalar.set_grad(Tensor(-4, dtype));
    CHECK(clip_grad_norm_({scalar}, 1).item<double>() == 4);
    CHECK(scalar.grad().dtype() == dtype);
    CHECK(scalar.grad().item<double>() == doctest::Approx(-1).epsilon(4e-3));
  }
}

TEST_CASE("clipping leaves tensors alone that share memory with a gradient") {
  const Tensor shared = Tensor({3, 4}, {2}), a = zeros({2}).requires_grad(), b = zeros({2}).requires_grad();
  a.set_grad(shared);
  b.set_grad(shared);
  clip_grad_norm_({a, b}, std::sqrt(2.));
  CHECK(a.grad().at(0) == doctest::Approx(0.6));
  CHECK(b.grad().at(0) == doctest::Approx(0.6));
  clip_grad_value_({a}, 0.7);
  CHECK(a.grad().at(0) == doctest::Approx(0.6));
  CHECK(a.grad().at(1) == doctest::Approx(0.7));
  CHECK(b.grad().at(1) == doctest::Approx(0.8));
  CHECK(shared.at(1) == 4);
}

TEST_CASE("clipping by a bound or with gradients that make no sense is an error") {
  const Tensor a = zeros({1}).requires_grad();
  a.set_grad(Tensor({std::nan("")}, {1}));
  CHECK(error_text([&] { clip_grad_norm_({a}, 1); }) == "clip_grad_norm_: the norm of the gradients is nan");
  CHECK(error_text([&] { clip_grad_norm_({a}, 1, std::numeric_limits<double>::infinity()); }) ==
        "clip_grad_norm_: the norm of the gradients is nan");
  CHECK(std::isnan(clip_grad_norm_({a}, 1, 2, false).item<double>()));
  CHECK(error_text([&] { clip_grad_norm_({a}, -1, 2); }) == "clip_grad_norm_: max_norm is -1; it must be at least 0");
  CHECK(error_text([&] { clip_grad_norm_({a}, 1, 0); }) ==
        "clip_grad_norm_: norm_type is 0; it must be greater than 0");
  CHECK(error_text([&] { clip_grad_value_({a}, -2); }) == "clip_grad_value_: clip_value is -2; it must be at least 0");
}
