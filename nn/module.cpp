#include "nn/module.h"

#include <algorithm>
#include <unordered_map>
#include <unordered_set>

#include "ops/assign.h"
#include "ops/view.h"

namespace gradus {

std::string_view nn::next_name(std::string_view& names) {
  const size_t end = std::min(names.find(','), names.size());
  const std::string_view name = names.substr(0, end);
  names.remove_prefix(std::min(names.find_first_not_of(", \n", end), names.size()));
  return name;
}

std::string nn::short_type_name(std::string_view text) {  // "std::string type_name() [with T = a::b::Name<…>; …]"
  text.remove_prefix(text.find("T = ") + 4);
  text = text.substr(0, text.find_first_of("<;]"));
  if (const size_t colon = text.rfind(':'); colon != text.npos) text.remove_prefix(colon + 1);
  return std::string(text);
}

void nn::Description::add(std::string_view name, const std::string& value, bool on_its_own_line) {
  if (!on_its_own_line) {
    settings_ += (settings_.empty() ? "" : ", ") + std::string(name) + '=' + value;
    return;
  }
  children_ += "\n  (" + std::string(name) + "): ";
  for (const char c : value) children_ += c == '\n' ? "\n  " : std::string(1, c);
}

std::string nn::Description::finish(const std::string& type) const {
  return type + '(' + settings_ + children_ + (children_.empty() ? ")" : "\n)");
}

nn::Leaves::Leaves() = default;
nn::Leaves::~Leaves() = default;

size_t nn::Leaves::enter(std::string_view name) {
  const size_t length = path_.size();
  if (length) path_ += '.';
  path_ += name;
  return length;
}

size_t nn::Leaves::enter(size_t number) { return enter(std::to_string(number)); }
void nn::Leaves::leave(size_t path_length) { path_.resize(path_length); }
void nn::Leaves::add(const Tensor& tensor) { tensors.emplace_back(path_, &tensor); }
void nn::Leaves::add(const Training& training) { trainings.push_back(&training); }

NamedTensors named_tensors(const nn::AllOf& net) {
  NamedTensors tensors;
  for (const auto& [name, tensor] : net.tensors)
    if (tensor->defined()) tensors.emplace_back(name, *tensor);
  return tensors;
}

StateDict state_dict(const nn::AllOf& net) {
  const NamedTensors tensors = named_tensors(net);
  return {tensors.begin(), tensors.end()};
}

NamedTensors named_parameters(const nn::AllOf& net) {
  NamedTensors parameters;
  std::unordered_set<const TensorBody*> seen;
  for (const auto& [name, tensor] : net.tensors)
    if (tensor->needs_grad() && seen.insert(tensor->handle().get()).second) parameters.emplace_back(name, *tensor);
  return parameters;
}

std::vector<Tensor> parameters(const nn::AllOf& net) {
  std::vector<Tensor> tensors;
  for (const auto& [name, tensor] : named_parameters(net)) tensors.push_back(tensor.named(name));
  return tensors;
}

int64_t count(const nn::AllOf& net) {
  int64_t values = 0;
  for (const auto& [name, tensor] : named_parameters(net)) values += tensor.numel();
  return values;
}

void zero_grad(const nn::AllOf& net) {
  for (const auto& [name, tensor] : named_parameters(net)) tensor.set_grad({});
}

std::vector<Tensor> freeze(const nn::AllOf& net) {
  std::vector<Tensor> frozen;
  for (const auto& [name, tensor] : named_parameters(net)) {
    tensor.set_grad({});  // an optimiser that holds the tensor leaves it alone
    frozen.push_back(tensor.requires_grad(false));
  }
  return frozen;
}

void unfreeze(const std::vector<Tensor>& frozen) {
  for (const Tensor& tensor : frozen) tensor.requires_grad();
}

LoadResult load_state_dict(const nn::AllOf& net, const StateDict& from, LoadOptions options, Location where) {
  const Scope scope("load_state_dict", where);
  const NamedTensors tensors = named_tensors(net);
  LoadResult result;
  std::unordered_set<std::string_view> known;
  std::vector<std::string> mismatches;
  for (const auto& [name, tensor] : tensors) {
    known.insert(name);
    const auto given = from.find(name);
    if (given == from.end()) result.missing.push_back(name);
    else if (given->second.shape() != tensor.shape())
      mismatches.push_back(name + " has shape " + to_string(tensor.shape()) + " here and " +
                           to_string(given->second.shape()) + " there");
  }
  for (const auto& [name, tensor] : from)
    if (!known.count(name)) result.unexpected.push_back(name);

  std::string problems;
  const auto report = [&](const char* kind, const std::vector<std::string>& entries) {
    for (const std::string& entry : entries)
      problems += (&entry != &entries[0] ? ", " : problems.empty() ? kind : std::string("; ") + kind) + entry;
  };
  if (options.strict) {
    report("missing: ", result.missing);
    report("unexpected: ", result.unexpected);
  }
  report("different shapes: ", mismatches);
  if (!problems.empty()) fail("the names and shapes must match; " + problems);

  const NoGrad no_grad;
  for (const auto& [name, tensor] : tensors)
    if (const auto given = from.find(name); given != from.end()) assign(tensor, given->second);
  return result;
}

namespace {

/// Converts a leaf and its gradient in place: whoever holds the tensor sees the change.
template <class Convert> void convert_leaf(const Tensor& tensor, Convert&& convert) {
  if (!tensor.is_leaf())
    fail("only leaves can be converted, and a member is the result of " + std::string(tensor.node()->operation()));
  const Tensor value = convert(tensor.detach()), grad = tensor.grad();
  const bool needs_grad = tensor.needs_grad();
  const std::string name = tensor.name();
  TensorBody& body = *tensor.handle();
  body.strides = value.strides();
  body.offset = value.offset();
  body.dtype = value.dtype();
  body.contiguous = value.is_contiguous();
  body.storage = value.storage();
  body.node = {};
  if (!name.empty()) tensor.named(name);
  if (needs_grad) tensor.requires_grad();
  if (grad.defined()) tensor.set_grad(convert(grad));
}

}  // namespace

void to(const nn::AllOf& net, Dtype dtype, Location where) {
  const Scope scope("to", where);
  const NoGrad no_grad;
  if (!is_floating_point(dtype))
    fail("a module holds floating-point tensors; it cannot be converted to " + to_string(dtype));
  for (const auto& [name, tensor] : named_tensors(net))
    if (is_floating_point(tensor.dtype()) && tensor.dtype() != dtype)
      convert_leaf(tensor, [&](const Tensor& x) { return to(x, dtype); });
}

void to(const nn::AllOf& net, Device device, Location where) {
  const Scope scope("to", where);
  const NoGrad no_grad;
  for (const auto& [name, tensor] : named_tensors(net))
    if (tensor.device() != device) convert_leaf(tensor, [&](const Tensor& x) { return to(x, device); });
}

namespace nn {

void set_training(const Leaves& leaves, bool on) {
  for (const Training* training : leaves.trainings) const_cast<Training*>(training)->on = on;
}

void unshare(const Leaves& leaves) {
  const NoGrad no_grad;
  std::unordered_map<const TensorBody*, Tensor> copies;
  std::vector<Tensor> originals;  // kept alive, so that no copy takes the address of one
  for (const auto& [name, tensor] : leaves.tensors) {
    if (!tensor->defined()) continue;
    Tensor& copied = copies[tensor->handle().get()];
    if (!copied.defined()) {
      copied = clone(*tensor);
      if (!tensor->name().empty()) copied.named(tensor->name());
      if (tensor->needs_grad()) copied.requires_grad();
      originals.push_back(*tensor);
    }
    const_cast<Tensor&>(*tensor) = copied;
  }
}

}  // namespace nn

Evaluation::Evaluation(const nn::AllOf& net) {
  for (const nn::Training* training : net.trainings)
    if (training->on) switched_.push_back(training);
  nn::set_training(net, false);
}

Evaluation::~Evaluation() {
  for (const nn::Training* training : switched_) const_cast<nn::Training*>(training)->on = true;
}

}  // namespace gradus
