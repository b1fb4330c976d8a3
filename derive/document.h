#pragma once
// A derivation on paper: Markdown with mathematics as GitHub shows it, LaTeX, and its graph for Graphviz.
//
//   const KeepValues keep;
//   Tensor loss = cross_entropy(net(x), target);
//   write_markdown(loss, "derivation.md");
//
// The same computation gives the same bytes: numbers have four significant digits, and of files only the name is told.

#include <string>

#include "derive/derivation.h"

namespace gradus {

/// The computation as a table, then each step with its rule, its numbers and its check against central differences, and
/// the closed expression of each leaf's gradient. Of a large tensor only the edges are shown.
std::string to_markdown(const Derivation& derivation);
/// The same as a whole document for pdflatex. Letters that it has no type for are given by their code.
std::string to_latex(const Derivation& derivation);
/// The graph: what is computed from what, and in a second colour what each step contributes to which gradient.
std::string to_dot(const Derivation& derivation);

/// The same, into a file that appears only when it is complete.
void write_markdown(const Derivation& derivation, const std::string& path, Location where = Location::here());
void write_latex(const Derivation& derivation, const std::string& path, Location where = Location::here());
void write_dot(const Derivation& derivation, const std::string& path, Location where = Location::here());

}  // namespace gradus
