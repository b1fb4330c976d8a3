#pragma once
// The tensor: a handle to shaped memory, and to the step of the tape that made it.

#include <functional>
#include <initializer_list>
#include <ostream>
#include <string>
#include <type_traits>
#include <vector>

#include "core/device.h"
#include "core/dtype.h"
#include "core/error.h"
#include "core/ref.h"
#include "core/shape.h"
#include "core/storage.h"

namespace gradus {

class Node;
class Tensor;

/// What a Tensor points to. Copies of a Tensor share one body.
struct TensorBody : RefCounted, Pooled {
  Shape shape;
  Strides strides;
  int64_t numel = 1;   // the product of the sizes, kept because every kernel asks for it
  int64_t offset = 0;  // of the first element, in elements
  Dtype dtype = float32;
  bool contiguous = true;
  Ref<Storage> storage;
  Ref<Node> node;  // the step that made it; for a leaf, the node that holds its gradient; null if nothing is tracked
  static void dispose(TensorBody* body);  // a call, where each Ref would hold a copy of what is destroyed
};

struct BackwardOptions {
  bool retain_graph = false;  ///< keep what the steps saved, for a second backward pass
  bool create_graph = false;  ///< record the backward pass itself, for gradients of gradients; implies retain_graph
};

/// An n-dimensional array whose operations can be recorded. Copying shares the memory; `clone(x)` copies it.
class Tensor {
 public:
  Tensor() = default;
  /// A scalar.
  explicit Tensor(double value, Dtype dtype = float32);
  /// The values, row by row, in a tensor of the given shape: `Tensor({1, 2, 3, 4}, {2, 2})`.
  Tensor(const std::vector<double>& values, const Shape& shape, Dtype dtype = float32);
  explicit Tensor(Ref<TensorBody> body) : body_(std::move(body)) {}

  /// Uninitialised memory.
  static Tensor empty(const Shape& shape, Dtype dtype = float32, Device device = Device::cpu());
  /// A copy of `shape.numel()` values that lie in memory row by row.
  template <class T> static Tensor copy_of(const T* values, const Shape& shape);
  /// A view of memory that the caller keeps alive until `release` is called (zero copy).
  template <class T> static Tensor from_memory(T* values, const Shape& shape, std::function<void()> release = {});

  /// False for a default-constructed tensor, such as a gradient that does not exist.
  bool defined() const { return bool(body_); }
  const Shape& shape() const { return body().shape; }
  const Strides& strides() const { return body().strides; }
  Dtype dtype() const { return body().dtype; }
  Device device() const { return body().storage->device(); }
  int dim() const { return shape().dim(); }
  int64_t size(int64_t dim) const { return shape()[normalize_dim(dim, this->dim())]; }
  int64_t numel() const { return body().numel; }
  /// Whether the elements lie in memory row by row without gaps.
  bool is_contiguous() const { return body().contiguous; }

  /// The first element; fails if T is not the tensor's element type. Mind the strides.
  template <class T> const T* data() const { return static_cast<const T*>(checked_data(dtype_of<T>())); }
  /// The same, for writing. Only for leaves, outside of recording (inside a NoGrad): the change counts as in place.
  template <class T> T* mutable_data() { return static_cast<T*>(checked_mutable_data(dtype_of<T>())); }
  /// All values, row by row, converted to T.
  template <class T> std::vector<T> to_vector() const;
  /// The value of a tensor with one element, converted to T.
  template <class T = float> T item() const;

  /// Asks for a gradient (or, with false, for none). Only for leaves. Returns the same tensor.
  Tensor requires_grad(bool value = true, Location where = Location::here()) const;
  /// Whether gradients flow to this tensor: it requires one, or was computed from one that does.
  bool needs_grad() const;
  /// Not the result of a recorded step.
  bool is_leaf() const;
  /// The gradient that backward() gathers, undefined if there is none yet. A reference to it: copy it to keep it.
  const Tensor& grad() const;
  /// Replaces the gradient; an undefined tensor removes it.
  void set_grad(Tensor grad) const;
  /// Keeps the gradient of a tensor that is not a leaf, too. Returns the same tensor.
  Tensor retain_grad() const;
  /// Calls `hook` with the whole gradient of this tensor in each backward pass; a defined result replaces it.
  void register_hook(std::function<Tensor(const Tensor&)> hook) const;
  /// Computes the gradients of this scalar and adds them to `.grad()` of the leaves it depends on.
  void backward(BackwardOptions options = {}, Location where = Location::here()) const;
  /// The same for any shape, given the gradient of the final result with respect to this tensor.
  void backward(const Tensor& grad_output, BackwardOptions options = {}, Location where = Location::here()) const;
  /// A view on the same memory that no gradient flows through.
  Tensor detach() const;
  /// The values in the memory of a device, in the same layout, without a step recorded; the tensor itself if they lie
  /// there.
  Tensor copied_to(Device device) const;
  /// The same in memory of its own, also where they lie there already.
  Tensor copied_anew(Device device) const;
  /// Keeps a copy of the values as they are now, in the memory of the CPU, for derivations: see KeepValues.
  void keep_value() const;

  /// Gives the tensor a name for formulas, derivations and errors. Returns the same tensor.
  Tensor named(std::string name) const;
  /// The name; empty if it has none.
  std::string name() const;

  const Ref<Node>& node() const { return body().node; }
  const Ref<Storage>& storage() const { return body().storage; }
  const Ref<TensorBody>& handle() const { return body_; }
  int64_t offset() const { return body().offset; }
  /// True for the very same tensor (not: equal values).
  bool is(const Tensor& other) const { return body_ == other.body_; }

  /// Element `index` (counted row by row, whatever the strides) converted to T. Slow; for printing and tests.
  template <class T = double> T at(int64_t index) const;

  /// A view of this tensor's memory with another shape; no step is recorded. The basis of all view operations.
  Tensor alias(const Shape& shape, const Strides& strides, int64_t offset) const;
  /// The first element in every place of another shape, as such a view.
  Tensor repeated(const Shape& shape) const;

 private:
  TensorBody& body() const {
    if (!body_) undefined();
    return *body_;
  }
  [[noreturn, gnu::cold]] static void undefined();
  const void* checked_data(Dtype dtype) const;
  void* checked_mutable_data(Dtype dtype);
  Node& leaf_node() const;
  Ref<TensorBody> body_;
};

/// A number in a list of numbers of any types, `{1, 2.5}`.
struct ListedNumber {
  double value;
  template <class T>
  requires std::is_arithmetic_v<T> ListedNumber(T number) : value(static_cast<double>(number)) {}
};

/// A one-dimensional tensor of the values: `tensor({1, 2, 3})`.
Tensor tensor(std::initializer_list<ListedNumber> values, Dtype dtype = float32);
template <class T> Tensor tensor(std::initializer_list<T> values, Dtype dtype = float32) {
  return Tensor(std::vector<double>(values.begin(), values.end()), {int64_t(values.size())}, dtype);
}
/// A two-dimensional one: `tensor({{1, 2}, {3, 4}})`. Rows of different lengths are an error.
Tensor tensor(std::initializer_list<std::initializer_list<double>> rows, Dtype dtype = float32);
/// A one-dimensional tensor that copies the vector; the dtype follows from T.
template <class T> Tensor tensor(const std::vector<T>& values) {
  return Tensor::copy_of(values.data(), {int64_t(values.size())});
}

struct PrintOptions {
  int precision = 4;         ///< digits after the decimal point
  int64_t threshold = 1000;  ///< tensors with more elements are shown by their edges
  int64_t edge_items = 3;    ///< how many at each edge
};
/// The settings of operator<< on this thread.
PrintOptions& print_options();

/// The values in NumPy's layout, followed by shape, dtype and device where they do not show.
std::ostream& operator<<(std::ostream& out, const Tensor& tensor);

}  // namespace gradus
