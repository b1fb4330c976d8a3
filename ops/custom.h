#pragma once
// How a formula struct becomes an operation. For the files of ops/ and for programs that bring a formula of their own:
//
//   using namespace gradus;
//   struct Cube {
//     static constexpr Info info{"cube"};
//     template <class T> auto forward(const T& x) const { return x * x * x; }
//     template <class T> auto backward(const T& dy, const T& x) const { return dy * formula::number<T>(3) * x * x; }
//   };
//   Tensor y = map(Cube{}, x);
//
// The kernels, every order of derivative and the printed formula follow, and from that what a step keeps alive: a
// backward depends on its arguments and members only, on no global. Includes Eigen: keep this header in .cpp files.

#include <utility>

#include "ops/apply.h"
#include "ops/cpu/map_kernel.h"
#include "ops/formulas.h"
#include "ops/kernels.h"
#include "ops/map.h"
#include "ops/operations.h"
#include "ops/symbol.h"

namespace gradus {
namespace detail {

/// Brings operands to a common dtype and shape (recording the conversions). `condition`: the first is a truth value and
/// takes no part in choosing the dtype.
void prepare_operands(std::span<const Arg* const> args, std::span<Tensor> x, bool integers, bool condition);

/// The number of a formula for FormulaKernels.
template <class Op> int number_of(Device device) {
  constexpr int number = place_in<Op>(formula::All{});
  if (number < 0)
    fail("the formula is not one of the library's own; there is no kernel of it for " + to_string(device));
  return number;
}

template <size_t N, class Op> void map_forward(const Op& op, const std::array<const Tensor*, N>& x, const Tensor& y) {
  if (y.device().is_cpu()) cpu::map_forward(op, x, y);
  else formula_kernels(y).forward(number_of<Op>(y.device()), &op, x, y);
}

template <class Op, class... A> Tensor map_args(const Op& op, const A&... args) {
  constexpr size_t N = sizeof...(A);
  constexpr bool condition = requires { Op::condition_first; };
  const std::array<const Arg*, N> each{&args...};
  const Scope scope(Op::info.name, each[0]->where());
  std::array<const Tensor*, N> x;
  std::array<Tensor, N> prepared;
  bool as_they_are = !condition;
  for (size_t i = 0; i < N && as_they_are; ++i) {
    if (each[i]->is_number()) {
      as_they_are = false;
    } else {
      x[i] = &each[i]->tensor();
      as_they_are = is_floating_point(x[i]->dtype()) && x[i]->dtype() == x[0]->dtype() &&
                    x[i]->shape() == x[0]->shape() && x[i]->device() == x[0]->device();
    }
  }
  if (!as_they_are) {
    prepare_operands(each, prepared, for_integers<Op>, condition);
    for (size_t i = 0; i < N; ++i) x[i] = &prepared[i];
  }
  const Tensor& last = *x[N - 1];
  const Tensor y = Tensor::empty(last.shape(), is_predicate<Op> ? boolean : last.dtype(), last.device());
  map_forward<N>(op, x, y);
  if (DetectAnomaly::enabled()) check_finite(y, "the result");
  std::apply([&](const auto*... tensors) { record(op, y, *tensors...); }, x);
  return y;
}

/// Whether what is computed from a tensor of the CPU, element by element, may be written over it.
inline bool is_ours_alone(const Tensor& x) {
  return x.device().is_cpu() && x.is_contiguous() && x.handle()->use_count() == 1 && x.storage()->use_count() == 1;
}

template <class Op, size_t N> void map_backward(const Op& op, const Tensor& dy, const std::array<Tensor, N>& x,
                                                const Tensor& y, std::span<const bool> wanted,
                                                std::span<Tensor> gradients) {
  constexpr bool use_x = keeps_inputs(keeps<Op, N>), use_y = keeps_output(keeps<Op, N>);
  using Each = std::make_index_sequence<N>;
  const int64_t size = dy.numel();
  cpu::with_compute_type<Op>(dy.dtype(), [&]<class T>() {
    if constexpr (std::is_floating_point_v<T>) {
      [&]<size_t... I>(std::index_sequence<I...>) {
        using cpu::In;
        // A gradient that is dy itself (addition) is handed on, not computed.
        using Result = decltype(call_backward<Op, N>(op, std::declval<In<T>>(), std::declval<In<T>>(),
                                                     (void(I), std::declval<In<T>>())...));
        constexpr bool same[] = {std::is_same_v<std::tuple_element_t<I, Result>, In<T>>...};
        int computed = 0, handed_on = 0;
        for (size_t i = 0; i < N; ++i) (same[i] ? handed_on : computed) += wanted[i];
        // A lone gradient may take the place of a dy that nobody else holds.
        const bool in_place = computed == 1 && handed_on == 0 && is_ours_alone(dy);
        for (size_t i = 0; i < N; ++i)
          if (wanted[i]) gradients[i] = same[i] || in_place ? dy : Tensor::empty(dy.shape(), dy.dtype(), dy.device());
        if (computed == 0) return;
        if (!dy.device().is_cpu()) {
          const std::array outputs{wanted[I] && !same[I] ? gradients[I] : Tensor()...};
          return formula_kernels(dy).backward(number_of<Op>(dy.device()), &op, dy, x, y, outputs);
        }
        if (size == 1) {
          const auto one = [&](const Tensor& t) { return t.defined() ? cpu::load_one<T>(t) : T(0); };
          const auto result = call_backward<Op, N>(op, one(dy), one(y), one(x[I])...);
          ((wanted[I] && !same[I] ? cpu::store_one<T>(gradients[I], std::get<I>(result)) : void()), ...);
          return;
        }
        const cpu::Reader<T> read_dy(dy), read_y(or_else(y, dy)), readers[] = {cpu::Reader<T>(or_else(x[I], dy))...};
        cpu::parallel_for(
            size, cpu::parallel_grain,
            [&](int64_t begin, int64_t end) {
              constexpr int64_t chunk = cpu::chunk;
              alignas(64) T buffers[N][chunk], buffer_dy[chunk], buffer_y[chunk];
              const cpu::Writer<T> writers[] = {cpu::Writer<T>(gradients[I])...};
              for (int64_t i = begin; i < end; i += chunk) {
                const int64_t n = std::min(chunk, end - i);
                const In<T> g(read_dy.read(i, n, buffer_dy), n);
                const auto result = call_backward<Op, N>(op, g, use_y ? In<T>(read_y.read(i, n, buffer_y), n) : g,
                                                         (use_x ? In<T>(readers[I].read(i, n, buffers[I]), n) : g)...);
                ((wanted[I] && !same[I] ? writers[I].write(std::get<I>(result), i, n) : void()), ...);
              }
            },
            cpu::chunk);
      }
      (Each());
    }
  });
}

template <class Op, size_t N>
std::vector<std::string> map_gradient_formulas(const Op& op, std::span<const std::string> names, const std::string& y,
                                               const std::string& dy) {
  return [&]<size_t... I>(std::index_sequence<I...>) {
    return std::apply([](const auto&... each) { return std::vector{each.text()...}; },
                      call_backward<Op, N>(op, Symbol(dy), Symbol(y), Symbol(names[I])...));
  }
  (std::make_index_sequence<N>());
}

// A formula without members tells by what it writes down; of another, all counts that its backward takes.
template <class Op, size_t N> std::array<unsigned, N> map_gradient_reads(const Op& op) {
  std::array<unsigned, N> reads{};
  if constexpr (!std::is_empty_v<Op>) {
    reads.fill((keeps_inputs(keeps<Op, N>) ? (1u << N) - 1 : 0) | (keeps_output(keeps<Op, N>) ? 1u << N : 0));
  } else {
    const std::array<std::string, 4> marks{"\1", "\2", "\3", "\4"};
    const auto gradients = map_gradient_formulas<Op, N>(op, std::span(marks).first(N), marks[N], "dy");
    for (size_t i = 0; i < N; ++i)
      for (size_t k = 0; k <= N; ++k) reads[i] |= unsigned(gradients[i].find(marks[k]) != std::string::npos) << k;
  }
  return reads;
}

template <class Op, size_t N> Tensor map_again(const Op& op, std::span<const Tensor> x) {
  return [&]<size_t... I>(std::index_sequence<I...>) { return map_args(op, Arg(x[I])...); }
  (std::make_index_sequence<N>());
}

template <class Op, size_t N> std::string map_formula(const Op& op, std::span<const std::string> names) {
  return [&]<size_t... I>(std::index_sequence<I...>) { return op.forward(Symbol(names[I])...).text(); }
  (std::make_index_sequence<N>());
}

}  // namespace detail

template <class Op> Tensor map(const Op& op, const Arg& x) { return detail::map_args(op, x); }
template <class Op> Tensor map(const Op& op, const Arg& a, const Arg& b) { return detail::map_args(op, a, b); }
template <class Op> Tensor map(const Op& op, const Arg& a, const Arg& b, const Arg& c) {
  return detail::map_args(op, a, b, c);
}

/// How a formula's operands are called when it is printed on its own.
template <class Op> constexpr std::array<const char*, 3> operand_names = arity<Op> == 1   ? std::array{"x", "", ""}
                                                                         : arity<Op> == 2 ? std::array{"a", "b", ""}
                                                                                          : std::array{"c", "a", "b"};

/// What there is to say about the formulas of a list; compiles everything that belongs to them.
template <class... Op> std::vector<Operation> describe(List<Op...>) {
  const auto entry = []<class O>(O op) {
    constexpr size_t n = arity<O>;
    Operation about;
    about.name = O::info.name;
    about.arity = n;
    if constexpr (requires { O::low; }) about.low = O::low, about.high = O::high;
    about.integers = for_integers<O>;
    about.predicate = is_predicate<O>;
    about.condition = requires { O::condition_first; };
    [&]<size_t... I>(std::index_sequence<I...>) {
      about.formula = op.forward(Symbol(operand_names<O>[I])...).text();
      about.apply = [](std::span<const Tensor> x) { return map(O{}, x[I]...); };
      if constexpr (detail::keeps<O, n> != detail::Keeps::no_gradient) {
        about.gradients =
            detail::map_gradient_formulas<O, n>(op, std::array<std::string, n>{operand_names<O>[I]...}, "y", "dy");
        const unsigned any = std::apply([](auto... one) { return (one | ...); }, detail::map_gradient_reads<O, n>(op));
        ((any >> I & 1 ? about.keeps.push_back(operand_names<O>[I]) : void()), ...);
        if (any >> n & 1) about.keeps.push_back("y");
      }
    }
    (std::make_index_sequence<n>());
    return about;
  };
  return {entry(Op{})...};
}

}  // namespace gradus
