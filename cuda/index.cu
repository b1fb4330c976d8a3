// Kernels that read or write where an index says. All of them move memory; their arithmetic costs nothing.

#include "core/cuda.h"
#include "cuda/device.h"
#include "cuda/reduce.h"
#include "cuda/view.h"

namespace gradus::cuda {
namespace {

// One thread for each place. Whichever comes first, the smallest position stays.
__global__ void find_outside(const int64_t* index, int64_t count, int64_t size, unsigned long long* first) {
  for (int64_t i = thread_in_grid(); i < count; i += threads_in_grid())
    if (index[i] < 0 || index[i] >= size) atomicMin(first, static_cast<unsigned long long>(i));
}

int64_t size_behind(const Shape& shape, int dim) {
  int64_t size = 1;
  for (int i = dim + 1; i < shape.dim(); ++i) size *= shape[i];
  return size;
}

}  // namespace

int64_t first_outside(const Tensor& index, int64_t size) {
  if (index.numel() == 0 || is_capturing()) return -1;  // a graph cannot wait for the answer
  const Tensor first = Tensor::empty({}, int64, index.device());
  fill(first, -1);  // all bits set: without its sign it is the largest number, and with it says that there is none
  launch_for(index.numel(), index.device(), find_outside, pointer<int64_t>(index), index.numel(), size,
             pointer<unsigned long long>(first));
  return first.item<int64_t>();
}

namespace {

// One thread for each element of y; neighbours read neighbours, as far as a slice goes.
template <class T> __global__ void take_slices(const T* x, int64_t size, int64_t inner, const int64_t* index,
                                               int64_t count, int64_t elements, T* y) {
  for (int64_t i = thread_in_grid(); i < elements; i += threads_in_grid()) {
    const int64_t row = i / inner, outer = row / count;
    y[i] = x[(outer * size + index[row % count]) * inner + i % inner];
  }
}

constexpr int warps = 8;  // of a block of sum_slices

// One block for each slice of y and 32 of its columns, which are all that lies before and behind dimension `dim`: one
// column for each lane. The warps look for the slice in the index, each in every eighth piece of 32 places: a vote
// shows which of them name it. Lastly the sums of the warps are added. The order of every sum is thus fixed, and no two
// threads add to the same element.
//
// Each element of x is read once, each of y once read and written. On top, every block reads the whole index:
// size · columns/32 · places/32 votes, 0.1 million for 65 slices of 128 and 16,384 places, which is nothing, but 300
// million, some milliseconds, for 50,000 slices of 768 and 8192 places.
template <class T> __global__ void sum_slices(const T* x, int64_t columns, int64_t inner, const int64_t* index,
                                              int64_t count, int64_t size, T* y) {
  __shared__ T of_warp[warps][32];
  const int warp = int(threadIdx.x / 32);
  const int64_t pieces = (columns + 31) / 32;
  for (int64_t block = blockIdx.x; block < size * pieces; block += gridDim.x) {
    const int64_t slice = block / pieces, column = block % pieces * 32 + lane();
    const int64_t outer = column / inner, within = column % inner;
    const T* from = x + outer * count * inner + within;
    T sum = 0;
    for (int64_t begin = warp * 32; begin < count; begin += warps * 32) {
      const bool named = begin + lane() < count && index[begin + lane()] == slice;
      // From the lowest bit to the highest: found & (found - 1) is without its lowest.
      for (unsigned found = __ballot_sync(all_lanes, named); found != 0; found &= found - 1)
        if (column < columns) sum += from[(begin + __ffs(int(found)) - 1) * inner];
    }
    of_warp[warp][lane()] = sum;
    __syncthreads();
    if (warp == 0 && column < columns) {
      for (int w = 1; w < warps; ++w) sum += of_warp[w][lane()];
      y[(outer * size + slice) * inner + within] += sum;
    }
    __syncthreads();  // before the sums are overwritten
  }
}

template <class F> void with_summable_type(Dtype dtype, F&& run) {
  if (dtype == float32) return run.template operator()<float>();
  if (dtype == float64) return run.template operator()<double>();
  run.template operator()<int64_t>();
}

}  // namespace

void select_slices(const Tensor& x, int dim, const Tensor& index, const Tensor& y) {
  visit(x.dtype(), [&]<class T>() {
    launch_for(y.numel(), y.device(), take_slices<T>, pointer<T>(x), x.shape()[dim], size_behind(x.shape(), dim),
               pointer<int64_t>(index), index.numel(), y.numel(), pointer<T>(y));
  });
}

void add_slices(const Tensor& x, int dim, const Tensor& index, const Tensor& y) {
  if (x.numel() == 0) return;
  const int64_t size = y.shape()[dim], columns = y.numel() / size;
  with_summable_type(x.dtype(), [&]<class T>() {
    launch_blocks(size * ((columns + 31) / 32), warps * 32, y.device(), sum_slices<T>, pointer<T>(x), columns,
                  size_behind(y.shape(), dim), pointer<int64_t>(index), index.numel(), size, pointer<T>(y));
  });
}

namespace {

// One thread for each place of the index; `origin` says where the element with its coordinates, but 0 in dimension
// `dim`, lies in x.
template <class T>
__global__ void take_elements(const T* x, Layout origin, int64_t stride, const int64_t* index, int64_t count, T* y) {
  for (int64_t i = thread_in_grid(); i < count; i += threads_in_grid()) y[i] = x[origin(i) + index[i] * stride];
}

// One warp for each line of x along dimension `dim`, 32 elements at a time, since only places of one line can share an
// element of y. Of lanes that do, each waits until those below it have added theirs: every sum is made in the order of
// the line, as on the CPU. A line's elements lie `inner` apart in x and in the index.
template <class T> __global__ void sum_elements(const T* x, int64_t lines, int64_t length, int64_t inner,
                                                const int64_t* index, Layout origin, int64_t stride, T* y) {
  for (int64_t line = warp_in_grid(); line < lines; line += warps_in_grid()) {
    const int64_t first = line / inner * inner * length + line % inner;
    T* const to = y + origin(line);
    for (int64_t begin = 0; begin < length; begin += 32) {
      const bool exists = begin + lane() < length;
      const int64_t from = first + (begin + lane()) * inner;
      const int64_t place = exists ? index[from] : -1 - lane();  // one that no other lane has
      const unsigned below = (1u << lane()) - 1;
      const int turn = __popc(__match_any_sync(all_lanes, place) & below);
      for (int now = 0; __any_sync(all_lanes, turn >= now); ++now) {
        if (exists && turn == now) to[place * stride] += x[from];
        __syncwarp();
      }
    }
  }
}

}  // namespace

void select_elements(const Tensor& x, int dim, const Tensor& index, const Tensor& y) {
  Strides strides = x.strides();
  strides[dim] = 0;
  visit(x.dtype(), [&]<class T>() {
    launch_for(y.numel(), y.device(), take_elements<T>, pointer<T>(x), Layout(index.shape(), strides), x.strides()[dim],
               pointer<int64_t>(index), y.numel(), pointer<T>(y));
  });
}

void add_elements(const Tensor& x, int dim, const Tensor& index, const Tensor& y) {
  if (index.numel() == 0) return;
  Shape shape = index.shape();
  Strides strides = y.strides();
  shape.erase(dim);
  strides.erase(dim);
  const int64_t lines = shape.numel(), length = index.shape()[dim];
  with_summable_type(x.dtype(), [&]<class T>() {
    launch_for(lines * 32, y.device(), sum_elements<T>, pointer<T>(x), lines, length, size_behind(index.shape(), dim),
               pointer<int64_t>(index), Layout(shape, strides), y.strides()[dim], pointer<T>(y));
  });
}

void copy_slices(const Tensor& x, int dim, const Tensor& y, int64_t start) {
  copy(x, y.alias(x.shape(), y.strides(), y.offset() + start * size_behind(y.shape(), dim)));
}

}  // namespace gradus::cuda
