#pragma once
// Errors that name the operation, the rule that was broken, and the user's own line.

#include <stdexcept>
#include <string>

namespace gradus {

/// A place in a program. `file` points to a string literal, so a Location costs two words.
struct Location {
  const char* file = nullptr;
  int line = 0;
  /// The place of the caller when used as a default argument.
  static constexpr Location here(const char* file = __builtin_FILE(), int line = __builtin_LINE()) {
    return {file, line};
  }
};

/// "train.cpp:23", without the folders; empty if unknown.
std::string to_string(Location where);

/// Every error that the library reports. what() reads like
/// `matmul: a is [64, 784] and b is [256, 10]; the last dimension of a (784) must equal ... (train.cpp:23)`.
class Error : public std::runtime_error {
 public:
  Error(const std::string& message, Location where) : std::runtime_error(message), where_(where) {}
  /// The line of the user's program that asked for the operation.
  Location where() const { return where_; }

 private:
  Location where_;
};

/// The operation under way on this thread and the user's line that asked for it. Everything a user can call opens one;
/// a step made inside another call (a layer, a loss, a backward pass) keeps the line of the outermost one.
class Scope {
 public:
  Scope(const char* operation, Location where)
      : operation_(operation), where_(current_ ? current_->where_ : where), outer_(current_) {
    current_ = this;
  }
  ~Scope() { current_ = outer_; }
  Scope(const Scope&) = delete;
  Scope& operator=(const Scope&) = delete;

  static const Scope* current() { return current_; }
  const char* operation() const { return operation_; }
  Location where() const { return where_; }

 private:
  const char* operation_;
  Location where_;
  const Scope* outer_;
  static inline constinit thread_local const Scope* current_ = nullptr;
};

/// Throws an Error: "operation: message (file:line)", with the operation and line of the current Scope.
[[noreturn, gnu::cold]] void fail(const std::string& message);

}  // namespace gradus
