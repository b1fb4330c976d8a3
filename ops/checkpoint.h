#pragma once
// Gradient checkpointing: memory for time.

#include <functional>
#include <span>
#include <utility>

#include "core/arg.h"

namespace gradus {

/// The function behind checkpoint, for inputs in a list.
Tensor checkpoint_list(std::function<Tensor(std::span<const Tensor>)> f, std::vector<Tensor> inputs, Location where);

/// f(inputs…), recorded as one step that keeps only its inputs: the backward pass runs f again, with the same random
/// numbers (Chen et al., "Training deep nets with sublinear memory cost", 2016). Parameters that f uses without
/// being given them, such as those of a module, get their gradients, too. f must give the same result each time.
template <class F, class... X> Tensor checkpoint(F f, const Arg& first, const X&... more) {
  return checkpoint_list(
      [f = std::move(f)](std::span<const Tensor> x) {
        return [&]<size_t... I>(std::index_sequence<I...>) { return f(x[I]...); }
        (std::make_index_sequence<1 + sizeof...(X)>());
      },
      {first.tensor(), more...}, first.where());
}

}  // namespace gradus
