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
  using cpu::In, cpu::Out, cpu::chunk;
  parameter.storage()->bump_version();
  if (!parameter.device().is_cpu())
    return formula_kernels(parameter).update(place_in<Rule>(formula::Updates{}), &rule, parameter, grad, state);
  const auto run = [&]<class T>() {
    const bool direct = parameter.is_contiguous() && parameter.dtype() == dtype_of<T>();
    const cpu::Reader<T> read_grad(grad);
    const auto work = [&](int64_t begin, int64_t end) {
      alignas(64) T parameter_buffer[chunk], grad_buffer[chunk];
      for (int64_t i = begin; i < end; i += chunk) {
        const int64_t n = std::min(chunk, end - i);
        if (!direct) cpu::gather(parameter, i, n, parameter_buffer);
        Out<T> p(direct ? cpu::pointer<T>(parameter) + i : parameter_buffer, n);
        const In<T> g(read_grad.read(i, n, grad_buffer), n);
        const auto apply_rule = [&]<size_t... S>(std::index_sequence<S...>) {
          Out<T> maps[] = {Out<T>(state[S].defined() ? cpu::pointer<T>(state[S]) + i : nullptr, n)...};
          rule.value(p, g, maps[S]...);
        };
        apply_rule(std::make_index_sequence<Rule::states>());
        if (!direct) cpu::scatter(parameter_buffer, parameter, i, n);
      }
    };
    cpu::parallel_for(parameter.numel(), cpu::parallel_grain, work, chunk);
  };
  if (parameter.dtype() == float64) run.template operator()<double>();
  else run.template operator()<float>();
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
