// Batch, layer, group, instance and RMS normalisation: batch norm of bfloat16 in training by cuDNN where it has an
// engine, all else by the kernels below. There a team of threads for each group of elements that share a mean and a
// variance reads them once for the mean, again for the variance and again for the result: the second and third time
// from the cache, if the group fits. No difference of large sums is ever taken.

#include "cuda/cudnn_run.h"
#include "cuda/reduce.h"

namespace gradus::cuda {
namespace {

// Where element k of a group lies, and which channel it belongs to.
struct Group {
  NormLayout layout;
  int64_t number;
  __device__ int64_t size() const { return layout.outer * layout.inner; }
  __device__ int64_t position(int64_t k) const {
    return (k / layout.inner * layout.groups + number) * layout.inner + k % layout.inner;
  }
  __device__ int64_t channel(int64_t position) const { return position / layout.run % layout.channels; }
};

// The team of a group when the elements of eight groups are neighbours, as in batch norm of [N, C]: every eighth thread
// of a block of 256, so that eight threads, each of another team, read a sector together. There are 8 m groups.
struct SectorTeam {
  static constexpr int size = 32;
  __device__ int64_t first_row() const { return int64_t(blockIdx.x) * 8 + threadIdx.x % 8; }
  __device__ int64_t row_step() const { return int64_t(gridDim.x) * 8; }
  __device__ int rank() const { return int(threadIdx.x) / 8; }
  template <class F, class T> __device__ T reduce(T value, F f) const {
    __shared__ T of_warp[8][8];
    for (int distance : {8, 16}) value = f(value, __shfl_xor_sync(all_lanes, value, distance));
    __syncthreads();  // before the results of an earlier call are overwritten
    if (lane() < 8) of_warp[threadIdx.x / 32][lane()] = value;
    __syncthreads();
    value = F::template neutral<T>();
    for (int warp = 0; warp < 8; ++warp) value = f(value, of_warp[warp][lane() % 8]);
    return value;
  }
};

template <class F> void with_team(const NormLayout& layout, F&& run) {
  if (layout.inner == 1 && layout.groups % 8 == 0) run(SectorTeam());
  else run(team_for(layout.outer * layout.inner));
}

template <class Team, class In, class T> __global__ void normalize(Team team, NormLayout layout, const In* x,
                                                                   const T* weight, const T* bias, T* means,
                                                                   T* variances, In* y) {
  for (int64_t number = team.first_row(); number < layout.groups; number += team.row_step()) {
    const Group group{layout, number};
    const int64_t size = group.size();
    T mean = layout.given ? means[number] : T(0), variance = layout.given ? variances[number] : T(0);
    if (layout.center && !layout.given) {  // of the distances from one of the elements, which are small
      const T origin = convert<T>(x[group.position(0)]);
      for (int64_t k = team.rank(); k < size; k += team.size) mean += convert<T>(x[group.position(k)]) - origin;
      mean = origin + team.reduce(mean, Sum()) / T(size);
    }
    if (!layout.given) {
      for (int64_t k = team.rank(); k < size; k += team.size) {
        const T centered = convert<T>(x[group.position(k)]) - mean;
        variance += centered * centered;
      }
      variance = team.reduce(variance, Sum()) / T(size);
      if (team.rank() == 0) means[number] = mean, variances[number] = variance;
    }
    const T scale = T(1) / sqrt(variance + T(layout.eps));
    for (int64_t k = team.rank(); k < size; k += team.size) {
      const int64_t at = group.position(k), channel = group.channel(at);
      y[at] = convert<In>((convert<T>(x[at]) - mean) * scale * weight[channel] + bias[channel]);
    }
  }
}

// dx, and for each element its part of the gradient of the weight, dy·x̂.
template <class Team, class In, class T>
__global__ void normalize_gradients(Team team, NormLayout layout, const In* dy, const In* x, const T* weight,
                                    const T* means, const T* variances, In* dx, T* dweight_parts) {
  for (int64_t number = team.first_row(); number < layout.groups; number += team.row_step()) {
    const Group group{layout, number};
    const int64_t size = group.size();
    const T mean = means[number], scale = T(1) / sqrt(variances[number] + T(layout.eps));
    T sum = 0, product_sum = 0;  // of g and g·x̂
    if (!layout.given) {
      for (int64_t k = team.rank(); k < size; k += team.size) {
        const int64_t at = group.position(k);
        const T g = convert<T>(dy[at]) * weight[group.channel(at)];
        sum += g;
        product_sum += g * (convert<T>(x[at]) - mean) * scale;
      }
      sum = layout.center ? team.reduce(sum, Sum()) / T(size) : T(0);
      product_sum = team.reduce(product_sum, Sum()) / T(size);
    }
    for (int64_t k = team.rank(); k < size; k += team.size) {
      const int64_t at = group.position(k);
      const T upstream = convert<T>(dy[at]), normal = (convert<T>(x[at]) - mean) * scale;
      dx[at] = convert<In>((upstream * weight[group.channel(at)] - sum - normal * product_sum) * scale);
      dweight_parts[at] = upstream * normal;
    }
  }
}

// What cuDNN keeps of a channel is 1 / √(variance + eps).
__global__ void to_variances(int64_t count, float eps, float* values) {
  for (int64_t i = thread_in_grid(); i < count; i += threads_in_grid()) {
    const float variance = 1.f / (values[i] * values[i]) - eps;
    values[i] = variance < 0.f ? 0.f : variance;  // NaN stays
  }
}
__global__ void to_inverse_deviations(int64_t count, float eps, const float* variances, float* result) {
  for (int64_t i = thread_in_grid(); i < count; i += threads_in_grid()) result[i] = 1.f / sqrtf(variances[i] + eps);
}

// Batch norm that cuDNN may have an engine for: they want a multiple of 8 channels.
bool is_for_cudnn(const NormLayout& layout, const Tensor& y) {
  return y.dtype() == bfloat16 && !layout.given && layout.groups == layout.channels && layout.inner == layout.run &&
         layout.channels % 8 == 0;
}

BatchNormTask task_for(const NormLayout& layout, bool is_backward) {
  return {is_backward, {layout.outer, layout.channels, 1, layout.inner}};
}

// False if there is no engine. The operation has made the float32 tensors, which therefore lie where engines want them.
bool norm_by_cudnn(const NormLayout& layout, const NormStatistics& statistics, const Tensor& x, const Tensor& weight,
                   const Tensor& bias, const Tensor& y) {
  const Tensor in = prepared(x, bfloat16);
  float eps = float(layout.eps);
  const Operand operands[] = {{BatchNormTask::x, Target(in).data},
                              {BatchNormTask::weight, Target(weight).data},
                              {BatchNormTask::bias, Target(bias).data},
                              {BatchNormTask::epsilon, &eps},
                              {BatchNormTask::mean, Target(statistics.mean).data},
                              {BatchNormTask::inverse_deviation, Target(statistics.variance).data},
                              {BatchNormTask::y, Target(y).data}};
  if (!run_cudnn(task_for(layout, false), y.device(), operands)) return false;
  launch_for(layout.groups, y.device(), to_variances, layout.groups, eps, pointer<float>(statistics.variance));
  return true;
}

bool norm_backward_by_cudnn(const NormLayout& layout, const NormStatistics& statistics, const Tensor& dy,
                            const Tensor& x, const Tensor& weight, const Tensor& dx, const Tensor& dweight,
                            const Tensor& dbias) {
  const Tensor gradient = prepared(dy, bfloat16), in = prepared(x, bfloat16);
  const Tensor inverse_deviations = Tensor::empty({layout.groups}, float32, dx.device());
  launch_for(layout.groups, dx.device(), to_inverse_deviations, layout.groups, float(layout.eps),
             pointer<const float>(statistics.variance), pointer<float>(inverse_deviations));
  const Operand operands[] = {{BatchNormTask::x, Target(in).data},
                              {BatchNormTask::weight, Target(weight).data},
                              {BatchNormTask::mean, Target(statistics.mean).data},
                              {BatchNormTask::inverse_deviation, Target(inverse_deviations).data},
                              {BatchNormTask::y, Target(gradient).data},
                              {BatchNormTask::dx, Target(dx).data},
                              {BatchNormTask::dweight, Target(dweight).data},
                              {BatchNormTask::bias, Target(dbias).data}};
  return run_cudnn(task_for(layout, true), dx.device(), operands);
}

}  // namespace

void norm(const NormLayout& layout, const NormStatistics& statistics, const Tensor& x, const Tensor& weight,
          const Tensor& bias, const Tensor& y) {
  if (y.numel() == 0) return;
  if (is_for_cudnn(layout, y) && norm_by_cudnn(layout, statistics, x, weight, bias, y)) return;
  const Tensor in = compact(x);
  visit_floating(y.dtype(), [&]<class In, class T>() {
    with_team(layout, [&]<class Team>(Team team) {
      launch_for(layout.groups * team.size, y.device(), normalize<Team, In, T>, team, layout, pointer<const In>(in),
                 pointer<const T>(weight), pointer<const T>(bias), pointer<T>(statistics.mean),
                 pointer<T>(statistics.variance), pointer<In>(y));
    });
  });
}

void norm_backward(const NormLayout& layout, const NormStatistics& statistics, const Tensor& dy, const Tensor& x,
                   const Tensor& weight, const Tensor& dx, const Tensor& dweight, const Tensor& dbias) {
  if (dx.numel() == 0) return fill(dweight, 0), fill(dbias, 0);
  if (is_for_cudnn(layout, dx) && norm_backward_by_cudnn(layout, statistics, dy, x, weight, dx, dweight, dbias)) return;
  const Tensor gradient = compact(dy), in = compact(x);
  const Tensor parts = Tensor::empty(dx.shape(), weight.dtype(), dx.device());
  visit_floating(dx.dtype(), [&]<class In, class T>() {
    with_team(layout, [&]<class Team>(Team team) {
      launch_for(layout.groups * team.size, dx.device(), normalize_gradients<Team, In, T>, team, layout,
                 pointer<const In>(gradient), pointer<const In>(in), pointer<const T>(weight),
                 pointer<const T>(statistics.mean), pointer<const T>(statistics.variance), pointer<In>(dx),
                 pointer<T>(parts));
    });
  });
  // Σ over all that share a channel: the first and the last dimension.
  const Shape by_channel{dx.numel() / (layout.channels * layout.run), layout.channels, layout.run};
  const auto sum_into = [&](const Tensor& all, const Tensor& of_channels) {
    reduce(Reduction::sum, all.alias(by_channel, contiguous_strides(by_channel), all.offset()), 0b101, 1, of_channels);
  };
  sum_into(parts, dweight);
  sum_into(compact(gradient, dbias.dtype()), dbias);
}

}  // namespace gradus::cuda
