#include "core/tensor.h"

#include <algorithm>
#include <cstring>

#include "core/cuda.h"
#include "core/node.h"

namespace gradus {

void TensorBody::dispose(TensorBody* body) { delete body; }

Tensor::Tensor(double value, Dtype dtype) {
  *this = empty({}, dtype);
  visit(dtype, [&]<class T>() { *static_cast<T*>(storage()->data()) = convert<T>(value); });
}

Tensor::Tensor(const std::vector<double>& values, const Shape& shape, Dtype dtype) {
  if (int64_t(values.size()) != shape.numel())
    fail("tensor: " + std::to_string(values.size()) + " values do not fill the shape " + to_string(shape));
  *this = empty(shape, dtype);
  visit(dtype, [&]<class T>() {
    std::transform(values.begin(), values.end(), static_cast<T*>(storage()->data()),
                   [](double v) { return convert<T>(v); });
  });
}

Tensor Tensor::empty(const Shape& shape, Dtype dtype, Device device) {
  Ref<TensorBody> body(new TensorBody);
  body->shape = body->strides = shape;
  body->dtype = dtype;
  int64_t bytes;
  bool too_large = false;
  for (int i = shape.dim() - 1; i >= 0; --i) {
    if (shape[i] < 0) fail("a tensor cannot have the shape " + to_string(shape));
    body->strides[i] = body->numel;
    too_large |= __builtin_mul_overflow(body->numel, shape[i], &body->numel);  // wraps, and a 0 makes it 0
  }
  too_large |= __builtin_mul_overflow(body->numel, int64_t(item_size(dtype)), &bytes);
  if (too_large && std::count(shape.begin(), shape.end(), 0) == 0)
    fail("out of memory: cannot allocate a tensor of shape " + to_string(shape));
  body->storage = device.is_cpu() ? Storage::allocate(size_t(bytes)) : cuda::runtime().allocate(size_t(bytes), device);
  return Tensor(std::move(body));
}

Tensor Tensor::alias(const Shape& shape, const Strides& strides, int64_t offset) const {
  Ref<TensorBody> view(new TensorBody);
  view->shape = shape;
  view->strides = strides;
  view->numel = shape.numel();
  view->offset = offset;
  view->dtype = dtype();
  view->contiguous = gradus::is_contiguous(shape, strides);
  view->storage = storage();
  return Tensor(std::move(view));
}

Tensor Tensor::repeated(const Shape& shape) const {
  Strides standing = shape;
  for (int i = 0; i < shape.dim(); ++i) standing[i] = 0;
  return alias(shape, standing, offset());
}

template <class T> Tensor Tensor::copy_of(const T* values, const Shape& shape) {
  Tensor result = empty(shape, dtype_of<T>());
  if constexpr (std::is_integral_v<T> && !std::is_same_v<T, bool>)
    std::copy_n(values, shape.numel(), static_cast<int64_t*>(result.storage()->data()));
  else std::copy_n(values, shape.numel(), static_cast<T*>(result.storage()->data()));
  return result;
}

template <class T> Tensor Tensor::from_memory(T* values, const Shape& shape, std::function<void()> release) {
  Ref<TensorBody> body(new TensorBody);
  body->shape = shape;
  body->strides = contiguous_strides(shape);
  body->numel = shape.numel();
  body->dtype = dtype_of<T>();
  body->storage = Storage::foreign(values, size_t(body->numel) * sizeof(T), Device::cpu(), std::move(release));
  return Tensor(std::move(body));
}

void Tensor::undefined() {
  fail("the tensor is undefined (default-constructed, or a gradient that was never computed)");
}

const void* Tensor::checked_data(Dtype wanted) const {
  if (wanted != dtype()) fail("data: the tensor holds " + to_string(dtype()) + ", not " + to_string(wanted));
  if (!device().is_cpu())
    fail("data: the tensor lies on " + to_string(device()) + "; copy it first: to(x, Device::cpu())");
  return static_cast<const std::byte*>(storage()->data()) + offset() * int64_t(item_size(dtype()));
}

void* Tensor::checked_mutable_data(Dtype wanted) {
  if (needs_grad() && !is_leaf())
    fail("mutable_data: only leaves can be changed in place, and this tensor is the result of a recorded step");
  if (needs_grad() && grad_enabled())
    fail("mutable_data: a tensor that requires a gradient can be changed in place only inside a NoGrad");
  storage()->bump_version();
  return const_cast<void*>(checked_data(wanted));
}

template <class T> T Tensor::at(int64_t index) const {
  if (index < 0 || index >= numel())
    fail("at: there is no element " + std::to_string(index) + " in a tensor of shape " + to_string(shape()));
  int64_t position = offset();
  for (int i = dim() - 1; i >= 0; --i) {
    position += index % shape()[i] * strides()[i];
    index /= shape()[i];
  }
  return visit(dtype(), [&]<class S>() {
    const S* element = static_cast<const S*>(storage()->data()) + position;
    S value;
    if (device().is_cpu()) value = *element;
    else cuda::runtime().copy(&value, Device::cpu(), element, device(), sizeof(S));
    return convert<T>(value);
  });
}

template <class T> std::vector<T> Tensor::to_vector() const {
  if (!device().is_cpu()) return copied_to(Device::cpu()).to_vector<T>();
  const size_t count = size_t(numel());
  std::vector<T> values(count);
  if (is_contiguous() && dtype_of<T>() == dtype() && sizeof(T) == item_size(dtype()))
    std::copy_n(static_cast<const T*>(checked_data(dtype())), count, values.begin());
  else
    for (size_t i = 0; i < count; ++i) values[i] = at<T>(int64_t(i));
  return values;
}

template <class T> T Tensor::item() const {
  if (numel() != 1) fail("item: the tensor has shape " + to_string(shape()) + "; only one element has a single value");
  return at<T>(0);
}

Node& Tensor::leaf_node() const {
  if (!body().node) {
    struct Leaf final : Node {
      explicit Leaf(const Tensor& tensor) : Node(tensor, true) {}
    };
    body().node = Ref<Node>(new Leaf(*this));
  }
  return *body().node;
}

Tensor Tensor::requires_grad(bool value, Location where) const {
  const Scope scope("requires_grad", where);
  if (!is_leaf()) fail("only leaves can be switched; this tensor is the result of " + std::string(node()->operation()));
  if (value && !is_floating_point(dtype()))
    fail("only floating-point tensors have gradients; this one is " + to_string(dtype()));
  if (value || node()) leaf_node().requires_grad_ = value;
  return *this;
}

bool Tensor::needs_grad() const { return body_ && body_->node && body_->node->requires_grad_; }
bool Tensor::is_leaf() const { return !body().node || body().node->is_leaf(); }
const Tensor& Tensor::grad() const {
  static const Tensor none;
  return body().node ? body().node->grad_ : none;
}

void Tensor::set_grad(Tensor grad) const {
  if (grad.defined() && grad.shape() != shape())
    fail("set_grad: the tensor has shape " + to_string(shape()) + " and the gradient " + to_string(grad.shape()));
  if (grad.defined() && grad.dtype() != dtype())
    fail("set_grad: the tensor holds " + to_string(dtype()) + " and the gradient " + to_string(grad.dtype()));
  if (grad.defined() || node()) leaf_node().grad_ = std::move(grad);
}

Tensor Tensor::retain_grad() const {
  if (!needs_grad()) fail("retain_grad: no gradient flows to this tensor");
  node()->extra().retain_grad = true;
  return *this;
}

void Tensor::register_hook(std::function<Tensor(const Tensor&)> hook) const {
  if (!needs_grad()) fail("register_hook: no gradient flows to this tensor");
  node()->extra().hooks.push_back(std::move(hook));
}

Tensor Tensor::detach() const { return alias(shape(), strides(), offset()); }

Tensor Tensor::copied_to(Device device) const { return device == this->device() ? *this : copied_anew(device); }

Tensor Tensor::copied_anew(Device device) const {
  int64_t first = offset(), last = offset();  // elements: what lies between them is copied
  for (int i = 0; i < dim(); ++i) (strides()[i] < 0 ? first : last) += (shape()[i] - 1) * strides()[i];
  const int64_t count = numel() == 0 ? 0 : last - first + 1, item = int64_t(item_size(dtype()));
  const Tensor memory = empty({count}, dtype(), device);
  const std::byte* source = static_cast<std::byte*>(storage()->data()) + first * item;
  if (count > 0 && device.is_cpu() && this->device().is_cpu())
    std::memcpy(memory.storage()->data(), source, size_t(count * item));
  else if (count > 0)
    cuda::runtime().copy(memory.storage()->data(), device, source, this->device(), size_t(count * item));
  return memory.alias(shape(), strides(), offset() - first);
}

void Tensor::keep_value() const {
  Node& node = leaf_node();
  if (node.value().defined() && (!node.is_leaf() || node.extra().version == storage()->version())) return;
  node.extra().value = copied_anew(Device::cpu());
  node.extra().version = storage()->version();
  node.extra().kept_at = Node::positions_.add(1);
}

Tensor Tensor::named(std::string name) const {
  leaf_node().extra().name = std::move(name);
  return *this;
}

std::string Tensor::name() const { return body().node ? body().node->name() : std::string(); }

Tensor tensor(std::initializer_list<ListedNumber> values, Dtype dtype) {
  std::vector<double> numbers;
  for (const ListedNumber& number : values) numbers.push_back(number.value);
  return Tensor(numbers, {int64_t(values.size())}, dtype);
}

Tensor tensor(std::initializer_list<std::initializer_list<double>> rows, Dtype dtype) {
  const size_t columns = rows.size() ? rows.begin()->size() : 0;
  std::vector<double> values;
  for (const auto& row : rows) {
    if (row.size() != columns)
      fail("tensor: the rows differ in length (" + std::to_string(columns) + " and " + std::to_string(row.size()) +
           ")");
    values.insert(values.end(), row.begin(), row.end());
  }
  return Tensor(values, {int64_t(rows.size()), int64_t(columns)}, dtype);
}

template Tensor Tensor::copy_of(const float*, const Shape&);
template Tensor Tensor::copy_of(const double*, const Shape&);
template Tensor Tensor::copy_of(const BFloat16*, const Shape&);
template Tensor Tensor::copy_of(const bool*, const Shape&);
template Tensor Tensor::copy_of(const uint8_t*, const Shape&);
template Tensor Tensor::copy_of(const int*, const Shape&);
template Tensor Tensor::copy_of(const int64_t*, const Shape&);
template Tensor Tensor::from_memory(float*, const Shape&, std::function<void()>);
template Tensor Tensor::from_memory(double*, const Shape&, std::function<void()>);
template Tensor Tensor::from_memory(BFloat16*, const Shape&, std::function<void()>);
template Tensor Tensor::from_memory(int64_t*, const Shape&, std::function<void()>);
template Tensor Tensor::from_memory(bool*, const Shape&, std::function<void()>);
template std::vector<float> Tensor::to_vector() const;
template std::vector<double> Tensor::to_vector() const;
template std::vector<int> Tensor::to_vector() const;
template std::vector<int64_t> Tensor::to_vector() const;
template float Tensor::item() const;
template float Tensor::at(int64_t) const;
template double Tensor::item() const;
template double Tensor::at(int64_t) const;
template int Tensor::item() const;
template int Tensor::at(int64_t) const;
template int64_t Tensor::item() const;
template int64_t Tensor::at(int64_t) const;
template bool Tensor::item() const;
template bool Tensor::at(int64_t) const;

}  // namespace gradus
