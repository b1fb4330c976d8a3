#pragma once
// All formulas of the library: the place of one in its list is its number where kernels are found by numbers.

#include "ops/activation.h"
#include "ops/arithmetic.h"
#include "ops/comparison.h"
#include "ops/exponential.h"
#include "ops/loss_formulas.h"
#include "ops/optimizer.h"
#include "ops/trigonometric.h"

namespace gradus {

template <class... Lists> struct Joined;
template <class... Op> struct Joined<List<Op...>> { using type = List<Op...>; };
template <class... A, class... B, class... More> struct Joined<List<A...>, List<B...>, More...> {
  using type = typename Joined<List<A..., B...>, More...>::type;
};

/// The place of a formula in a list; -1 for one that is not in it.
template <class Op, class... Listed> constexpr int place_in(List<Listed...>) {
  int place = 0;
  const bool found = ((std::is_same_v<Op, Listed> || (++place, false)) || ...);
  return found ? place : -1;
}

namespace formula {

using All = Joined<Arithmetic, Exponentials, Trigonometric, Activations, Losses, Comparisons>::type;
using Updates = List<SgdUpdate, AdamUpdate, RmspropUpdate, AdagradUpdate>;

}  // namespace formula
}  // namespace gradus
