#include "ops/cpu/eigen.h"
#include "ops/cpu/gather.h"
#include "ops/cpu/kernels.h"
#include "ops/cpu/parallel.h"
#include "ops/cpu/product.h"
#include "ops/cpu/winograd.h"

// Each kernel is a product with the matrix of columns: column p lists the inputs under the kernel when it stands at
// output pixel p ("im2col"; Chellapilla et al., "High performance convolutional neural networks for document
// processing", 2006). The matrix is made a tile at a time, small enough to stay in the cache. Most kernels of 3x3
// numbers are left to winograd.cpp, for which this is the reference.
namespace gradus::cpu {
namespace {

constexpr int64_t vector = 16;          // rows are copied so many elements at a time, also a little beyond their end
constexpr int64_t tile_size = 1 << 16;  // elements of the matrix of columns that are made at a time

template <class T> bool use_winograd(const ConvGeometry& geometry) {
  return std::is_same_v<T, float> && winograd::pays(geometry);
}

// Output pixels that lie in memory one after the other: some rows, or a part of one.
struct Tile {
  int64_t row, rows, column, columns, start, pixels;
};

// An item is one group of one image. Channels and outputs are those of a group; taps are the inputs of one output.
struct Plan : ConvGeometry {
  int64_t channels = weight[1], height = x[2], width = x[3];
  int64_t outputs = weight[0] / groups, out_height = y[2], out_width = y[3], pixels = out_height * out_width;
  int64_t kernel_height = weight[2], kernel_width = weight[3], taps = channels * kernel_height * kernel_width;
  int64_t items = x[0] * groups;
  // What the kernel reaches: the image with its padding.
  int64_t padded_height = (out_height - 1) * stride.height + (kernel_height - 1) * dilation.height + 1;
  int64_t padded_width = (out_width - 1) * stride.width + (kernel_width - 1) * dilation.width + 1;
  // The matrix of columns is the image itself.
  bool pointwise = kernel_height * kernel_width == 1 && stride == Size2d(1) && out_height == height &&
                   out_width == width && padding == Size2d(0);
  int64_t tile_rows, tile_columns, tiles_across, tiles;

  explicit Plan(const ConvGeometry& geometry) : ConvGeometry(geometry) {
    const int64_t most = std::max<int64_t>(64, tile_size / std::max<int64_t>(1, taps));
    const int64_t rows = std::max<int64_t>(1, most / out_width), columns = std::min(most, out_width);
    tile_rows = divide_up(out_height, divide_up(out_height, rows));
    tile_columns = divide_up(out_width, divide_up(out_width, columns));
    tiles_across = divide_up(out_width, tile_columns);
    tiles = divide_up(out_height, tile_rows) * tiles_across;
  }

  Tile tile(int64_t i) const {
    const int64_t row = i / tiles_across * tile_rows, column = i % tiles_across * tile_columns;
    const int64_t rows = std::min(tile_rows, out_height - row), columns = std::min(tile_columns, out_width - column);
    return {row, rows, column, columns, row * out_width + column, rows * columns};
  }
  int64_t padded_size() const { return pointwise ? 0 : with_overrun(channels * padded_height * padded_width); }
  int64_t scratch_size() const { return pointwise ? 0 : padded_size() + with_overrun(taps * tile_rows * tile_columns); }
  static int64_t with_overrun(int64_t n) { return divide_up(n, vector) * vector + vector; }

  // The part of one item's outputs, gradients or weights; [outputs, pixels of the tile] or [outputs, taps].
  template <class T> T* output(T* values, int64_t item, const Tile& t) const {
    return values + item * outputs * pixels + t.start;
  }
  template <class T> MatrixView<T> weights(const T* values, int64_t item) const {
    return {values + item % groups * outputs * taps, taps, 1};
  }
};

// Calls body(begin, end, memory) for parts of [0, n), one a thread, each with `scratch` elements of its own.
template <class T, class F> void for_parts(const Plan& plan, int64_t n, int64_t scratch, F&& body) {
  const double work = double(plan.items) * double(plan.outputs * plan.taps) * double(plan.pixels);
  const int64_t most = std::min<int64_t>(n, omp_in_parallel() ? 1 : omp_get_max_threads());
  const int64_t parts = std::max<int64_t>(1, std::min(most, int64_t(work / product_grain)));
  const Tensor memory = Tensor::empty({parts, scratch}, dtype_of<T>());
  parallel_for(parts, 1, [&](int64_t first, int64_t last) {
    for (int64_t i = first; i < last; ++i) body(i * n / parts, (i + 1) * n / parts, pointer<T>(memory) + i * scratch);
  });
}

// Calls row(x, padded, n) for the runs of n pixels of an item that lie in its padded image, too.
template <class F> void for_image_rows(const Plan& p, F&& row) {
  const int64_t top = p.padding.height, left = p.padding.width, n = std::min(p.width, p.padded_width - left);
  for (int64_t c = 0; c < p.channels; ++c)
    for (int64_t i = 0; i < std::min(p.height, p.padded_height - top); ++i)
      row((c * p.height + i) * p.width, (c * p.padded_height + i + top) * p.padded_width + left, n);
}

// Calls row(column, padded) for each row of a tile and each tap: where it begins in the matrix of columns, and where
// its first pixel lies in the padded image.
template <class F> void for_tile_rows(const Plan& p, const Tile& t, F&& row) {
  int64_t column = 0;
  for (int64_t c = 0; c < p.channels; ++c)
    for (int64_t a = 0; a < p.kernel_height; ++a)
      for (int64_t b = 0; b < p.kernel_width; ++b)
        for (int64_t i = t.row; i < t.row + t.rows; ++i, column += t.columns)
          row(column, (c * p.padded_height + i * p.stride.height + a * p.dilation.height) * p.padded_width +
                          t.column * p.stride.width + b * p.dilation.width);
}

template <class T> void copy_row(const T* from, int64_t step, int64_t n, T* to) {
  using Vector = Eigen::Array<T, vector, 1>;
  if (step == 1)
    for (int64_t i = 0; i < n; i += vector) Eigen::Map<Vector>(to + i) = Eigen::Map<const Vector>(from + i);
  else
    for (int64_t i = 0; i < n; ++i) to[i] = from[i * step];
}

template <class T> void add_row(const T* from, int64_t n, T* to, int64_t step) {
  if (step == 1)
    for (int64_t i = 0; i < n; ++i) to[i] += from[i];
  else
    for (int64_t i = 0; i < n; ++i) to[i * step] += from[i];
}

// Makes the matrices of columns [taps, pixels] of tiles.
template <class T> class Columns {
 public:
  Columns(const Plan& plan, const T* x, T* memory)
      : plan_(plan), x_(x), padded_(memory), columns_(memory + plan.padded_size()) {
    std::fill_n(padded_, plan.padded_size(), T(0));
  }

  MatrixView<T> of(int64_t item, const Tile& tile) {
    const T* image = x_ + item * plan_.channels * plan_.height * plan_.width;
    if (plan_.pointwise) return {image + tile.start, plan_.pixels, 1};
    if (item != padded_item_)
      for_image_rows(plan_, [&](int64_t from, int64_t to, int64_t n) { std::copy_n(image + from, n, padded_ + to); });
    padded_item_ = item;
    for_tile_rows(plan_, tile, [&](int64_t to, int64_t from) {
      copy_row(padded_ + from, plan_.stride.width, tile.columns, columns_ + to);
    });
    return {columns_, tile.pixels, 1};
  }

 private:
  const Plan& plan_;
  const T* x_;
  T *padded_, *columns_;
  int64_t padded_item_ = -1;
};

}  // namespace

void conv(const ConvGeometry& geometry, const Tensor& x, const Tensor& weight, const Tensor& bias, bool relu,
          const Tensor& y) {
  if (y.numel() == 0) return;
  compute_in_float(y, [&]<class T>(const Tensor& result) {
    const Plan plan(geometry);
    const Tensor input = compact(x, dtype_of<T>()), w = compact(weight, dtype_of<T>());
    const Tensor b = bias.defined() ? compact(bias, dtype_of<T>()) : Tensor();
    if (use_winograd<T>(geometry)) return winograd::conv(geometry, input, w, b, relu, result);
    const int64_t most_pixels = plan.tile_rows * plan.tile_columns;
    const int64_t biases = b.defined() ? plan.outputs * most_pixels : 0;  // each repeated along a row
    const int64_t scratch = plan.scratch_size() + biases;
    for_parts<T>(plan, plan.items * plan.tiles, scratch, [&](int64_t begin, int64_t end, T* memory) {
      Columns<T> columns(plan, pointer<T>(input), memory);
      T* added = memory + plan.scratch_size();
      int64_t filled = -1;  // the group whose biases are there
      for (int64_t i = begin; i < end; ++i) {
        const int64_t item = i / plan.tiles, group = item % plan.groups;
        const Tile tile = plan.tile(i % plan.tiles);
        T* out = plan.output(pointer<T>(result), item, tile);
        for (int64_t k = 0; biases && group != filled && k < plan.outputs; ++k)
          std::fill_n(added + k * most_pixels, most_pixels, pointer<T>(b)[group * plan.outputs + k]);
        filled = group;
        product(plan.outputs, tile.pixels, plan.taps, plan.weights(pointer<const T>(w), item), columns.of(item, tile),
                biases ? added : nullptr, most_pixels, out, plan.pixels);
        for (int64_t k = 0; relu && k < plan.outputs; ++k) rectify(out + k * plan.pixels, tile.pixels);
      }
    });
  });
}

void conv_input_gradient(const ConvGeometry& geometry, const Tensor& dy, const Tensor& weight, const Tensor& dx) {
  if (dx.numel() == 0) return;
  compute_in_float(dx, [&]<class T>(const Tensor& result) {
    const Plan plan(geometry);
    const Tensor grad_output = compact(dy, dtype_of<T>()), w = compact(weight, dtype_of<T>());
    if (use_winograd<T>(geometry)) return winograd::conv_input_gradient(geometry, grad_output, w, result);
    const int64_t image_size = plan.channels * plan.height * plan.width;
    for_parts<T>(plan, plan.items, plan.scratch_size(), [&](int64_t begin, int64_t end, T* padded) {
      for (int64_t item = begin; item < end; ++item) {
        T* image = pointer<T>(result) + item * image_size;
        std::fill_n(image, image_size, T(0));
        std::fill_n(padded, plan.padded_size(), T(0));
        for (int64_t i = 0; i < plan.tiles; ++i) {
          const Tile tile = plan.tile(i);
          T* columns = plan.pointwise ? image + tile.start : padded + plan.padded_size();
          product<T>(plan.taps, tile.pixels, plan.outputs, plan.weights(pointer<const T>(w), item).transposed(),
                     {plan.output(pointer<const T>(grad_output), item, tile), plan.pixels, 1}, nullptr, 0, columns,
                     plan.pointwise ? plan.pixels : tile.pixels);
          if (plan.pointwise) continue;
          for_tile_rows(plan, tile, [&](int64_t from, int64_t to) {
            add_row(columns + from, tile.columns, padded + to, plan.stride.width);
          });
        }
        if (plan.pointwise) continue;
        for_image_rows(plan, [&](int64_t to, int64_t from, int64_t n) { std::copy_n(padded + from, n, image + to); });
      }
    });
  });
}

// The sum over images is cut into parts whose number does not depend on that of threads, and which are added in order.
void conv_weight_gradient(const ConvGeometry& geometry, const Tensor& dy, const Tensor& x, const Tensor& dweight) {
  if (dweight.numel() == 0) return;
  compute_in_float(dweight, [&]<class T>(const Tensor& result) {
    const Plan plan(geometry);
    const Tensor grad_output = compact(dy, dtype_of<T>()), input = compact(x, dtype_of<T>());
    if (use_winograd<T>(geometry)) return winograd::conv_weight_gradient(geometry, grad_output, input, result);
    const int64_t images = geometry.x[0], size = dweight.numel();
    const int64_t parts =
        std::clamp<int64_t>(images * plan.pixels / 256, 1, std::min<int64_t>(16, std::max<int64_t>(images, 1)));
    const Tensor sums = Tensor::empty({parts, size}, dtype_of<T>());
    for_parts<T>(plan, parts, plan.scratch_size(), [&](int64_t begin, int64_t end, T* memory) {
      Columns<T> columns(plan, pointer<T>(input), memory);
      for (int64_t part = begin; part < end; ++part) {
        T* sum = pointer<T>(sums) + part * size;
        std::fill_n(sum, size, T(0));
        for (int64_t item = part * images / parts * plan.groups; item < (part + 1) * images / parts * plan.groups;
             ++item) {
          for (int64_t i = 0; i < plan.tiles; ++i) {
            const Tile tile = plan.tile(i);
            T* to = sum + item % plan.groups * plan.outputs * plan.taps;
            product<T>(plan.outputs, plan.taps, tile.pixels,
                       {plan.output(pointer<const T>(grad_output), item, tile), plan.pixels, 1},
                       columns.of(item, tile).transposed(), to, plan.taps, to, plan.taps);
          }
        }
      }
    });
    Out<T> total(pointer<T>(result), size);
    total = In<T>(pointer<T>(sums), size);
    for (int64_t part = 1; part < parts; ++part) total += In<T>(pointer<T>(sums) + part * size, size);
  });
}

}  // namespace gradus::cpu
