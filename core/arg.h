#pragma once
// How operations take their tensors: together with the line of the program that passed them.

#include <concepts>

#include "core/tensor.h"

namespace gradus {

/// A tensor, or a number that takes the dtype of the tensors beside it, and the caller's file and line, captured by the
/// default arguments: this is how `a * b` is located. Refers to the tensor; lives only as long as the call.
class Arg {
 public:
  Arg(const Tensor& tensor, const char* file = __builtin_FILE(), int line = __builtin_LINE())
      : tensor_(&tensor), where_{file, line} {}
  template <class T>
  requires std::integral<T> || std::floating_point<T> Arg(T number, const char* file = __builtin_FILE(),
                                                          int line = __builtin_LINE())
      : number_(double(number)), is_integer_(std::integral<T>), where_{file, line} {}
  Arg(const Tensor& tensor, Location where) : tensor_(&tensor), where_(where) {}
  Arg(const Arg&) = delete;
  Arg& operator=(const Arg&) = delete;

  bool is_number() const { return !tensor_; }
  double number() const { return number_; }
  /// A number written without a fraction, which leaves an int64 tensor int64.
  bool is_integer() const { return is_integer_; }
  Location where() const { return where_; }
  /// The tensor; a number becomes a float32 scalar.
  const Tensor& tensor() const {
    if (!tensor_) from_number_ = Tensor(number_), tensor_ = &from_number_;
    return *tensor_;
  }
  const Tensor* operator->() const { return &tensor(); }
  const Tensor& operator*() const { return tensor(); }

 private:
  mutable const Tensor* tensor_ = nullptr;
  double number_ = 0;
  bool is_integer_ = false;
  Location where_;
  mutable Tensor from_number_;
};

}  // namespace gradus
