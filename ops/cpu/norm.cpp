#include "ops/cpu/kernels.h"
#include "ops/cpu/parallel.h"
#include "ops/cpu/writer.h"

namespace gradus::cpu {
namespace {

constexpr int64_t strip = 64;  // columns that are worked on together where each is a group of its own
template <class T> using Lanes = Eigen::Array<T, Eigen::Dynamic, 1, 0, strip, 1>;

// What a group shares is a number, V = double; what the groups of a strip share is a number each, V = Lanes<double>.
template <class V> constexpr bool is_number = std::is_same_v<V, double>;

template <class V> V zero(int64_t width) {
  if constexpr (is_number<V>) return 0;
  else return V::Zero(width);
}
template <class V> V load(const auto* values, int64_t width) {
  if constexpr (is_number<V>) return *values;
  else return In<std::remove_cvref_t<decltype(*values)>>(values, width).template cast<double>();
}
template <class T, class V> auto as(const V& v) {
  if constexpr (is_number<V>) return T(v);
  else return Lanes<T>(v.template cast<T>());
}
template <class V, class T> void store(const V& v, T* to, int64_t width) {
  if constexpr (is_number<V>) *to = T(v);
  else Out<T>(to, width) = v.template cast<T>();
}
// The sum of a row of elements, or the row itself, to be summed with others.
template <class V, class E> V fold(const E& row) {
  if constexpr (is_number<V>) return double(row.sum());
  else return row.template cast<double>();
}

// A group, or a strip of them: rows of `width` elements that lie `stride` apart, of which the first is element `first`.
struct Part {
  int64_t first, width, rows, stride;
};

// Chan, Golub and LeVeque, "Updating formulae and a pairwise algorithm for computing sample variances", 1979.
template <class V> struct Moments {
  V mean, squares;  // Σ (x − mean)²
  double count = 0;
  void add(double n, const V& other_mean, const V& other_squares) {
    const V distance = other_mean - mean;
    mean += distance * (n / (count + n));
    squares += other_squares + distance * distance * (count * n / (count + n));
    count += n;
  }
};

template <class V, class T> Moments<V> moments(const Part& part, bool center, const T* x) {
  const int64_t piece = std::min(part.width, chunk), together = chunk / piece;
  Moments<V> all{zero<V>(part.width), zero<V>(part.width)};
  for (int64_t row = 0; row < part.rows; row += together)
    for (int64_t i = 0; i < part.width; i += piece) {
      const int64_t rows = std::min(together, part.rows - row), length = std::min(piece, part.width - i);
      const auto total = [&](auto f) {
        V sum = zero<V>(part.width);
        for (int64_t r = row; r < row + rows; ++r)
          sum += fold<V>(f(In<T>(x + part.first + r * part.stride + i, length)));
        return sum;
      };
      const double n = double(is_number<V> ? rows * length : rows);
      V mean = zero<V>(part.width);
      if (center) {
        // One number's distances from another of its group are small, so that their sum is more exact in T.
        const T origin = is_number<V> ? x[part.first + row * part.stride + i] : T(0);
        mean = total([&](const In<T>& values) { return values - origin; }) / n + double(origin);
      }
      // What comes next is asked for now: this piece is in the cache, and the memory would have nothing to do.
      if (part.rows == 1) prefetch(x + part.first + i + length, length);
      const auto middle = as<T>(mean);
      all.add(n, mean, total([&](const In<T>& values) { return (values - middle).square(); }));
    }
  return all;
}

// Calls f(i, length, channel) for the pieces of a row that have one channel, or a channel each where those alternate.
template <class F> void for_channels(const NormLayout& layout, const Part& part, F&& f) {
  const int64_t length = layout.run == 1 ? part.width : layout.run;
  for (int64_t i = 0; i < part.width; i += length) f(i, length, (part.first + i) / layout.run % layout.channels);
}

// The numbers of a piece's channels: an array if they alternate.
template <bool alternate, class T> auto channel_values(const T* values, int64_t channel, int64_t length) {
  if constexpr (alternate) return In<T>(values + channel, length);
  else return values[channel];
}

// Of a row whose elements have a channel each: adds dy to sum_1 and dy·x̂ to sum_x; returns Σ g and Σ g·x̂, where
// g = dy·weight. One pass, where Eigen would take four.
template <class T, class E>
std::array<T, 2> sum_row(const In<T>& dy, const E& x_hat, const In<T>& weight, T* sum_1, T* sum_x) {
  constexpr int width = 64 / sizeof(T);
  Eigen::Array<T, width, 1> total_1 = decltype(total_1)::Zero(), total_x = total_1;
  const auto take = [&]<int n>(int64_t i, std::integral_constant<int, n>) {
    using Vector = Eigen::Array<T, n, 1>;
    const Vector d = dy.template segment<n>(i), x = x_hat.template segment<n>(i), g = d * weight.template segment<n>(i);
    Eigen::Map<Vector>(sum_1 + i) += d;
    Eigen::Map<Vector>(sum_x + i) += d * x;
    total_1.template head<n>() += g;
    total_x.template head<n>() += g * x;
  };
  int64_t i = 0;
  for (; i + width <= dy.size(); i += width) take(i, std::integral_constant<int, width>());
  for (; i < dy.size(); ++i) take(i, std::integral_constant<int, 1>());
  return {total_1.sum(), total_x.sum()};
}

// Whether each column of a matrix is a group and a channel of its own.
bool in_strips(const NormLayout& layout) { return layout.inner == 1 && layout.groups == layout.channels; }

int64_t part_count(const NormLayout& layout) {
  if (layout.outer == 0 || layout.inner == 0) return 0;
  return in_strips(layout) ? divide_up(layout.groups, strip) : layout.groups;
}

// Calls f.operator()<V, alternate>(part, its first group) for parts [begin, end).
template <class F> void for_parts(const NormLayout& layout, int64_t begin, int64_t end, F&& f) {
  const int64_t stride = layout.groups * layout.inner;
  for (int64_t p = begin; p < end; ++p) {
    if (in_strips(layout)) {
      const Part part{p * strip, std::min(strip, layout.groups - p * strip), layout.outer, stride};
      f.template operator()<Lanes<double>, true>(part, part.first);
    } else {
      const Part part{p * layout.inner, layout.inner, layout.outer, stride};
      if (layout.run == 1) f.template operator()<double, true>(part, p);
      else f.template operator()<double, false>(part, p);
    }
  }
}

template <class V> V inverse_deviation(const V& variance, double eps) {
  using std::sqrt;
  return 1 / sqrt(variance + eps);
}

}  // namespace

void norm(const NormLayout& layout, const NormStatistics& statistics, const Tensor& input, const Tensor& weight,
          const Tensor& bias, const Tensor& y) {
  compute_in_float(y, [&]<class T>(const Tensor& result) {
    const Tensor values = compact(input, result.dtype());
    const T *x = pointer<const T>(values), *w = pointer<const T>(weight), *b = pointer<const T>(bias);
    T *mean = pointer<T>(statistics.mean), *variance = pointer<T>(statistics.variance);
    const int64_t parts = part_count(layout);
    parallel_for(parts, std::max<int64_t>(1, parts * parallel_grain / std::max<int64_t>(values.numel(), 1)),
                 [&](int64_t begin, int64_t end) {
                   const Writer<T> writer(result);
                   for_parts(layout, begin, end, [&]<class V, bool alternate>(const Part& part, int64_t group) {
                     if (!layout.given) {
                       const Moments<V> all = moments<V>(part, layout.center, x);
                       store(all.mean, mean + group, part.width);
                       store(V(all.squares / all.count), variance + group, part.width);
                     }
                     const auto middle = as<T>(load<V>(mean + group, part.width));
                     const auto scale = as<T>(inverse_deviation(load<V>(variance + group, part.width), layout.eps));
                     for (int64_t row = 0; row < part.rows; ++row)
                       for_channels(layout, part, [&](int64_t i, int64_t length, int64_t channel) {
                         const int64_t at = part.first + row * part.stride + i;
                         const auto factor = channel_values<alternate>(w, channel, length);
                         const auto offset = channel_values<alternate>(b, channel, length);
                         writer.write((In<T>(x + at, length) - middle) * (scale * factor) + offset, at, length);
                       });
                   });
                 });
  });
}

void norm_backward(const NormLayout& layout, const NormStatistics& statistics, const Tensor& grad_output,
                   const Tensor& input, const Tensor& weight, const Tensor& dx, const Tensor& dweight,
                   const Tensor& dbias) {
  compute_in_float(dx, [&]<class T>(const Tensor& result) {
    const Tensor values = compact(input, result.dtype()), gradient = compact(grad_output, result.dtype());
    const T *x = pointer<const T>(values), *upstream = pointer<const T>(gradient), *w = pointer<const T>(weight);
    const T *mean = pointer<const T>(statistics.mean), *variance = pointer<const T>(statistics.variance);
    const double n = double(layout.outer * layout.inner);
    // Sums over channels are taken block by block, and then over the blocks, whose number does not depend on threads.
    const int64_t parts = part_count(layout), channels = layout.channels;
    const int64_t blocks = std::clamp<int64_t>(values.numel() / parallel_grain, 1, std::clamp<int64_t>(parts, 1, 64));
    const Tensor sums = Tensor::empty({blocks, 2, channels}, result.dtype());
    parallel_for(blocks, 1, [&](int64_t begin, int64_t end) {
      const Writer<T> writer(result);
      for (int64_t block = begin; block < end; ++block) {
        T *sum_x = pointer<T>(sums) + block * 2 * channels, *sum_1 = sum_x + channels;
        Out<T>(sum_x, 2 * channels).setZero();
        for_parts(
            layout, parts * block / blocks, parts * (block + 1) / blocks,
            [&]<class V, bool alternate>(const Part& part, int64_t group) {
              const V deviation = inverse_deviation(load<V>(variance + group, part.width), layout.eps);
              const auto middle = as<T>(load<V>(mean + group, part.width));
              const auto scale = as<T>(deviation);
              V total_1 = zero<V>(part.width), total_x = total_1;  // Σ g and Σ g·x̂, where g = dy·weight
              const auto for_pieces = [&](auto&& f) {
                for (int64_t row = 0; row < part.rows; ++row)
                  for_channels(layout, part, [&](int64_t i, int64_t length, int64_t channel) {
                    const int64_t at = part.first + row * part.stride + i;
                    f(at, channel, In<T>(upstream + at, length), In<T>(x + at, length) - middle,
                      channel_values<alternate>(w, channel, length));
                  });
              };
              for_pieces([&](int64_t, int64_t channel, const In<T>& dy, const auto& centered, const auto& factor) {
                if constexpr (alternate && is_number<V>) {
                  const auto [of_1, of_x] = sum_row<T>(dy, centered * scale, factor, sum_1 + channel, sum_x + channel);
                  total_1 += double(of_1);
                  total_x += double(of_x);
                } else if constexpr (alternate) {
                  Out<T>(sum_1 + channel, dy.size()) += dy;
                  Out<T>(sum_x + channel, dy.size()) += dy * centered * scale;
                  total_1 += fold<V>(dy * factor);
                  total_x += fold<V>(dy * factor * centered * scale);
                } else {
                  const double of_1 = double(dy.sum()), of_x = double((dy * centered).sum()) * deviation;
                  sum_1[channel] += T(of_1);
                  sum_x[channel] += T(of_x);
                  total_1 += of_1 * factor;
                  total_x += of_x * factor;
                }
              });
              if (layout.given || !layout.center) total_1 = zero<V>(part.width);
              if (layout.given) total_x = zero<V>(part.width);
              const auto shift = as<T>(V(total_1 * deviation / n));
              const auto slope = as<T>(V(total_x * deviation * deviation / n));
              for_pieces([&](int64_t at, int64_t, const In<T>& dy, const auto& centered, const auto& factor) {
                writer.write(dy * (scale * factor) - centered * slope - shift, at, dy.size());
              });
            });
      }
    });
    Out<T> weight_gradient(pointer<T>(dweight), channels), bias_gradient(pointer<T>(dbias), channels);
    weight_gradient.setZero();
    bias_gradient.setZero();
    for (int64_t block = 0; block < blocks; ++block) {
      weight_gradient += In<T>(pointer<const T>(sums) + block * 2 * channels, channels);
      bias_gradient += In<T>(pointer<const T>(sums) + (block * 2 + 1) * channels, channels);
    }
  });
}

}  // namespace gradus::cpu
