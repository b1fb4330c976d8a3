#pragma once
// A derivation as a web page: one file that needs no network, to be stepped through with the keyboard.

#include <string>

#include "derive/derivation.h"

namespace gradus {

struct HtmlOptions {
  bool checks = true;  ///< compare small steps with central differences, and say so beside them
};

/// The page: the graph, the formulas, numbers and gradients of each step, and the lines that asked for it. Of tensors
/// with more than 16 rows or columns a corner is shown. All names may hold any characters.
std::string to_html(const Derivation& derivation, const HtmlOptions& options = {}, Location where = Location::here());
/// Writes that page to a file: `write_html(loss, "derivation.html")`, before loss.backward().
void write_html(const Derivation& derivation, const std::string& path, const HtmlOptions& options = {},
                Location where = Location::here());

}  // namespace gradus
