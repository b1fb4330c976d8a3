// Copies between layouts and dtypes.

#include "cuda/device.h"
#include "cuda/kernels.h"
#include "cuda/view.h"

namespace gradus::cuda {
namespace {

template <class T> __global__ void copy_elements(int64_t count, Source from, Target to) {
  for (int64_t i = thread_in_grid(); i < count; i += threads_in_grid()) to.store(i, from.load<T>(i));
}

// Elements [outer, rows, between, columns] whose neighbours in memory are columns in one tensor and rows in the other.
struct Transposition {
  int64_t outer = 1, rows = 1, between = 1, columns = 1;

  // Rows are the dimension in which `from` has no gaps; none, so that there is 1 row, if that is the last one.
  explicit Transposition(const Tensor& from) {
    for (int i = 0; i < from.dim(); ++i) {
      const int64_t size = from.shape()[i];
      if (i == from.dim() - 1) columns = size;
      else if (rows > 1) between *= size;
      else if (from.strides()[i] == 1) rows = size;
      else outer *= size;
    }
  }
  __host__ __device__ int64_t tiles_down() const { return (rows + 31) / 32; }
  __host__ __device__ int64_t tiles_across() const { return (columns + 31) / 32; }
  __host__ __device__ int64_t tiles() const { return outer * between * tiles_down() * tiles_across(); }
};

// A block of 256 threads for each tile of 32 x 32 elements; no memory has more of them than a grid may have blocks. A
// tile goes by way of shared memory: lanes load along rows and store along columns.
template <class T> __global__ void __launch_bounds__(256, 4) copy_tiles(Transposition shape, Source from, Target to) {
  __shared__ T tile[32][33];
  const int64_t across = shape.tiles_across(), down = shape.tiles_down(), matrix = blockIdx.x / (across * down);
  const int64_t column = blockIdx.x % across * 32, row = blockIdx.x / across % down * 32;
  const int64_t step = shape.between * shape.columns;  // from a row to the next one
  const int64_t first =
      (matrix / shape.between * shape.rows + row) * step + matrix % shape.between * shape.columns + column;
  for (int i = int(threadIdx.x / 32); i < 32; i += 8)
    if (row + lane() < shape.rows && column + i < shape.columns)
      tile[i][lane()] = from.load<T>(first + lane() * step + i);
  __syncthreads();
  for (int i = int(threadIdx.x / 32); i < 32; i += 8)
    if (row + i < shape.rows && column + lane() < shape.columns) to.store(first + i * step + lane(), tile[lane()][i]);
}

template <class T> void copy_by(const Tensor& from, const Tensor& to) {
  const Transposition shape(from);
  constexpr int64_t least = 16;  // rows and columns that make it worth while
  if (shape.rows >= least && shape.columns >= least && to.strides().back() == 1)
    launch_blocks(shape.tiles(), 256, to.device(), copy_tiles<T>, shape, Source(from), Target(to));
  else launch_for(from.numel(), to.device(), copy_elements<T>, from.numel(), Source(from), Target(to));
}

template <class T> __global__ void fill_elements(int64_t count, T value, Target to) {
  for (int64_t i = thread_in_grid(); i < count; i += threads_in_grid()) to.store(i, value);
}

}  // namespace

void copy(const Tensor& from, const Tensor& to) {
  const int64_t count = from.numel();
  if (count == 0) return;
  if (from.dtype() == to.dtype() && from.is_contiguous() && to.is_contiguous()) {
    const size_t item = item_size(from.dtype());
    void* target = static_cast<std::byte*>(to.storage()->data()) + size_t(to.offset()) * item;
    const void* source = static_cast<const std::byte*>(from.storage()->data()) + size_t(from.offset()) * item;
    const DeviceGuard guard(to.device());
    return check(cudaMemcpyAsync(target, source, size_t(count) * item, cudaMemcpyDeviceToDevice, cudaStreamPerThread),
                 "cudaMemcpyAsync");
  }
  // By way of a type that holds both: as on the CPU.
  const Dtype wider = promote(from.dtype(), to.dtype());
  const bool has_integers = from.dtype() == int64 || to.dtype() == int64;
  if (wider == float64 || (is_floating_point(wider) && has_integers)) copy_by<double>(from, to);
  else if (is_floating_point(wider)) copy_by<float>(from, to);
  else copy_by<int64_t>(from, to);
}

void fill(const Tensor& y, double value) {
  if (y.dtype() == int64)
    launch_for(y.numel(), y.device(), fill_elements<int64_t>, y.numel(), convert<int64_t>(value), Target(y));
  else launch_for(y.numel(), y.device(), fill_elements<double>, y.numel(), value, Target(y));
}

}  // namespace gradus::cuda
