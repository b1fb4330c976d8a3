#pragma once
// Optimisers, with PyTorch's names, defaults and arithmetic.
//
//   optim::Adam adam(parameters(net), {.lr = 1e-3});
//   adam.zero_grad();
//   loss.backward();
//   adam.step();

#include <array>
#include <map>
#include <span>
#include <string>
#include <utility>
#include <vector>

#include "core/ref.h"
#include "core/tensor.h"

namespace gradus::optim {

/// Stochastic gradient descent. `weight_decay` adds to the gradient (L2), as everywhere here but in AdamW.
struct SGDOptions {
  double lr = 1e-3, momentum = 0, dampening = 0, weight_decay = 0;
  bool nesterov = false;
};
/// Kingma and Ba 2015; `amsgrad`: Reddi et al. 2018.
struct AdamOptions {
  double lr = 1e-3;
  std::pair<double, double> betas{0.9, 0.999};
  double eps = 1e-8, weight_decay = 0;
  bool amsgrad = false;
};
/// Adam with decoupled weight decay: Loshchilov and Hutter 2019.
struct AdamWOptions {
  double lr = 1e-3;
  std::pair<double, double> betas{0.9, 0.999};
  double eps = 1e-8, weight_decay = 1e-2;
  bool amsgrad = false;
};
/// Tieleman and Hinton 2012; `centered`: Graves 2013.
struct RMSpropOptions {
  double lr = 1e-2, alpha = 0.99, eps = 1e-8, weight_decay = 0, momentum = 0;
  bool centered = false;
};
/// Duchi et al. 2011.
struct AdagradOptions {
  double lr = 1e-2, lr_decay = 0, weight_decay = 0, initial_accumulator_value = 0, eps = 1e-10;
};

/// Changes parameters along their gradients. Parameters without a gradient are left alone. Bfloat16 parameters keep
/// their state in float32.
template <class Options> class Optimizer {
 public:
  struct Parameter {
    Tensor tensor;
    std::array<Tensor, 3> state = {};  // as the rule wants; made at the first step
    int64_t step = 0;                  // how many steps were taken
  };
  /// Parameters that share their settings, which may change between steps.
  struct Group {
    Options options;
    double initial_lr;  ///< what schedules multiply
    std::vector<Parameter> parameters;
  };

  /// `parameters`: floating-point leaves, each once. Settings out of range are an error.
  explicit Optimizer(const std::vector<Tensor>& parameters, const Options& options = {},
                     Location where = Location::here());
  ~Optimizer();
  Optimizer(Optimizer&&) noexcept;
  Optimizer& operator=(Optimizer&&) noexcept;

  /// More parameters, with settings of their own.
  void add_group(const std::vector<Tensor>& parameters, const Options& options = {}, Location where = Location::here());

  void zero_grad();
  /// Changes every parameter that has a gradient.
  void step(Location where = Location::here());

  std::span<Group> groups() { return *groups_; }
  std::span<const Group> groups() const { return *groups_; }
  /// The learning rate of a group, to read or to set: `adam.lr() = 1e-4`.
  double& lr(size_t group = 0) { return (*groups_)[group].options.lr; }

  /// All that is needed to go on exactly: by parameter number what is remembered about it ("0.exp_avg") and its steps
  /// ("0.step"), by group number the learning rate ("group.0.lr"). The tensors are shared with the optimiser.
  std::map<std::string, Tensor> state_dict() const;
  /// Takes over a state, by copy. Everything in it must fit; otherwise nothing is changed.
  void load_state_dict(const std::map<std::string, Tensor>& state, Location where = Location::here());

 private:
  struct Groups : RefCounted, std::vector<Group> {};
  Ref<Groups> groups_{new Groups};  // CUDA graphs use them, too
};

using SGD = Optimizer<SGDOptions>;
using Adam = Optimizer<AdamOptions>;
using AdamW = Optimizer<AdamWOptions>;
using RMSprop = Optimizer<RMSpropOptions>;
using Adagrad = Optimizer<AdagradOptions>;

}  // namespace gradus::optim
