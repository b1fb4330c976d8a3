#pragma once
// Agreement with PyTorch. tests/golden/*.safetensors hold cases that tests/golden/generate.py ran in PyTorch: what went
// in, once, as "Conv2d/stride/parameter.weight", and what came out in each dtype, as
// "Conv2d/stride/float64/grad.parameter.weight". Here the same is computed and compared. A case that only one side
// knows, a tensor that only one side has, and a name in a state dict that is not PyTorch's are all failures.
//
//   golden::File file("linear");
//   file.layer("Linear/bias", [] { return nn::Linear(5, 3); });
//   file.function("relu", relu);

#include <functional>
#include <map>
#include <set>
#include <string>
#include <tuple>
#include <type_traits>
#include <vector>

#include "core/tensor.h"
#include "nn/module.h"

namespace gradus::golden {

using Tensors = std::vector<Tensor>;

/// One case in one dtype.
struct Case {
  Dtype dtype;
  StateDict given, expected;  // floating-point tensors in `given` have the dtype

  /// The tensors whose names begin with `prefix`, by what follows it.
  StateDict parts(const std::string& prefix) const;
  /// input.0, input.1, …; those whose gradient is expected ask for one.
  Tensors inputs() const;
  /// What comes out of a backward pass, by PyTorch's names, with grad_output.0, … as the gradients of the outputs.
  StateDict results(const Tensors& inputs, const Tensors& outputs, const nn::AllOf& net) const;
};

/// An operation without parameters.
struct NoModule {
  GRADUS_FIELDS()
};

inline Tensors outputs_of(const Tensor& output) { return {output}; }
inline Tensors outputs_of(const Tensors& outputs) { return outputs; }

/// f(inputs[0], inputs[1], …), or f(inputs) if that is what it takes.
template <class F> Tensors call(F& f, const Tensors& inputs) {
  if constexpr (std::is_invocable_v<F&, const Tensors&>) return outputs_of(f(inputs));
  else if constexpr (std::is_invocable_v<F&, const Tensor&>) return outputs_of(f(inputs.at(0)));
  else if constexpr (std::is_invocable_v<F&, const Tensor&, const Tensor&>)
    return outputs_of(f(inputs.at(0), inputs.at(1)));
  else return outputs_of(f(inputs.at(0), inputs.at(1), inputs.at(2)));
}

/// The cases of a file.
class File {
 public:
  /// Reads tests/golden/NAME.safetensors.
  explicit File(const std::string& name);
  /// Checks that no case was left out, and prints how many there were of each layer.
  ~File();
  File(const File&) = delete;
  File& operator=(const File&) = delete;

  /// Compares what `compute` returns, for each dtype, with what PyTorch gave: names, shapes, dtypes and values. These
  /// may differ by 1e-5 in float32 and 1e-10 in float64, relative to the largest magnitude in the tensor or to 0.01,
  /// whichever is more.
  void check(const std::string& name, const std::function<StateDict(const Case&)>& compute);

  /// The forward and the backward pass of a module, its parameters loaded by their names in the state dict.
  /// `forward(net, inputs)`, if it is not net(inputs[0], …), returns one Tensor or several.
  template <class Make, class Forward> void layer(const std::string& name, const Make& make, const Forward& forward) {
    check(name, [&](const Case& one) {
      auto net = make();
      to(net, one.dtype);
      load_state_dict(net, one.parts("parameter."));
      const Tensors inputs = one.inputs();
      return one.results(inputs, outputs_of(forward(net, inputs)), net);
    });
  }
  template <class Make> void layer(const std::string& name, const Make& make) {
    layer(name, make, [](auto& net, const Tensors& inputs) { return call(net, inputs); });
  }
  template <class F> void function(const std::string& name, const F& f) {
    layer(
        name, [] { return NoModule{}; }, [&](const NoModule&, const Tensors& inputs) { return call(f, inputs); });
  }

 private:
  std::string name_;
  StateDict tensors_;
  std::map<std::string, bool> cases_;  // and whether they were checked
  std::map<Dtype, double> largest_error_;
};

/// The path of a file in tests/golden.
std::string path(const std::string& name);

}  // namespace gradus::golden
