#pragma once
// The text of the user's program.

#include <string>
#include <vector>

#include "core/error.h"

namespace gradus {

/// The lines of the file of a place in the program; none if it cannot be found. Compilers are often given paths
/// relative to a build folder: those are looked up from the program and from the current folder, too, and the folders
/// around them.
std::vector<std::string> source_lines(Location where);

}  // namespace gradus
