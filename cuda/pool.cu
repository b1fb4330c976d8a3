// Pooling and interpolation: each pixel of a result is made of a few rows and columns of its image, given by Taps.

#include "core/constant.h"
#include "cuda/device.h"
#include "cuda/view.h"

namespace gradus::cuda {
namespace {

// Taps without their weights, in the memory of the device.
struct Axis {
  int64_t inputs, outputs;
  const int64_t *start, *index;

  Axis(const Taps& taps, const int64_t* memory)
      : inputs(taps.inputs), outputs(taps.outputs()), start(memory), index(memory + taps.start.size()) {}
};

// Vectors behind each other on the device.
template <class T, class... Vector> Tensor joined_on(Device device, const Vector&... vectors) {
  std::vector<double> all;
  (all.insert(all.end(), vectors.begin(), vectors.end()), ...);
  const char* what = std::is_same_v<T, float> ? "float32 taps" : std::is_same_v<T, double> ? "float64 taps" : "taps";
  return constant(what, all, device, [&] { return tensor(std::vector<T>(all.begin(), all.end())); });
}

Tensor places_on(Device device, const Taps& rows, const Taps& columns) {
  return joined_on<int64_t>(device, rows.start, rows.index, columns.start, columns.index);
}

// One thread for each pixel of the results: a sum over its rows of sums over its columns. Two FLOPs for each input, of
// which neighbours share most: the images come from memory once, and then from the cache.
template <class T> __global__ void resample_images(Axis rows, Axis columns, const T* row_weight, const T* column_weight,
                                                   Source x, int64_t pixels, Target y) {
  for (int64_t i = thread_in_grid(); i < pixels; i += threads_in_grid()) {
    const int64_t column = i % columns.outputs, line = i / columns.outputs;
    const int64_t row = line % rows.outputs, image = line / rows.outputs;
    T sum = 0;
    for (int64_t r = rows.start[row]; r < rows.start[row + 1]; ++r) {
      const int64_t begin = (image * rows.inputs + rows.index[r]) * columns.inputs;
      T of_row = 0;
      for (int64_t c = columns.start[column]; c < columns.start[column + 1]; ++c)
        of_row += column_weight[c] * x.load<T>(begin + columns.index[c]);
      sum += row_weight[r] * of_row;
    }
    y.store(i, sum);
  }
}

// The same with the first of the largest inputs, row by row.
template <class T>
__global__ void max_pool_images(Axis rows, Axis columns, Source x, int64_t pixels, Target y, int64_t* index) {
  for (int64_t i = thread_in_grid(); i < pixels; i += threads_in_grid()) {
    const int64_t column = i % columns.outputs, line = i / columns.outputs;
    const int64_t row = line % rows.outputs, image = line / rows.outputs * rows.inputs * columns.inputs;
    T largest = 0;
    int64_t place = -1;
    for (int64_t r = rows.start[row]; r < rows.start[row + 1]; ++r)
      for (int64_t c = columns.start[column]; c < columns.start[column + 1]; ++c) {
        const int64_t at = rows.index[r] * columns.inputs + columns.index[c];
        const T value = x.load<T>(image + at);
        const bool is_first_nan = value != value && largest == largest;
        if (place < 0 || value > largest || is_first_nan) largest = value, place = at;
      }
    y.store(i, largest);
    index[i] = place;
  }
}

}  // namespace

void resample(const Taps& rows, const Taps& columns, const Tensor& x, const Tensor& y) {
  if (y.numel() == 0) return;
  const Tensor images = compact(x), places = places_on(y.device(), rows, columns);
  const Axis row_axis(rows, pointer<int64_t>(places));
  const Axis column_axis(columns, row_axis.index + rows.index.size());
  const auto run = [&]<class T>(T) {
    const Tensor weights = joined_on<T>(y.device(), rows.weight, columns.weight);
    const T* weight = pointer<T>(weights);
    launch_for(y.numel(), y.device(), resample_images<T>, row_axis, column_axis, weight, weight + rows.weight.size(),
               Source(images), y.numel(), Target(y));
  };
  if (y.dtype() == float64) run(double());
  else run(float());
}

void max_pool(const Taps& rows, const Taps& columns, const Tensor& x, const Tensor& y, const Tensor& index) {
  if (y.numel() == 0) return;
  const Tensor images = compact(x), places = places_on(y.device(), rows, columns);
  const Axis row_axis(rows, pointer<int64_t>(places));
  const Axis column_axis(columns, row_axis.index + rows.index.size());
  const auto kernel = y.dtype() == float64 ? max_pool_images<double> : max_pool_images<float>;
  launch_for(y.numel(), y.device(), kernel, row_axis, column_axis, Source(images), y.numel(), Target(y),
             pointer<int64_t>(index));
}

}  // namespace gradus::cuda
