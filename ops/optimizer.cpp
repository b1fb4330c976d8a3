#include "ops/optimizer.h"

#include <algorithm>
#include <utility>

#include "core/error.h"
#include "ops/cpu/eigen.h"
#include "ops/cpu/gather.h"
#include "ops/cpu/parallel.h"
#include "ops/formulas.h"
#include "ops/kernels.h"

namespace gradus {

template <class Rule> void update(const cuda::PerLaunch<Rule>& rule, const Tensor& parameter, const Tensor& grad,
                                  const std::array<Tensor, Rule::states>& state) {
  using cpu::chunk, cpu::lanes;
  parameter.storage()->bump_version();
  if (!parameter.device().is_cpu())
    return formula_kernels(parameter).update(place_in<Rule>(formula::Updates{}), &rule, parameter, grad, state);
  const auto run = [&]<class T, size_t... S>(std::index_sequence<S...>) {
    using Register = Eigen::Array<T, lanes<T>, 1>;
    const bool direct = parameter.is_contiguous() && parameter.dtype() == dtype_of<T>();
    const cpu::Reader<T> read_grad(grad);
    const auto work = [&](int64_t begin, int64_t end) {
      alignas(64) T parameter_buffer[chunk], grad_buffer[chunk];
      const Rule change = rule.value;
      for (int64_t i = begin; i < end; i += chunk) {
        const int64_t n = std::min(chunk, end - i);
        if (!direct) cpu::gather(parameter, i, n, parameter_buffer);
        T* p = direct ? cpu::pointer<T>(parameter) + i : parameter_buffer;
        const T* g = read_grad.read(i, n, grad_buffer);
        T* const memory[] = {state[S].defined() ? cpu::pointer<T>(state[S]) + i : p...};  // p: not used
        int64_t j = 0;  // one pass over all that is remembered, a register at a time; the last numbers one by one
        for (; j + lanes<T> <= n; j += lanes<T>) {
          Eigen::Map<Register> numbers(p + j), remembered[] = {Eigen::Map<Register>(memory[S] + j)...};
          change(numbers, Eigen::Map<const Register>(g + j), remembered[S]...);
        }
        for (; j < n; ++j) change(p[j], g[j], memory[S][j]...);
        if (!direct) cpu::scatter(parameter_buffer, parameter, i, n);
      }
    };
    cpu::parallel_for(parameter.numel(), cpu::parallel_grain, work, chunk);
  };
  const std::make_index_sequence<Rule::states> states;
  if (parameter.dtype() == float64) run.template operator()<double>(states);
  else run.template operator()<float>(states);
}

template void update(const cuda::PerLaunch<formula::SgdUpdate>&, const Tensor&, const Tensor&,
                     const std::array<Tensor, 1>&);
template void update(const cuda::PerLaunch<formula::AdamUpdate>&, const Tensor&, const Tensor&,
                     const std::array<Tensor, 3>&);
template void update(const cuda::PerLaunch<formula::RmspropUpdate>&, const Tensor&, const Tensor&,
                     const std::array<Tensor, 3>&);
template void update(const cuda::PerLaunch<formula::AdagradUpdate>&, const Tensor&, const Tensor&,
                     const std::array<Tensor, 1>&);

}  // namespace gradus
