#include "ops/cpu/winograd.h"

#include <array>
#include <bit>

#include "ops/cpu/eigen.h"
#include "ops/cpu/gather.h"
#include "ops/cpu/panel.h"
#include "ops/cpu/parallel.h"
#include "ops/cpu/transpose.h"

// F(4x4, 3x3) of Lavin and Gray, "Fast algorithms for convolutional neural networks", 2016. A tile y of 4x4 outputs is
// made of a tile d of 6x6 inputs and a kernel g, and its gradients by the transposed steps:
//
//   y = Aᵀ[(G g Gᵀ) ⊙ (Bᵀ d B)]A        dg = Gᵀ[(A dy Aᵀ) ⊙ (Bᵀ d B)]G        dd: as y, with the kernels turned round
//
// Summed over channels, or for dg over tiles, each of the 36 positions of ⊙ is a product of matrices. It takes 36
// multiplications a tile and pair of channels, where the definition takes 144. The transforms take about 200 additions
// a tile and channel, and make 36 numbers of 16: 2.25 times the input and the result are written and read once more,
// in a block of tiles that stays in the cache. From some 8 channels on that is less than what is saved.
//
// Everything runs over the channels, a packet of them at a time, which is called a pixel here. Sums are made in an
// order that does not depend on the number of threads. Relative errors are about 1e-5, and a NaN or an infinity makes
// NaN of the whole tiles it is in, also where the kernel does not reach it.
namespace gradus::cpu::winograd {
namespace {

template <size_t rows, size_t columns> using Matrix = std::array<std::array<float, columns>, rows>;
constexpr Matrix<6, 6> input_matrix{{{4, 0, -5, 0, 1, 0},  // Bᵀ
                                     {0, -4, -4, 1, 1, 0},
                                     {0, 4, -4, -1, 1, 0},
                                     {0, -2, -1, 2, 1, 0},
                                     {0, 2, -1, -2, 1, 0},
                                     {0, 4, 0, -5, 0, 1}}};
constexpr Matrix<6, 3> kernel_matrix{{{1 / 4.f, 0, 0},  // G
                                      {-1 / 6.f, -1 / 6.f, -1 / 6.f},
                                      {-1 / 6.f, 1 / 6.f, -1 / 6.f},
                                      {1 / 24.f, 1 / 12.f, 1 / 6.f},
                                      {1 / 24.f, -1 / 12.f, 1 / 6.f},
                                      {0, 0, 1}}};
constexpr Matrix<4, 6> output_matrix{
    {{1, 1, 1, 1, 1, 0}, {0, 1, -1, 2, -2, 0}, {0, 1, 1, 4, 4, 0}, {0, 1, -1, 8, -8, 1}}};
template <size_t rows, size_t columns> constexpr Matrix<columns, rows> transposed(const Matrix<rows, columns>& matrix) {
  Matrix<columns, rows> result{};
  for (size_t i = 0; i < rows; ++i)
    for (size_t j = 0; j < columns; ++j) result[j][i] = matrix[i][j];
  return result;
}
constexpr Matrix<6, 4> output_gradient_matrix = transposed(output_matrix);
constexpr Matrix<3, 6> kernel_gradient_matrix = transposed(kernel_matrix);

using namespace Eigen::internal;
using Packet = PacketOf<float>;
constexpr int64_t lanes = cpu::lanes<float>, width = Panel<float>::width;
constexpr int64_t positions = 36, most_tiles = 48;
constexpr int64_t strip_size = (6 * (4 * most_tiles + 2) + lanes) * lanes;

int64_t whole(int64_t channels) { return divide_up(channels, width) * width; }

// matrix·column for a column of pixels that are `step` apart; may be done in place. The loops are unrolled by the
// compiler, and zeros of the matrix cost nothing.
template <const auto& matrix> void multiply(const float* from, int64_t from_step, float* to, int64_t to_step) {
  constexpr int rows = int(matrix.size()), columns = int(matrix[0].size());
  Packet in[columns];
  for (int j = 0; j < columns; ++j) in[j] = ploadu<Packet>(from + j * from_step);
  for (int i = 0; i < rows; ++i) {
    Packet sum = pset1<Packet>(0);
    for (int j = 0; j < columns; ++j)
      if (matrix[i][j] != 0) sum = pmadd(pset1<Packet>(matrix[i][j]), in[j], sum);
    pstoreu(to + i * to_step, sum);
  }
}

// [count, groups * channels, height, width], with padding before the first row and column.
struct Images {
  float* data;
  int64_t groups, channels, height, columns;
  Size2d padding = 0;
  int64_t pixels = height * columns;
};

// Tiles that lie side by side in an image, from (row, column); the first is number `index` of those asked for.
struct Run {
  int64_t image, row, column, index, tiles;
};

// Some of the tiles of one group of all images, in order.
struct Tiles {
  int64_t down, across, group, first, last;

  template <class F> void for_runs(F&& body) const {
    for (int64_t t = first, n; t < last; t += n) {
      n = std::min(across - t % across, last - t);
      body(Run{t / across / down, t / across % down * 4, t % across * 4, t - first, n});
    }
  }
  float* channel(const Images& images, const Run& run, int64_t c) const {
    return images.data + ((run.image * images.groups + group) * images.channels + c) * images.pixels;
  }
};

// Transformed tiles, [positions, most_tiles, channels]. The gaps keep the positions off each other's lines of the
// cache.
struct Block {
  float* data;
  int64_t channels, position = most_tiles * channels + 16;

  static int64_t size(int64_t channels) { return positions * (most_tiles * channels + 16); }
  float* at(int64_t p, int64_t tile, int64_t c) const { return data + p * position + tile * channels + c; }
};

// strip [rows, columns] = pixels of an image from (row, column) on, zeros outside of it.
void read(const Images& images, const float* image, int64_t channels, int64_t row, int64_t column, int64_t rows,
          int64_t columns, float* strip) {
  for (int64_t i = 0; i < rows; ++i, strip += columns * lanes) {
    const bool inside = row + i >= 0 && row + i < images.height;
    const int64_t begin = inside ? std::clamp<int64_t>(-column, 0, columns) : 0;
    const int64_t end = inside ? std::clamp<int64_t>(images.columns - column, begin, columns) : 0;
    for (int64_t j = begin; j < end; j += lanes) {
      const int64_t place = (row + i) * images.columns + column + j;
      if (place + lanes <= images.pixels) {  // what this writes beyond the row is written again later
        transpose_square(image + place, images.pixels, channels, strip + j * lanes, lanes);
      } else {
        for (int64_t n = 0; n < (end - j) * lanes; ++n)
          strip[j * lanes + n] = n % lanes < channels ? image[n % lanes * images.pixels + place + n / lanes] : 0;
      }
    }
    std::fill_n(strip, begin * lanes, 0.f);
    std::fill(strip + end * lanes, strip + columns * lanes, 0.f);
  }
}

// The reverse for 4 rows, as far as they are in the image.
void write(const float* strip, int64_t columns, const Images& images, int64_t channels, int64_t row, int64_t column,
           float* image) {
  float square[lanes * lanes];
  const int64_t end = std::min(columns, images.columns - column);
  for (int64_t i = 0; i < std::min<int64_t>(4, images.height - row); ++i)
    for (int64_t j = 0; j < end; j += lanes) {
      const int64_t from = std::max<int64_t>(0, std::min(j, end - lanes)), n = std::min(end, lanes);
      const bool direct = n == lanes && channels >= lanes;
      float* to = image + (row + i) * images.columns + column + from;
      transpose_square(strip + (i * columns + from) * lanes, lanes, lanes, direct ? to : square,
                       direct ? images.pixels : lanes);
      for (int64_t l = 0; !direct && l < std::min(channels, lanes); ++l)
        std::copy_n(square + l * lanes, n, to + l * images.pixels);
    }
}

// M d Mᵀ of channels [begin, end) of tiles; M: Bᵀ or A.
template <const auto& matrix>
void transform(const Images& images, const Tiles& tiles, int64_t begin, int64_t end, float* strip, const Block& to) {
  constexpr int64_t size = matrix[0].size();
  for (int64_t c = begin; c < end; c += lanes)
    tiles.for_runs([&](const Run& run) {
      const int64_t columns = 4 * run.tiles + size - 4, row = columns * lanes;
      read(images, tiles.channel(images, run, c), images.channels - c, run.row - images.padding.height,
           run.column - images.padding.width, size, columns, strip);
      for (int64_t j = 0; j < columns; ++j) multiply<matrix>(strip + j * lanes, row, strip + j * lanes, row);
      for (int64_t t = 0; t < run.tiles; ++t)
        for (int64_t i = 0; i < 6; ++i)
          multiply<matrix>(strip + i * row + 4 * t * lanes, lanes, to.at(6 * i, run.index + t, c - begin), to.position);
    });
}

// Aᵀ m A of channels [begin, end) of tiles, or relu of it, written to images.
void transform_back(const Block& from, const Tiles& tiles, int64_t begin, int64_t end, bool relu, float* strip,
                    const Images& images) {
  for (int64_t c = begin; c < end; c += lanes)
    tiles.for_runs([&](const Run& run) {
      const int64_t columns = 4 * run.tiles;
      for (int64_t t = 0; t < run.tiles; ++t) {
        float middle[4][6][lanes];
        for (int64_t j = 0; j < 6; ++j)
          multiply<output_matrix>(from.at(j, run.index + t, c - begin), 6 * from.position, middle[0][j], 6 * lanes);
        for (int64_t i = 0; i < 4; ++i)
          multiply<output_matrix>(middle[i][0], lanes, strip + (i * columns + 4 * t) * lanes, lanes);
      }
      if (relu) rectify(strip, 4 * columns * lanes);
      write(strip, columns, images, images.channels - c, run.row, run.column, tiles.channel(images, run, c));
    });
}

// G g Gᵀ, [groups, outputs / width, positions, inputs, width], of kernels [groups, outputs, inputs, 3, 3] or, turned
// round, [groups, inputs, outputs, 3, 3].
Tensor transform_kernels(const float* weight, bool turned, int64_t groups, int64_t outputs, int64_t inputs) {
  const int64_t panels = divide_up(outputs, width), size = positions * inputs * width;
  const Tensor result = Tensor::empty({groups, panels, size}, float32);
  parallel_for(groups * panels, divide_up(1 << 12, inputs * width), [&](int64_t begin, int64_t end) {
    for (int64_t i = begin * inputs * 2; i < end * inputs * 2; ++i) {
      const int64_t panel = i / 2 / inputs, c = i / 2 % inputs, k = panel % panels * width + i % 2 * lanes;
      float kernel[6][3][lanes] = {}, *to = pointer<float>(result) + panel * size + c * width + i % 2 * lanes;
      for (int64_t l = 0; l < std::min(lanes, outputs - k); ++l) {
        const int64_t g = panel / panels * outputs * inputs + (turned ? c * outputs + k + l : (k + l) * inputs + c);
        for (int64_t tap = 0; tap < 9; ++tap) kernel[tap / 3][tap % 3][l] = weight[9 * g + (turned ? 8 - tap : tap)];
      }
      for (auto& column : kernel[0]) multiply<kernel_matrix>(column, 3 * lanes, column, 3 * lanes);
      for (int64_t j = 0; j < 6; ++j)
        multiply<kernel_matrix>(kernel[j][0], lanes, to + 6 * j * inputs * width, inputs * width);
    }
  });
  return result;
}

Tiles tiles_of(const Shape& y) {
  const int64_t down = divide_up(y[2], 4), across = divide_up(y[3], 4);
  return {down, across, 0, 0, y[0] * down * across};
}

// Many blocks of tiles, each by one thread.
void convolve(const Images& x, const Tensor& kernels, const Tensor& bias, bool relu, const Tiles& all,
              const Images& y) {
  const int64_t blocks = divide_up(all.last, most_tiles), inputs = whole(x.channels);
  parallel_for(blocks * x.groups, 1, [&](int64_t begin, int64_t end) {
    const Tensor memory = Tensor::empty({strip_size + Block::size(inputs) + Block::size(width)}, float32);
    float* strip = pointer<float>(memory);
    const Block in{strip + strip_size, inputs}, out{in.data + Block::size(inputs), width};
    for (int64_t i = begin; i < end; ++i) {
      const int64_t group = i / blocks, first = i % blocks * all.last / blocks;
      const Tiles tiles{all.down, all.across, group, first, (i % blocks + 1) * all.last / blocks};
      transform<input_matrix>(x, tiles, 0, x.channels, strip, in);
      const float* panel = pointer<float>(kernels) + group * whole(y.channels) * positions * x.channels;
      for (int64_t k = 0; k < y.channels; k += width) {
        const int64_t n = tiles.last - first, channels = std::min(width, y.channels - k);
        for (int64_t p = 0; p < positions; ++p, panel += x.channels * width) {
          // Column 1 of Aᵀ is ones: what is added at (1, 1) comes to all outputs of a tile.
          const bool add = p == 7 && bias.defined();
          for (int64_t t = 0; add && t < n; ++t)
            std::copy_n(pointer<float>(bias) + group * y.channels + k, channels, out.at(p, t, 0));
          float* to = out.at(p, 0, 0);
          Panel<float>{x.channels, panel}.multiply(n, width, {in.at(p, 0, 0), inputs, 1}, add ? to : nullptr, width, to,
                                                   width);
        }
        transform_back(out, tiles, k, k + channels, relu, strip, y);
      }
    }
  });
}

}  // namespace

bool can_compute(const ConvGeometry& g) {
  return g.weight[2] == 3 && g.weight[3] == 3 && g.stride == Size2d(1) && g.dilation == Size2d(1);
}

// Measured against im2col on one thread with AVX2, forward: as many inputs as outputs and 512 tiles: 2.4 times as fast
// with 8 channels, 2.6 with 16, 2.9 with 64, but from 4 channels to 64 only 1.0, and its gradients 0.7 and 0.8; from 8
// to 256 1.4, 0.9 and 1.0. With 64 channels 0.6 for 4 tiles, 1.1 for 8, 1.5 for 16; with 512, whose kernels take longer
// to transform, 0.6 for 8, 0.9 for 16, 1.5 for 32.
bool pays(const ConvGeometry& g) {
  return can_compute(g) && std::min(g.weight[1], g.weight[0] / g.groups) >= 8 && tiles_of(g.y).last >= 32;
}

void conv(const ConvGeometry& g, const Tensor& x, const Tensor& weight, const Tensor& bias, bool relu,
          const Tensor& y) {
  const int64_t inputs = g.weight[1], outputs = g.weight[0] / g.groups;
  convolve({pointer<float>(x), g.groups, inputs, g.x[2], g.x[3], g.padding},
           transform_kernels(pointer<float>(weight), false, g.groups, outputs, inputs), bias, relu, tiles_of(g.y),
           {pointer<float>(y), g.groups, outputs, g.y[2], g.y[3]});
}

void conv_input_gradient(const ConvGeometry& g, const Tensor& dy, const Tensor& weight, const Tensor& dx) {
  const int64_t inputs = g.weight[0] / g.groups, outputs = g.weight[1];
  const Size2d padding{2 - g.padding.height, 2 - g.padding.width};
  convolve({pointer<float>(dy), g.groups, inputs, g.y[2], g.y[3], padding},
           transform_kernels(pointer<float>(weight), true, g.groups, outputs, inputs), {}, false, tiles_of(g.x),
           {pointer<float>(dx), g.groups, outputs, g.x[2], g.x[3]});
}

// The sum over tiles is cut into parts whose number does not depend on that of threads, and which are added in order.
void conv_weight_gradient(const ConvGeometry& g, const Tensor& dy, const Tensor& x, const Tensor& dweight) {
  const Images images{pointer<float>(x), g.groups, g.weight[1], g.x[2], g.x[3], g.padding};
  const Images gradients{pointer<float>(dy), g.groups, g.weight[0] / g.groups, g.y[2], g.y[3]};
  const Tiles all = tiles_of(g.y);
  const auto parts = int64_t(std::bit_floor(uint64_t(std::clamp<int64_t>(all.last / (2 * most_tiles), 1, 16))));
  const int64_t rows = whole(gradients.channels);
  const int64_t panels = divide_up(images.channels, width), size = panels * positions * rows * width;
  const Tensor sums = Tensor::empty({parts, g.groups, size}, float32);
  parallel_for(parts * g.groups, 1, [&](int64_t first_sum, int64_t last_sum) {
    const Tensor memory = Tensor::empty({strip_size + Block::size(rows) + Block::size(width)}, float32);
    float* strip = pointer<float>(memory);
    const Block left{strip + strip_size, rows}, right{left.data + Block::size(rows), width};
    for (int64_t i = first_sum; i < last_sum; ++i) {
      const int64_t part = i / g.groups, begin = part * all.last / parts, end = (part + 1) * all.last / parts;
      const int64_t blocks = std::max<int64_t>(1, divide_up(end - begin, most_tiles));
      for (int64_t b = 0; b < blocks; ++b) {
        const int64_t first = begin + b * (end - begin) / blocks, last = begin + (b + 1) * (end - begin) / blocks;
        const Tiles tiles{all.down, all.across, i % g.groups, first, last};
        transform<output_gradient_matrix>(gradients, tiles, 0, rows, strip, left);
        float* sum = pointer<float>(sums) + i * size;
        for (int64_t c = 0; c < images.channels; c += width) {
          transform<input_matrix>(images, tiles, c, c + width, strip, right);
          for (int64_t p = 0; p < positions; ++p, sum += rows * width)
            Panel<float>{last - first, right.at(p, 0, 0)}.multiply(rows, width, {left.at(p, 0, 0), 1, rows},
                                                                   b > 0 ? sum : nullptr, width, sum, width);
        }
      }
    }
  });
  parallel_for(g.groups * size, parallel_grain, [&](int64_t begin, int64_t end) {
    Out<float> total(pointer<float>(sums) + begin, end - begin);
    for (int64_t part = 1; part < parts; ++part)
      total += In<float>(pointer<float>(sums) + part * g.groups * size + begin, end - begin);
  });
  parallel_for(g.weight[0], divide_up(parallel_grain, positions * images.channels), [&](int64_t begin, int64_t end) {
    for (int64_t k = begin; k < end; ++k)
      for (int64_t c = 0; c < images.channels; c += lanes) {
        const float* from = pointer<float>(sums) + k / gradients.channels * size +
                            c / width * positions * rows * width + k % gradients.channels * width + c % width;
        float middle[3][6][lanes], kernel[3][3][lanes];
        for (int64_t j = 0; j < 6; ++j)
          multiply<kernel_gradient_matrix>(from + j * rows * width, 6 * rows * width, middle[0][j], 6 * lanes);
        for (int64_t j = 0; j < 3; ++j) multiply<kernel_gradient_matrix>(middle[j][0], lanes, kernel[j][0], lanes);
        for (int64_t l = 0; l < std::min(lanes, images.channels - c); ++l)
          for (int64_t tap = 0; tap < 9; ++tap)
            pointer<float>(dweight)[(k * images.channels + c + l) * 9 + tap] = kernel[tap / 3][tap % 3][l];
      }
  });
}

}  // namespace gradus::cpu::winograd
