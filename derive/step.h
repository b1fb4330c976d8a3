#pragma once
// Walking through a derivation in the terminal, in the manner of a debugger:
//
//   const KeepValues keep;
//   step(cross_entropy(net(x), target));

#include <iosfwd>

#include "derive/derivation.h"

namespace gradus {

/// Shows a derivation step by step as the user asks for it: `help` lists the commands, `quit` or the end of the input
/// ends it. At a terminal the line can be edited, there are a history and completion, and colours unless NO_COLOR is
/// set. From a pipe or a file the commands are repeated in the output. Throws nothing: errors are printed.
void step(const Derivation& derivation);
/// The same with other streams.
void step(const Derivation& derivation, std::istream& in, std::ostream& out);

/// All steps backward, each with its rule, its numbers and its check against finite differences.
void print_steps(const Derivation& derivation, std::ostream& out);

}  // namespace gradus
