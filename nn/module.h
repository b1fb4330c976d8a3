#pragma once
// Modules are plain structs that hold values: tensors, settings, other modules, and lists of these. GRADUS_FIELDS names
// the members once; the functions here walk them.
//
//   struct Net {
//     nn::Linear hidden{784, 256}, out{256, 10};
//     Tensor operator()(const Tensor& x) const { return out(relu(hidden(x))); }
//     GRADUS_FIELDS(hidden, out)
//   };
//
// A tensor that requires a gradient is a parameter, any other a buffer. Copying a module shares its tensors, as copying
// a tensor does; copy(net) does not.

#include <map>
#include <optional>
#include <ostream>
#include <sstream>
#include <string>
#include <string_view>
#include <type_traits>
#include <utility>
#include <vector>

#include "core/node.h"
#include "core/tensor.h"

/// Lists every data member of a module, settings too, in the order of declaration; a member left out does not compile.
/// It writes `each(f)`, which calls f("a", a), f("b", b), …. A module that wants to leave members out or to rename them
/// writes it by hand: `template <class F> void each(F&& f) const { f("a", a); }`. (It is a template, which C++ forbids
/// in a struct inside a function.)
#define GRADUS_FIELDS(...)                                                                                     \
  template <class GradusVisitor> void each(GradusVisitor&& gradus_visitor) const {                             \
    ::gradus::nn::each_field<std::remove_cvref_t<decltype(*this)>>(#__VA_ARGS__,                               \
                                                                   gradus_visitor __VA_OPT__(, ) __VA_ARGS__); \
  }

namespace gradus {

/// Tensors by name.
using StateDict = std::map<std::string, Tensor>;
/// Tensors with their dotted names ("blocks.0.norm.bias"), in the order in which they were declared.
using NamedTensors = std::vector<std::pair<std::string, Tensor>>;

namespace nn {

/// Whether a module is being trained: a member of modules that behave differently then, such as Dropout. train(net) and
/// eval(net) switch each one they find. (Aligned so that GRADUS_FIELDS notices when it is left out.)
struct alignas(8) Training {
  bool on = true;
  operator bool() const { return on; }
};

/// Whether members of these types, one after the other, make up the whole of T.
template <class T, class... Fields> constexpr bool lists_every_member() {
  if (sizeof...(Fields) == 0) return std::is_empty_v<T>;
  size_t end = std::is_polymorphic_v<T> ? sizeof(void*) : 0;
  const auto round_up = [](size_t n, size_t alignment) { return (n + alignment - 1) / alignment * alignment; };
  ((end = round_up(end, alignof(Fields)) + sizeof(Fields)), ...);
  return round_up(end, alignof(T)) == sizeof(T);
}

/// Cuts the first name off a list "a, b, c".
std::string_view next_name(std::string_view& names);

/// What GRADUS_FIELDS expands to.
template <class T, class Visitor, class... Fields>
void each_field([[maybe_unused]] std::string_view names, Visitor& visitor, const Fields&... fields) {
  static_assert(lists_every_member<T, Fields...>(),
                "GRADUS_FIELDS must list every data member of the module, settings too, in the order of declaration");
  (visitor(next_name(names), fields), ...);
}

struct AnyVisitor {
  template <class T> void operator()(std::string_view, const T&) const {}
};

template <class T>
concept Module = requires(const T& module, AnyVisitor visitor) {
  module.each(visitor);
};

template <class T>
concept Sequence = requires(const T& list) {
  list.begin() != list.end();
};

template <class T> constexpr bool is_optional = false;
template <class T> constexpr bool is_optional<std::optional<T>> = true;

/// The tensors and training flags inside a module, in the order of declaration. Whoever may change the module may
/// change them, though they are found by way of a constant reference.
class Leaves {
 public:
  Leaves();
  ~Leaves();
  Leaves(const Leaves&) = delete;
  Leaves& operator=(const Leaves&) = delete;

  /// Goes on to a member; returns what leave() takes to come back.
  size_t enter(std::string_view name);
  size_t enter(size_t number);
  void leave(size_t path_length);
  void add(const Tensor& tensor);
  void add(const Training& training);

  std::vector<std::pair<std::string, const Tensor*>> tensors;
  std::vector<const Training*> trainings;

 private:
  std::string path_;
};

template <class T> void walk(const T& value, Leaves& leaves) {
  if constexpr (std::is_same_v<T, Tensor> || std::is_same_v<T, Training>) {
    leaves.add(value);
  } else if constexpr (Module<T>) {
    value.each([&](std::string_view name, const auto& field) {
      const size_t path_length = leaves.enter(name);
      walk(field, leaves);
      leaves.leave(path_length);
    });
  } else if constexpr (std::is_trivially_destructible_v<T>) {
    // a setting: nothing in it can own a tensor
  } else if constexpr (is_optional<T>) {
    if (value) walk(*value, leaves);
  } else {
    static_assert(Sequence<T>,
                  "a member of a module holds something that is neither a tensor, a setting, a struct with "
                  "GRADUS_FIELDS, nor a list of these");
    size_t number = 0;
    for (const auto& element : value) {
      const size_t path_length = leaves.enter(number++);
      walk(element, leaves);
      leaves.leave(path_length);
    }
  }
}

/// What the functions below take: made of any module.
struct AllOf : Leaves {
  template <Module M> AllOf(const M& net) { walk(net, *this); }
};

/// "Linear" out of a __PRETTY_FUNCTION__ with a template argument.
std::string short_type_name(std::string_view pretty_function);

/// The text of a module or a list while it is put together.
class Description {
 public:
  void add(std::string_view name, const std::string& value, bool on_its_own_line);
  std::string finish(const std::string& type) const;

 private:
  std::string settings_, children_;
};

/// The name of a type without namespaces and template arguments.
template <class T> std::string type_name() { return short_type_name(__PRETTY_FUNCTION__); }

/// A function, such as a lambda in a Sequential.
template <class T>
concept Function = !Module<T> && std::is_invocable_v<const T&, const Tensor&>;

/// Whether a member is shown on lines of its own: a module, or a list of them.
template <class T> constexpr bool is_child() {
  if constexpr (Module<T> || Function<T>) return true;
  else if constexpr (requires { typename T::value_type; }) return is_child<typename T::value_type>();
  else return false;
}

/// A value in the way of PyTorch's repr: shapes and settings in one line, modules below it.
template <class T> std::string describe(const T& value) {
  Description text;
  if constexpr (Module<T>) {
    value.each([&]<class Field>(std::string_view name, const Field& field) {
      text.add(name, describe(field), is_child<Field>());
    });
    return text.finish(type_name<T>());
  } else if constexpr (Function<T>) {
    return "function";
  } else if constexpr (std::is_same_v<T, Tensor>) {
    return value.defined() ? to_string(value.shape()) : "none";
  } else if constexpr (std::is_same_v<T, bool> || std::is_same_v<T, Training>) {
    return value ? "true" : "false";
  } else if constexpr (is_optional<T>) {
    return value ? describe(*value) : "none";
  } else if constexpr (requires(std::ostream & out) { out << value; }) {
    std::ostringstream out;
    out << value;
    return out.str();
  } else if constexpr (Sequence<T>) {
    size_t i = 0;
    for (auto&& element : value) text.add(std::to_string(i++), describe(element), is_child<typename T::value_type>());
    return text.finish("list");
  } else {
    return type_name<T>();
  }
}

/// Prints a module: its settings, the shapes of its tensors, and the modules it holds.
template <Module M> std::ostream& operator<<(std::ostream& out, const M& net) { return out << describe(net); }

}  // namespace nn

using nn::Module;
using nn::operator<<;

/// Every tensor of the module, parameters and buffers; no undefined ones. The tensors are shared with the module.
NamedTensors named_tensors(const nn::AllOf& net);
/// The same by name.
StateDict state_dict(const nn::AllOf& net);
/// Those that require a gradient, each once, under its first name.
NamedTensors named_parameters(const nn::AllOf& net);
/// The same without the names, which are given to the tensors: derivations and errors then speak of "hidden.weight".
std::vector<Tensor> parameters(const nn::AllOf& net);
/// The number of trainable values.
int64_t count(const nn::AllOf& net);
/// Removes the gradients of all parameters.
void zero_grad(const nn::AllOf& net);
/// Stops the training of all parameters, which become buffers without a gradient. Returns them, for unfreeze().
std::vector<Tensor> freeze(const nn::AllOf& net);
void unfreeze(const std::vector<Tensor>& frozen);

struct LoadOptions {
  bool strict = true;  ///< missing and unexpected names are errors
};
struct LoadResult {
  std::vector<std::string> missing, unexpected;
};
/// Copies the values in `from` into the tensors of the same names, converting the dtype. All that does not fit is
/// reported in one error, before anything is changed. Without `strict`, only tensors of different shapes are an error.
LoadResult load_state_dict(const nn::AllOf& net, const StateDict& from, LoadOptions options = {},
                           Location where = Location::here());

/// Converts every floating-point tensor of the module, and its gradient, to `dtype`. The tensors stay the same ones: an
/// optimiser that holds them goes on with them.
void to(const nn::AllOf& net, Dtype dtype, Location where = Location::here());
/// Moves every tensor of the module, and its gradient, to a device; likewise.
void to(const nn::AllOf& net, Device device, Location where = Location::here());

namespace nn {
void set_training(const Leaves& leaves, bool on);
void unshare(const Leaves& leaves);
}  // namespace nn

/// Puts the whole module into training mode, or into evaluation mode (dropout off, running statistics used).
template <Module M> void train(M& net, bool on = true) { nn::set_training(nn::AllOf(net), on); }
template <Module M> void eval(M& net) { train(net, false); }

/// While one of these is alive, the module is in evaluation mode and nothing is recorded; then all is as it was before.
class Evaluation {
 public:
  template <Module M>
  requires(!std::is_const_v<M>) explicit Evaluation(M& net) : Evaluation(nn::AllOf(net)) {}
  ~Evaluation();
  Evaluation(const Evaluation&) = delete;
  Evaluation& operator=(const Evaluation&) = delete;

 private:
  explicit Evaluation(const nn::AllOf& net);
  NoGrad no_grad_;
  std::vector<const nn::Training*> switched_;
};

/// A module with tensors of its own: parameters, buffers and settings are copied, gradients are not. Tensors that are
/// the same stay so.
template <Module M> M copy(const M& net) {
  M result = net;
  nn::unshare(nn::AllOf(result));
  return result;
}

}  // namespace gradus
