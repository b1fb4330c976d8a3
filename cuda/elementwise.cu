// The kernels of every formula of ops/, evaluated on plain scalars: forward, backward and the optimisers' steps.

#include <array>
#include <utility>

#include "cuda/device.h"
#include "cuda/kernels.h"
#include "cuda/view.h"
#include "ops/apply.h"
#include "ops/formulas.h"
#include "ops/kernels.h"

namespace gradus::cuda {
namespace {

template <class Op, class T> using Result = std::conditional_t<is_predicate<Op>, bool, T>;

// y = op.forward(x…), for operands of any layout and dtype.
template <class T, class Op, size_t... I>
__global__ void map_elements(Op op, int64_t count, std::array<Source, sizeof...(I)> x, Target y) {
  for (int64_t i = thread_in_grid(); i < count; i += threads_in_grid())
    y.store(i, static_cast<Result<Op, T>>(op.forward(x[I].template load<T>(i)...)));
}

// The same for float32 operands without gaps, four elements at a time: loads and stores of 16 bytes.
template <class Op, size_t... I>
__global__ void map_packed(Op op, int64_t packs, std::array<const float4*, sizeof...(I)> x, float4* y) {
  for (int64_t i = thread_in_grid(); i < packs; i += threads_in_grid()) {
    const float4 in[] = {x[I][i]...};
    y[i] = make_float4(op.forward(in[I].x...), op.forward(in[I].y...), op.forward(in[I].z...), op.forward(in[I].w...));
  }
}

bool is_packed(const Tensor& x) {
  return x.dtype() == float32 && x.is_contiguous() && reinterpret_cast<uintptr_t>(pointer<float>(x)) % 16 == 0 &&
         x.numel() % 4 == 0;
}

template <class T, class Op, size_t... I>
void map_typed(const Op& op, std::span<const Tensor* const> x, const Tensor& y, std::index_sequence<I...>) {
  if constexpr (std::is_same_v<T, float> && !is_predicate<Op>) {
    if ((is_packed(*x[I]) && ...) && is_packed(y))
      return launch_for(y.numel() / 4, y.device(), map_packed<Op, I...>, op, y.numel() / 4,
                        std::array{reinterpret_cast<const float4*>(pointer<float>(*x[I]))...},
                        reinterpret_cast<float4*>(pointer<float>(y)));
  }
  launch_for(y.numel(), y.device(), map_elements<T, Op, I...>, op, y.numel(), std::array{Source(*x[I])...}, Target(y));
}

template <class Op> void map(const void* settings, std::span<const Tensor* const> x, const Tensor& y) {
  const Op& op = *static_cast<const Op*>(settings);
  constexpr auto operands = std::make_index_sequence<arity<Op>>();
  const Dtype dtype = x.back()->dtype();
  if (dtype == float64) return map_typed<double>(op, x, y, operands);
  if constexpr (for_integers<Op>)
    if (!is_floating_point(dtype)) return map_typed<int64_t>(op, x, y, operands);
  map_typed<float>(op, x, y, operands);
}

// Whichever of dy, x and y a backward takes, and the gradients that are wanted.
template <size_t N> struct Gradients {
  std::array<bool, N> wanted;
  std::array<Target, N> targets;
};

template <class T, class Op, size_t... I> __global__ void map_gradients(Op op, int64_t count, Source dy,
                                                                        std::array<Source, sizeof...(I)> x, Source y,
                                                                        Gradients<sizeof...(I)> gradients) {
  constexpr size_t N = sizeof...(I);
  constexpr detail::Keeps keeps = detail::keeps<Op, N>;
  for (int64_t i = thread_in_grid(); i < count; i += threads_in_grid()) {
    const T from_y = detail::keeps_output(keeps) ? y.template load<T>(i) : T(0);
    const auto result = detail::call_backward<Op, N>(
        op, dy.template load<T>(i), from_y, (detail::keeps_inputs(keeps) ? x[I].template load<T>(i) : T(0))...);
    ((gradients.wanted[I] ? gradients.targets[I].store(i, static_cast<T>(std::get<I>(result))) : void()), ...);
  }
}

template <class Op> void map_backward(const void* settings, const Tensor& dy, std::span<const Tensor> x,
                                      const Tensor& y, std::span<const Tensor> gradients) {
  if constexpr (detail::keeps<Op, arity<Op>> != detail::Keeps::no_gradient) {
    [&]<size_t... I>(std::index_sequence<I...>) {
      const Gradients<sizeof...(I)> results{{gradients[I].defined()...}, {Target(detail::or_else(gradients[I], dy))...}};
      const auto kernel = dy.dtype() == float64 ? map_gradients<double, Op, I...> : map_gradients<float, Op, I...>;
      launch_for(dy.numel(), dy.device(), kernel, *static_cast<const Op*>(settings), dy.numel(), Source(dy),
                 std::array{Source(detail::or_else(x[I], dy))...}, Source(detail::or_else(y, dy)), results);
    }
    (std::make_index_sequence<arity<Op>>());
  }
}

// One step of an optimiser for each element of a parameter.
template <class T, class Rule, size_t... S> __global__ void update_elements(PerLaunch<Rule> now, int64_t count, Source p,
                                                                            Source grad, Target result,
                                                                            std::array<T*, sizeof...(S)> state) {
  const Rule rule = now.get();
  for (int64_t i = thread_in_grid(); i < count; i += threads_in_grid()) {
    T value = p.load<T>(i), values[] = {state[S] ? state[S][i] : T(0)...};
    rule(value, grad.load<T>(i), values[S]...);
    ((state[S] ? void(state[S][i] = values[S]) : void()), ...);
    result.store(i, value);
  }
}

template <class Rule>
void update(const void* settings, const Tensor& parameter, const Tensor& grad, std::span<const Tensor> state) {
  const auto run = [&]<class T, size_t... S>(T, std::index_sequence<S...>) {
    launch_for(parameter.numel(), parameter.device(), update_elements<T, Rule, S...>,
               *static_cast<const PerLaunch<Rule>*>(settings), parameter.numel(), Source(parameter), Source(grad),
               Target(parameter), std::array{(state[S].defined() ? pointer<T>(state[S]) : nullptr)...});
  };
  constexpr auto states = std::make_index_sequence<Rule::states>();
  if (parameter.dtype() == float64) run(double(), states);
  else run(float(), states);
}

// One entry for each formula, in the order of its list.
template <class... Op> constexpr auto maps(List<Op...>) { return std::array{&map<Op>...}; }
template <class... Op> constexpr auto backwards(List<Op...>) { return std::array{&map_backward<Op>...}; }
template <class... Rule> constexpr auto updates(List<Rule...>) { return std::array{&update<Rule>...}; }

void run_forward(int formula, const void* op, std::span<const Tensor* const> x, const Tensor& y) {
  static constexpr auto table = maps(formula::All{});
  table[size_t(formula)](op, x, y);
}
void run_backward(int formula, const void* op, const Tensor& dy, std::span<const Tensor> x, const Tensor& y,
                  std::span<const Tensor> gradients) {
  static constexpr auto table = backwards(formula::All{});
  table[size_t(formula)](op, dy, x, y, gradients);
}
void run_update(int rule, const void* op, const Tensor& parameter, const Tensor& grad, std::span<const Tensor> state) {
  static constexpr auto table = updates(formula::Updates{});
  table[size_t(rule)](op, parameter, grad, state);
}

}  // namespace

void rectify(const Tensor& y) {
  const formula::Relu relu;
  const Tensor* const x[] = {&y};
  map<formula::Relu>(&relu, x, y);
}

}  // namespace gradus::cuda

extern "C" const gradus::FormulaKernels gradus_cuda_formulas{gradus::cuda::run_forward, gradus::cuda::run_backward,
                                                             gradus::cuda::run_update};
