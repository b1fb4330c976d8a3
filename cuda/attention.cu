// Attention without the matrix of scores (Dao et al., "FlashAttention: fast and memory-efficient exact attention with
// IO-awareness", 2022). A block works on tiles of 32 × 32 scores in shared memory: 32 queries (or keys) stay, the keys
// (or queries) pass by. Heads of any size go by in parts of 32 columns; for more than 128 columns of a result, several
// blocks compute the same scores. bfloat16 is a way to store only: products are those of floats, not of Tensor Cores.
//
// The forward pass in bfloat16 is left to cuDNN, which has Tensor Cores compute it, where it can. Its fast backward pass
// adds up in an order that differs from run to run, ours does not.

#include "cuda/cudnn_run.h"
#include "cuda/reduce.h"
#include "cuda/view.h"
#include "ops/formula.h"

namespace gradus::cuda {
namespace {

using formula::exp, formula::log, formula::maximum;

constexpr int tile = 32, warps = 4, threads = 32 * warps;
constexpr int rows_of_warp = tile / warps;  // a warp has 8 rows of each tile, a lane one column of them
constexpr int parts = 4;                    // a block makes up to 4 · 32 columns of a result, in registers
constexpr int64_t columns_of_block = parts * tile;

// Shared memory. Rows begin 16 bytes further than the last one ended: 16 bytes of each of 8 rows lie in other banks.
template <class T> struct alignas(16) Tile { T at[tile][tile + 16 / sizeof(T)]; };
// What a thread holds of a tile: its column in each row of its warp.
template <class T> using Column = T[rows_of_warp];

__device__ int first_row() { return int(threadIdx.x / 32) * rows_of_warp; }  // of this warp

// A matrix of any strides.
template <class E> struct Matrix {
  E* data;
  int64_t rows, columns, row_step, column_step;
  __device__ bool has(int64_t row, int64_t column) const { return row < rows && column < columns; }
  __device__ E& at(int64_t row, int64_t column) const { return data[row * row_step + column * column_step]; }
};

// Those of a tensor [..., rows, columns].
template <class E> struct Matrices {
  Matrix<E> first{};
  Layout items{{}, {}};

  Matrices() = default;
  explicit Matrices(const Tensor& x) {
    const int d = x.dim() - 2;
    first = {pointer<E>(x), x.size(-2), x.size(-1), x.strides()[d], x.strides()[d + 1]};
    items = Layout(Shape(std::span(x.shape().begin(), size_t(d))), Shape(std::span(x.strides().begin(), size_t(d))));
  }
  __device__ Matrix<E> operator[](int64_t item) const {
    Matrix<E> matrix = first;
    if (matrix.data) matrix.data += items(item);
    return matrix;
  }
};

// Copies rows row, row + 1, … and columns column, column + 1, … to a tile, with zeros beyond the matrix. The lanes of a
// warp read neighbours.
template <class E, class T>
__device__ void load(const Matrix<const E>& from, int64_t row, int64_t column, Tile<T>& to) {
  for (int i = int(threadIdx.x) / 32; i < tile; i += warps) {
    const bool inside = from.has(row + i, column + lane());
    to.at[i][lane()] = inside ? convert<T>(from.at(row + i, column + lane())) : T(0);
  }
}

// sum += a·bᵀ. Threads read along rows, 16 bytes at a time.
template <class T> __device__ void add_product_of_rows(const Tile<T>& a, const Tile<T>& b, Column<T>& sum) {
#pragma unroll(16 / sizeof(T))
  for (int k = 0; k < tile; ++k)
#pragma unroll
    for (int r = 0; r < rows_of_warp; ++r) sum[r] += a.at[first_row() + r][k] * b.at[lane()][k];
}

// sum += a·b
template <class T> __device__ void add_product(const Tile<T>& a, const Tile<T>& b, Column<T>& sum) {
#pragma unroll(16 / sizeof(T))
  for (int k = 0; k < tile; ++k)
#pragma unroll
    for (int r = 0; r < rows_of_warp; ++r) sum[r] += a.at[first_row() + r][k] * b.at[k][lane()];
}

// sum += x·yᵀ for 32 rows of x from `row` on and 32 of y from `other_row` on, through two tiles.
template <class E, class T> __device__ void add_scores(const Matrix<const E>& x, int64_t row, const Matrix<const E>& y,
                                                       int64_t other_row, Tile<T>& left, Tile<T>& right,
                                                       Column<T>& sum) {
  for (int64_t k = 0; k < x.columns; k += tile) {
    __syncthreads();  // all have read what is overwritten
    load(x, row, k, left);
    load(y, other_row, k, right);
    __syncthreads();
    add_product_of_rows(left, right, sum);
  }
}

// sum[i] += weights·y, for 32 rows of y from `row` on and parts of its columns from `column` on, each through a tile.
template <class E, class T> __device__ void add_weighted_rows(const Tile<T>& weights, const Matrix<const E>& y,
                                                              int64_t row, int64_t column, Tile<T>& memory,
                                                              Column<T> (&sum)[parts]) {
#pragma unroll
  for (int i = 0; i < parts; ++i) {
    if (column + i * tile >= y.columns) break;
    __syncthreads();
    load(y, row, column + i * tile, memory);
    __syncthreads();
    add_product(weights, memory, sum[i]);
  }
}

// Writes scale[r]·sum[i][r] to the rows of this warp.
template <class E, class T> __device__ void store(const Column<T> (&sum)[parts], const Column<T>& scale, int64_t row,
                                                  int64_t column, const Matrix<E>& to) {
#pragma unroll
  for (int i = 0; i < parts; ++i)
#pragma unroll
    for (int r = 0; r < rows_of_warp; ++r) {
      const int64_t y = row + first_row() + r, x = column + i * tile + lane();
      if (to.has(y, x)) to.at(y, x) = convert<E>(sum[i][r] * scale[r]);
    }
}

// What turns the product of query t and key s into a probability.
template <class T> struct Scores {
  int64_t queries, keys;
  T scale;
  bool is_causal;
  Matrices<const T> mask;
  float dropout_p;
  T kept;  // the factor of probabilities that are not dropped
  PerLaunch<GeneratorState> random;

  Scores(const AttentionSettings& settings, const Tensor& q, const Tensor& k)
      : queries(q.size(-2)),
        keys(k.size(-2)),
        scale(T(settings.scale)),
        is_causal(settings.is_causal),
        dropout_p(float(settings.dropout_p)),
        kept(T(settings.dropout_p < 1 ? 1 / (1 - settings.dropout_p) : 0)),
        random(settings.dropout_state) {
    if (settings.mask.defined()) mask = Matrices<const T>(settings.mask);
  }

  __device__ T score(const Matrix<const T>& added, int64_t t, int64_t s, T product) const {
    if (t >= queries || s >= keys || (is_causal && s > t)) return -std::numeric_limits<T>::infinity();
    return scale * product + (added.data ? added.at(t, s) : T(0));
  }
  /// 0 if the probability is dropped: the numbers of dropout() on the whole matrix [..., T, S].
  __device__ T dropout(int64_t item, int64_t t, int64_t s) const {
    if (dropout_p == 0) return T(1);
    const uint64_t i = uint64_t((item * queries + t) * keys + s);
    const GeneratorState state = random.get();
    const std::array<uint32_t, 4> words = philox(state.seed, state.offset + i / 4);
    const uint32_t word = i % 4 == 0 ? words[0] : i % 4 == 1 ? words[1] : i % 4 == 2 ? words[2] : words[3];
    return to_uniform(word) >= dropout_p ? kept : T(0);
  }
};

// The work of a block: 32 rows and up to 128 columns of the result of one item.
struct Work {
  int64_t item, row, column;
  __device__ Work(int64_t block, int64_t rows, int64_t columns) {
    const int64_t across = (columns + columns_of_block - 1) / columns_of_block, down = (rows + tile - 1) / tile;
    column = block % across * columns_of_block;
    row = block / across % down * tile;
    item = block / across / down;
  }
};
int64_t blocks_for(int64_t items, int64_t rows, int64_t columns) {
  return items * ((rows + tile - 1) / tile) * ((columns + columns_of_block - 1) / columns_of_block);
}
int64_t items_of(const Tensor& x) {
  int64_t items = 1;
  for (int i = 0; i < x.dim() - 2; ++i) items *= x.shape()[i];
  return items;
}

// A block for 32 queries, 2·T·S·(E + Ev) FLOPs in all; it reads keys and values T/32 times. The softmax over a row is
// put together from its tiles: with m the largest score so far and l = Σ exp(score − m), what was summed up before is
// multiplied by exp(m_before − m) whenever m grows. Each lane sums up its own scores, the warp in the end.
template <class E, class T> __global__ void __launch_bounds__(threads, 2)
    attend(int64_t blocks, Scores<T> scores, Matrices<const E> q, Matrices<const E> k, Matrices<const E> v,
           Matrices<E> y, T* log_sum_exp) {
  __shared__ Tile<T> left, right, weights;
  constexpr T infinity = std::numeric_limits<T>::infinity();
  for (int64_t block = blockIdx.x; block < blocks; block += gridDim.x) {
    const Work work(block, scores.queries, max(v.first.columns, int64_t(1)));
    const Matrix<const E> queries = q[work.item], keys = k[work.item], values = v[work.item];
    const Matrix<const T> mask = scores.mask[work.item];
    Column<T> out[parts]{}, sum{}, largest;
    for (int r = 0; r < rows_of_warp; ++r) largest[r] = -infinity;
    const int64_t end = scores.is_causal ? min(work.row + tile, scores.keys) : scores.keys;
    for (int64_t s = 0; s < end; s += tile) {
      Column<T> products{};
      add_scores(queries, work.row, keys, s, left, right, products);
#pragma unroll
      for (int r = 0; r < rows_of_warp; ++r) {
        const int64_t t = work.row + first_row() + r;
        const T score = scores.score(mask, t, s + lane(), products[r]);
        const T now = maximum(largest[r], warp_reduce(score, Larger{}));
        // A row that sees nothing yet has no largest score: −∞ − (−∞) must not become NaN.
        const T shift = now == -infinity ? T(0) : now, p = exp(score - shift), factor = exp(largest[r] - shift);
        largest[r] = now;
        sum[r] = sum[r] * factor + p;
#pragma unroll
        for (int i = 0; i < parts; ++i) out[i][r] *= factor;
        weights.at[first_row() + r][lane()] = p * scores.dropout(work.item, t, s + lane());
      }
      add_weighted_rows(weights, values, s, work.column, right, out);
    }
    Column<T> scale;
#pragma unroll
    for (int r = 0; r < rows_of_warp; ++r) {
      const int64_t t = work.row + first_row() + r;
      const T total = warp_reduce(sum[r], Sum{});
      scale[r] = total == T(0) ? T(0) : T(1) / total;
      if (work.column == 0 && t < scores.queries && lane() == 0)
        log_sum_exp[work.item * scores.queries + t] = total == T(0) ? infinity : largest[r] + log(total);
    }
    store(out, scale, work.row, work.column, y[work.item]);
  }
}

// Σ dy·y of each query, which is Σ dp·p: what the softmax takes off every gradient. A warp for each.
template <class E, class T>
__global__ void dot_rows(int64_t rows, Matrices<const E> dy, Matrices<const E> y, T* result) {
  for (int64_t row = warp_in_grid(); row < rows; row += warps_in_grid()) {
    const int64_t item = row / y.first.rows, t = row % y.first.rows;
    const Matrix<const E> a = dy[item], b = y[item];
    T sum = 0;
    for (int64_t i = lane(); i < b.columns; i += 32) sum += convert<T>(a.at(t, i)) * convert<T>(b.at(t, i));
    sum = warp_reduce(sum, Sum{});
    if (lane() == 0) result[row] = sum;
  }
}

template <class E, class T> struct Gradients {
  Matrices<const E> dy, q, k, v;
  Matrices<E> dq, dk, dv;
  const T *log_sum_exp, *dot;
};

// With p the probabilities, dp = dy·vᵀ and ds = p·(dp − dot), each of these [T, S], computed again tile by tile:
// dq = scale·ds·k, by a block for 32 queries (2·T·S·(2E + Ev) FLOPs); or dk = scale·dsᵀ·q and dv = pᵀ·dy, by a block
// for 32 keys, which works on the transposed tiles (4·T·S·(E + Ev) FLOPs). No sum is shared by two blocks.
template <bool of_keys, class E, class T> __global__ void __launch_bounds__(threads, 2)
    attend_backward(int64_t blocks, Scores<T> scores, Gradients<E, T> x) {
  __shared__ Tile<T> left, right, ds, dropped_p;
  for (int64_t block = blockIdx.x; block < blocks; block += gridDim.x) {
    const Work work = of_keys ? Work(block, scores.keys, max(x.k.first.columns, x.v.first.columns))
                              : Work(block, scores.queries, x.q.first.columns);
    const Matrix<const E> queries = x.q[work.item], keys = x.k[work.item], values = x.v[work.item],
                          dy = x.dy[work.item];
    const Matrix<const T> mask = scores.mask[work.item];
    Column<T> sum[parts]{}, sum_of_values[parts]{}, scale;
    const int64_t begin = of_keys && scores.is_causal ? work.row : 0;
    const int64_t end = of_keys ? scores.queries : scores.is_causal ? min(work.row + tile, scores.keys) : scores.keys;
    for (int64_t column = begin; column < end; column += tile) {
      Column<T> products{}, dp{};
      add_scores(of_keys ? keys : queries, work.row, of_keys ? queries : keys, column, left, right, products);
      add_scores(of_keys ? values : dy, work.row, of_keys ? dy : values, column, left, right, dp);
#pragma unroll
      for (int r = 0; r < rows_of_warp; ++r) {
        const int64_t row = work.row + first_row() + r, other = column + lane();
        const int64_t t = of_keys ? other : row, s = of_keys ? row : other;
        const int64_t query = work.item * scores.queries + min(t, scores.queries - 1);
        const T p = exp(scores.score(mask, t, s, products[r]) - x.log_sum_exp[query]);
        const T keep = scores.dropout(work.item, t, s);
        ds.at[first_row() + r][lane()] = p * (keep * dp[r] - x.dot[query]);
        if (of_keys) dropped_p.at[first_row() + r][lane()] = keep * p;
      }
      add_weighted_rows(ds, of_keys ? queries : keys, column, work.column, right, sum);
      if (of_keys) add_weighted_rows(dropped_p, dy, column, work.column, right, sum_of_values);
    }
    for (int r = 0; r < rows_of_warp; ++r) scale[r] = scores.scale;
    store(sum, scale, work.row, work.column, (of_keys ? x.dk : x.dq)[work.item]);
    for (int r = 0; r < rows_of_warp; ++r) scale[r] = 1;
    if (of_keys) store(sum_of_values, scale, work.row, work.column, x.dv[work.item]);
  }
}

// The tensor as cuDNN takes it, [B, H, rows, columns]; false if it cannot. Its engines read 16 bytes at a time, and do
// not check that they may.
bool view_for_cudnn(const Tensor& x, AttentionTask::View& view) {
  if (x.dim() > 4 || x.numel() == 0 || x.size(-1) % 8 != 0 || x.strides().back() != 1 || !is_aligned(x)) return false;
  view = {x.shape(), x.strides()};
  while (view.shape.dim() < 4) {
    view.shape.insert(0, 1);
    view.strides.insert(0, 0);
  }
  int64_t extent = 8;
  for (int i = 0; i < 3; ++i) {
    if (view.shape[i] == 1) continue;
    if (view.strides[i] <= 0 || view.strides[i] % 8 != 0) return false;
    extent = std::max(extent, view.shape[i] * view.strides[i]);
  }
  for (int i = 0; i < 3; ++i)
    if (view.shape[i] == 1) view.strides[i] = extent;  // that of a dimension of size 1 says nothing
  constexpr int64_t most = 65535;
  return view.shape[0] <= most && view.shape[1] <= most;
}

// False if cuDNN cannot do it, or is not to be trusted with it: versions before 9.11 have known faults; engines may mask
// before they scale; on GPUs of compute capability 10 (B200) wrong results are reported; for one query or key, whose
// number of keys changes from step to step when a text is written, it would compile a kernel each time.
bool attend_by_cudnn(const AttentionSettings& settings, const Tensor& q, const Tensor& k, const Tensor& v,
                     const Tensor& y) {
  if (y.dtype() != bfloat16 || settings.mask.defined() || settings.dropout_p > 0 || !(settings.scale > 0)) return false;
  if (q.size(-2) <= 1 || k.size(-2) <= 1 || cudnnGetVersion() < 91100) return false;
  int capability = 0;
  check(cudaDeviceGetAttribute(&capability, cudaDevAttrComputeCapabilityMajor, y.device().index),
        "cudaDeviceGetAttribute");
  if (capability == 10) return false;
  AttentionTask task{settings.is_causal, {}};
  const Tensor* const tensors[] = {&q, &k, &v, &y};
  for (int i = 0; i < 4; ++i)
    if (!view_for_cudnn(*tensors[i], task.views[i])) return false;
  float scale = float(settings.scale), blind = -std::numeric_limits<float>::infinity();
  const Operand operands[] = {{AttentionTask::q, Target(q).data},
                              {AttentionTask::k, Target(k).data},
                              {AttentionTask::v, Target(v).data},
                              {AttentionTask::y, Target(y).data},
                              {AttentionTask::log_sum_exp, Target(settings.log_sum_exp).data},
                              {AttentionTask::scale, &scale},
                              {AttentionTask::blind, &blind}};
  return run_cudnn(task, y.device(), std::span(operands, settings.is_causal ? 7 : 6));
}

}  // namespace

void attention(const AttentionSettings& settings, const Tensor& q, const Tensor& k, const Tensor& v, const Tensor& y) {
  if (attend_by_cudnn(settings, q, k, v, y)) return;
  visit_floating(y.dtype(), [&]<class E, class T>() {
    using In = Matrices<const E>;
    const int64_t blocks = blocks_for(items_of(q), q.size(-2), std::max<int64_t>(v.size(-1), 1));
    launch_blocks(blocks, threads, y.device(), attend<E, T>, blocks, Scores<T>(settings, q, k), In(q), In(k), In(v),
                  Matrices<E>(y), pointer<T>(settings.log_sum_exp));
  });
}

void attention_backward(const AttentionSettings& settings, const Tensor& dy, const Tensor& q, const Tensor& k,
                        const Tensor& v, const Tensor& y, const Tensor& dq, const Tensor& dk, const Tensor& dv) {
  visit_floating(y.dtype(), [&]<class E, class T>() {
    using In = Matrices<const E>;
    using Out = Matrices<E>;
    const int64_t rows = settings.log_sum_exp.numel(), items = items_of(q);
    const Tensor dot = Tensor::empty({rows}, dtype_of<T>(), y.device());
    launch_warps(rows, y.device(), dot_rows<E, T>, rows, In(dy), In(y), pointer<T>(dot));
    const Scores<T> scores(settings, q, k);
    const T *log_sum_exp = pointer<const T>(settings.log_sum_exp), *dots = pointer<const T>(dot);
    const Gradients<E, T> x{In(dy), In(q), In(k), In(v), Out(dq), Out(dk), Out(dv), log_sum_exp, dots};
    const int64_t of_queries = blocks_for(items, q.size(-2), q.size(-1));
    launch_blocks(of_queries, threads, y.device(), attend_backward<false, E, T>, of_queries, scores, x);
    const int64_t of_keys = blocks_for(items, k.size(-2), std::max(k.size(-1), v.size(-1)));
    launch_blocks(of_keys, threads, y.device(), attend_backward<true, E, T>, of_keys, scores, x);
  });
}

}  // namespace gradus::cuda
