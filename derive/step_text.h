#pragma once
// Steps of a derivation as text with marks for a Console. Steps are counted from 1, forward ones first.

#include <string>

#include "derive/derivation.h"

namespace gradus {

/// "dL/dW = [[1., 2.],", with further lines under the first bracket.
std::string value_text(const std::string& name, const Tensor& value);
/// The formula of a forward step; of a backward step the rules.
std::string rule_text(const Derivation& derivation, size_t step);
/// All about one step: operation, formulas, numbers, and the user's line.
std::string step_text(const Derivation& derivation, size_t step);
/// One line: "3 div  p = powers/v2".
std::string overview_text(const Derivation& derivation, size_t step);
/// "train.cpp:12: Tensor y = tanh(x);"
std::string where_text(const ForwardStep& step);
/// The lines of the user's program around that of a step.
std::string source_text(const ForwardStep& step);
/// "3 elements agree with finite differences", or where they do not.
std::string check_text(const GradcheckResult& result);

/// The forward step that a step is, or that it differentiates.
const ForwardStep& forward_of(const Derivation& derivation, size_t step);
/// The backward step that a step is; null for a forward one.
const BackwardStep* backward_of(const Derivation& derivation, size_t step);

}  // namespace gradus
