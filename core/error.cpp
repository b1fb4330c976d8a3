#include "core/error.h"

#include <string_view>

namespace gradus {

std::string to_string(Location where) {
  if (!where.file) return {};
  std::string_view file = where.file;
  if (const size_t slash = file.find_last_of("/\\"); slash != file.npos) file.remove_prefix(slash + 1);
  return std::string(file) + ':' + std::to_string(where.line);
}

void fail(const std::string& message) {
  const Scope* scope = Scope::current();
  if (!scope) throw Error(message, {});
  std::string text = std::string(scope->operation()) + ": " + message;
  if (scope->where().file) text += " (" + to_string(scope->where()) + ')';
  throw Error(text, scope->where());
}

}  // namespace gradus
