// Batch, layer, group, instance and RMS normalisation. No difference of large sums is ever taken: the variance is made
// of distances from the mean, and that of distances from one of the elements.
//
// Groups that lie in one piece get a warp or a block each, which reads them from memory once and then from the cache.
// The groups of batch normalisation are the channels of x: [N, C, …], few and spread over memory: each is cut into
// parts with a block each, whose results are merged by a second kernel, and a third goes over all elements. Gradients
// of weights and biases are sums over channels in all cases.

#include "cuda/reduce.h"

namespace gradus::cuda {
namespace {

constexpr int block_size = 256;

// x as [rows, channels, run], shared out over blocks: each takes a channel, or 32 neighbours if their elements lie
// side by side, and one of the parts into which the rows are cut.
struct Channels {
  int64_t rows, channels, run;
  int width;              // threads along a run: all, a warp, or only one; then the lanes take neighbouring channels
  int64_t blocks, parts;  // blocks for all channels, each once for every part

  Channels(const NormLayout& layout, int64_t count)
      : rows(count / (layout.channels * layout.run)),
        channels(layout.channels),
        run(layout.run),
        width(run < 8            ? 1
              : run < block_size ? 32
                                 : block_size),
        blocks(width == 1 ? (channels + 31) / 32 : channels) {
    constexpr int64_t enough_blocks = 1024, shortest_part = 4096, most_parts = 64;
    parts = std::min({enough_blocks / blocks, count / blocks / shortest_part, rows, most_parts});
    parts = std::max<int64_t>(parts, 1);
  }
  __host__ __device__ int64_t first_row(int64_t part) const { return rows * part / parts; }

  // Σ over the threads of a block that have the same channel. All of them get it.
  template <class T> __device__ T sum(T value) const {
    __shared__ T of_warp[block_size / 32][32];
    if (width > 1) value = warp_reduce(value, Sum());
    __syncthreads();  // before the values of an earlier call are overwritten
    of_warp[threadIdx.x / 32][lane()] = value;
    __syncthreads();
    T total = 0;
    for (int warp = 0; warp < block_size / 32; ++warp) total += of_warp[warp][lane()];
    return total;
  }
};

// What one thread does of a block's work: elements first(row), first(row) + step, … before last(row) of every
// row_step-th row.
struct Share {
  int64_t part, channel, row, end, channels, run;
  int row_step, offset, step;

  __device__ Share(const Channels& all, int64_t block)
      : part(block / all.blocks),
        channel(block % all.blocks),
        end(all.first_row(part + 1)),
        channels(all.channels),
        run(all.run),
        row_step(block_size / max(all.width, 32)),
        offset(int(threadIdx.x) % all.width),
        step(all.width) {
    if (all.width == 1) channel = channel * 32 + lane();
    row = channel < channels ? all.first_row(part) + int(threadIdx.x) / max(all.width, 32) : end;
  }
  __device__ int64_t first(int64_t at_row) const { return (at_row * channels + channel) * run + offset; }
  __device__ int64_t last(int64_t at_row) const { return (at_row * channels + channel + 1) * run; }
  // Whether this thread writes the sums of its channel.
  __device__ bool writes() const { return channel < channels && int(threadIdx.x) < (step == 1 ? 32 : 1); }
};

template <class T> __device__ T inverse_deviation(T variance, double eps) { return T(1) / sqrt(variance + T(eps)); }

// The channel of element i of a group, of which the first is of channel `first`.
__device__ int64_t channel_in_group(int64_t first, int64_t i, int64_t run) { return first + (run == 1 ? i : i / run); }

// A team for each group of `inner` neighbours. Reads x once and writes y: 8 bytes an element in float32.
template <class In, class T> __global__ void normalize_groups(Team team, NormLayout layout, const In* x,
                                                              const T* weight, const T* bias, T* means, T* variances,
                                                              In* y) {
  const int64_t n = layout.inner;
  for (int64_t group = team.first_row(); group < layout.groups; group += team.row_step()) {
    const In* from = x + group * n;
    const T origin = convert<T>(from[0]);
    T sum = 0, squares = 0;
    if (layout.center)
      for (int64_t i = team.rank(); i < n; i += team.size) sum += convert<T>(from[i]) - origin;
    const T mean = layout.center ? origin + team.reduce(sum, Sum()) / T(n) : T(0);
    for (int64_t i = team.rank(); i < n; i += team.size) {
      const T distance = convert<T>(from[i]) - mean;
      squares += distance * distance;
    }
    const T variance = team.reduce(squares, Sum()) / T(n), scale = inverse_deviation(variance, layout.eps);
    if (team.rank() == 0) means[group] = mean, variances[group] = variance;
    const int64_t first_channel = group * n / layout.run % layout.channels;
    for (int64_t i = team.rank(); i < n; i += team.size) {
      const int64_t channel = channel_in_group(first_channel, i, layout.run);
      y[group * n + i] = convert<In>((convert<T>(from[i]) - mean) * scale * weight[channel] + bias[channel]);
    }
  }
}

template <class In, class T> __global__ void group_gradients(Team team, NormLayout layout, const In* dy, const In* x,
                                                             const T* weight, const T* means, const T* variances,
                                                             In* dx) {
  const int64_t n = layout.inner;
  for (int64_t group = team.first_row(); group < layout.groups; group += team.row_step()) {
    const int64_t first = group * n, first_channel = first / layout.run % layout.channels;
    const T mean = means[group], scale = inverse_deviation(variances[group], layout.eps);
    T sum = 0, product_sum = 0;  // of g = dy·weight and of g·x̂
    for (int64_t i = team.rank(); i < n; i += team.size) {
      const T g = convert<T>(dy[first + i]) * weight[channel_in_group(first_channel, i, layout.run)];
      sum += g;
      product_sum += g * (convert<T>(x[first + i]) - mean) * scale;
    }
    const T mean_g = layout.center ? team.reduce(sum, Sum()) / T(n) : T(0);
    const T mean_product = team.reduce(product_sum, Sum()) / T(n);
    for (int64_t i = team.rank(); i < n; i += team.size) {
      const T g = convert<T>(dy[first + i]) * weight[channel_in_group(first_channel, i, layout.run)];
      const T normal = (convert<T>(x[first + i]) - mean) * scale;
      dx[first + i] = convert<In>((g - mean_g - normal * mean_product) * scale);
    }
  }
}

// A block for the mean of each part of a channel, as its distance from the channel's first element, and Σ (x − mean)²:
// [2, parts, channels].
template <class In, class T> __global__ void measure_parts(Channels all, const In* x, T* moments) {
  for (int64_t block = blockIdx.x; block < all.blocks * all.parts; block += gridDim.x) {
    const Share my(all, block);
    const T count = T((my.end - all.first_row(my.part)) * my.run);
    const T origin = my.channel < my.channels ? convert<T>(x[my.channel * my.run]) : T(0);
    T sum = 0, squares = 0;
    for (int64_t row = my.row; row < my.end; row += my.row_step)
      for (int64_t at = my.first(row); at < my.last(row); at += my.step) sum += convert<T>(x[at]) - origin;
    const T mean = all.sum(sum) / count;
    for (int64_t row = my.row; row < my.end; row += my.row_step)
      for (int64_t at = my.first(row); at < my.last(row); at += my.step) {
        const T distance = convert<T>(x[at]) - origin - mean;
        squares += distance * distance;
      }
    squares = all.sum(squares);
    if (!my.writes()) continue;
    moments[my.part * my.channels + my.channel] = mean;
    moments[(all.parts + my.part) * my.channels + my.channel] = squares;
  }
}

// A thread for each channel, over its parts. Chan, Golub and LeVeque, 1979, as on the CPU.
template <class In, class T>
__global__ void merge_parts(Channels all, const In* x, const T* moments, T* means, T* variances) {
  for (int64_t channel = thread_in_grid(); channel < all.channels; channel += threads_in_grid()) {
    T count = 0, mean = 0, squares = 0;
    for (int64_t part = 0; part < all.parts; ++part) {
      const T n = T((all.first_row(part + 1) - all.first_row(part)) * all.run), share = n / (count + n);
      const T distance = moments[part * all.channels + channel] - mean;
      mean += distance * share;
      squares += moments[(all.parts + part) * all.channels + channel] + distance * distance * count * share;
      count += n;
    }
    means[channel] = convert<T>(x[channel * all.run]) + mean;
    variances[channel] = squares / count;
  }
}

template <class In, class T> __global__ void normalize_channels(Channels all, const In* x, const T* weight,
                                                                const T* bias, const T* means, const T* variances,
                                                                double eps, In* y) {
  for (int64_t block = blockIdx.x; block < all.blocks * all.parts; block += gridDim.x) {
    const Share my(all, block);
    if (my.channel >= my.channels) continue;
    const T mean = means[my.channel], factor = inverse_deviation(variances[my.channel], eps) * weight[my.channel];
    for (int64_t row = my.row; row < my.end; row += my.row_step)
      for (int64_t at = my.first(row); at < my.last(row); at += my.step)
        y[at] = convert<In>((convert<T>(x[at]) - mean) * factor + bias[my.channel]);
  }
}

// A block for Σ dy·x̂ and Σ dy of each part of a channel: [2, parts, channels].
template <class In, class T> __global__ void sum_parts(Channels all, NormLayout layout, const In* dy, const In* x,
                                                       const T* means, const T* variances, T* sums) {
  // The groups of a row; those of batch normalisation are the same in all rows.
  const int64_t groups_in_row = layout.outer > 1 ? 0 : all.channels * all.run / layout.inner;
  for (int64_t block = blockIdx.x; block < all.blocks * all.parts; block += gridDim.x) {
    const Share my(all, block);
    const int64_t first_group = my.channel * my.run / layout.inner;
    T sum = 0, product_sum = 0;
    for (int64_t row = my.row; row < my.end; row += my.row_step) {
      const int64_t group = row * groups_in_row + first_group;
      const T mean = means[group], scale = inverse_deviation(variances[group], layout.eps);
      for (int64_t at = my.first(row); at < my.last(row); at += my.step) {
        sum += convert<T>(dy[at]);
        product_sum += convert<T>(dy[at]) * (convert<T>(x[at]) - mean) * scale;
      }
    }
    sum = all.sum(sum);
    product_sum = all.sum(product_sum);
    if (!my.writes()) continue;
    sums[my.part * my.channels + my.channel] = product_sum;
    sums[(all.parts + my.part) * my.channels + my.channel] = sum;
  }
}

// Where a channel is a group, the sums for the gradient of x are those that the gradients of weight and bias are.
template <class In, class T>
__global__ void channel_gradients(Channels all, NormLayout layout, const In* dy, const In* x, const T* weight,
                                  const T* means, const T* variances, const T* dweight, const T* dbias, In* dx) {
  const T n = T(all.rows * all.run);
  for (int64_t block = blockIdx.x; block < all.blocks * all.parts; block += gridDim.x) {
    const Share my(all, block);
    if (my.channel >= my.channels) continue;
    const T mean = means[my.channel], scale = inverse_deviation(variances[my.channel], layout.eps);
    const T mean_dy = layout.given ? T(0) : dbias[my.channel] / n, factor = scale * weight[my.channel];
    const T mean_product = layout.given ? T(0) : dweight[my.channel] / n;
    for (int64_t row = my.row; row < my.end; row += my.row_step)
      for (int64_t at = my.first(row); at < my.last(row); at += my.step) {
        const T normal = (convert<T>(x[at]) - mean) * scale;
        dx[at] = convert<In>((convert<T>(dy[at]) - mean_dy - normal * mean_product) * factor);
      }
  }
}

bool is_in_pieces(const NormLayout& layout) { return layout.outer == 1 && !layout.given; }

template <class... Parameters, class... Arguments>
void launch_parts(const Channels& all, Device device, void (*kernel)(Parameters...), Arguments&&... arguments) {
  launch_blocks(all.blocks * all.parts, block_size, device, kernel, all, std::forward<Arguments>(arguments)...);
}

}  // namespace

void norm(const NormLayout& layout, const NormStatistics& statistics, const Tensor& x, const Tensor& weight,
          const Tensor& bias, const Tensor& y) {
  if (y.numel() == 0) return;
  const Tensor in = compact(x, y.dtype());
  const Device device = y.device();
  visit_floating(y.dtype(), [&]<class In, class T>() {
    const T *w = pointer<const T>(weight), *b = pointer<const T>(bias);
    T *means = pointer<T>(statistics.mean), *variances = pointer<T>(statistics.variance);
    if (is_in_pieces(layout))
      return launch_rows(layout.groups, layout.inner, device, normalize_groups<In, T>, layout, pointer<const In>(in), w,
                         b, means, variances, pointer<In>(y));
    const Channels all(layout, y.numel());
    if (!layout.given) {
      const Tensor moments = Tensor::empty({2, all.parts, all.channels}, dtype_of<T>(), device);
      launch_parts(all, device, measure_parts<In, T>, pointer<const In>(in), pointer<T>(moments));
      launch_for(all.channels, device, merge_parts<In, T>, all, pointer<const In>(in), pointer<const T>(moments), means,
                 variances);
    }
    launch_parts(all, device, normalize_channels<In, T>, pointer<const In>(in), w, b, means, variances, layout.eps,
                 pointer<In>(y));
  });
}

void norm_backward(const NormLayout& layout, const NormStatistics& statistics, const Tensor& dy, const Tensor& x,
                   const Tensor& weight, const Tensor& dx, const Tensor& dweight, const Tensor& dbias) {
  if (dx.numel() == 0) return fill(dweight, 0), fill(dbias, 0);
  const Tensor gradient = compact(dy, dx.dtype()), in = compact(x, dx.dtype());
  const Device device = dx.device();
  visit_floating(dx.dtype(), [&]<class In, class T>() {
    const In *upstream = pointer<const In>(gradient), *from = pointer<const In>(in);
    const T *w = pointer<const T>(weight), *means = pointer<const T>(statistics.mean);
    const T* variances = pointer<const T>(statistics.variance);
    const Channels all(layout, dx.numel());
    const Tensor sums = Tensor::empty({2, all.parts, all.channels}, dtype_of<T>(), device);
    launch_parts(all, device, sum_parts<In, T>, layout, upstream, from, means, variances, pointer<T>(sums));
    const Shape half{all.parts, all.channels};
    reduce(Reduction::sum, sums.alias(half, contiguous_strides(half), 0), 0b01, 1, dweight);
    reduce(Reduction::sum, sums.alias(half, contiguous_strides(half), half.numel()), 0b01, 1, dbias);
    if (is_in_pieces(layout))
      launch_rows(layout.groups, layout.inner, device, group_gradients<In, T>, layout, upstream, from, w, means,
                  variances, pointer<In>(dx));
    else
      launch_parts(all, device, channel_gradients<In, T>, layout, upstream, from, w, means, variances,
                   pointer<const T>(dweight), pointer<const T>(dbias), pointer<In>(dx));
  });
}

}  // namespace gradus::cuda
