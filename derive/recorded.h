#pragma once
// Formulas read off recorded steps.

#include <unordered_map>

#include "core/tape.h"
#include "derive/formula.h"

namespace gradus {

using NodeFormulas = std::unordered_map<const Node*, Formula>;

/// The formula of one step, given those of its inputs; `known` has some, others go by their name or value.
Formula formula_of(const Node& step, const NodeFormulas& known);

/// The formula of `result`, all steps from the position `first` of the tape put into one another, in terms of the nodes
/// that are `known`. Conversions, copies and reshapes on the way are not mentioned. What grows to more than `limit`
/// parts, as a recurrence does, whose formula doubles its length with each step, is "…" as a whole.
Formula formula_of(const Tensor& result, NodeFormulas known, int64_t first = 0, size_t limit = 200);

/// Whether a formula holds something that has no name: "…", or a constant made on the way.
bool is_incomplete(const Formula& formula);

}  // namespace gradus
