// Dao et al., "FlashAttention: fast and memory-efficient exact attention with IO-awareness", 2022: a tile of scores at
// a time, kept in the cache. The softmax over a row is put together from its blocks: with m the largest score so far
// and l = Σ exp(score − m), what was summed up before is multiplied by exp(m_before − m) whenever m grows.

#include <limits>
#include <optional>

#include "ops/cpu/dropout.h"
#include "ops/cpu/eigen.h"
#include "ops/cpu/gather.h"
#include "ops/cpu/kernels.h"
#include "ops/cpu/parallel.h"
#include "ops/cpu/product.h"

namespace gradus::cpu {
namespace {

constexpr int64_t key_block = 128;

// The queries of a tile of scores. What lies right of the diagonal in its tiles is computed, too: in low ones, there is
// less of it.
int64_t query_block(const AttentionSettings& settings) { return settings.is_causal ? 32 : 64; }

template <class T> using Tile = Eigen::Matrix<T, Eigen::Dynamic, Eigen::Dynamic, Eigen::RowMajor>;
template <class T> using TileMap = Eigen::Map<Tile<T>, 0, Eigen::OuterStride<>>;
template <class T> constexpr T infinity = std::numeric_limits<T>::infinity();

int64_t items_of(const Tensor& x) {
  int64_t items = 1;
  for (int i = 0; i < x.dim() - 2; ++i) items *= x.shape()[i];
  return items;
}

// The matrices [rows, columns] of a tensor [..., rows, columns] of any strides but the last, which is 1.
template <class T> class Matrices {
 public:
  explicit Matrices(const Tensor& x) : x_(&x), data_(pointer<T>(x)) {}
  TileMap<T> rows(int64_t item, int64_t begin, int64_t count) const {
    const int last = x_->dim() - 1;
    int64_t at = begin * x_->strides()[last - 1];
    for (int i = last - 2; i >= 0; --i) {
      at += item % x_->shape()[i] * x_->strides()[i];
      item /= x_->shape()[i];
    }
    return {data_ + at, count, x_->shape()[last], Eigen::OuterStride<>(x_->strides()[last - 1])};
  }

 private:
  const Tensor* x_;
  T* data_;
};

// Scratch memory is aligned: the order of Eigen's sums depends on where a row begins.
template <class T> TileMap<T> tile_of(T* memory, int64_t rows, int64_t columns) {
  return {memory, rows, columns, Eigen::OuterStride<>(columns)};
}

template <class T> MatrixView<T> view(const TileMap<T>& x) { return {x.data(), x.outerStride(), 1}; }

// y = a·b, or y += a·b. a: [rows of y, depth].
template <class T> void multiply(MatrixView<T> a, MatrixView<T> b, int64_t depth, bool add, TileMap<T> y) {
  product(y.rows(), y.cols(), depth, a, b, add ? y.data() : nullptr, y.outerStride(), y.data(), y.outerStride());
}

// x itself where its rows lie without gaps, one after the other in any distance; a copy otherwise.
template <class T> Tensor with_plain_rows(const Tensor& x) {
  const bool fits = x.strides().back() == 1 && x.strides()[x.dim() - 2] > 0 && x.dtype() == dtype_of<T>();
  return fits ? x : compact(x, dtype_of<T>());
}

// What both passes do to a tile of scores: queries [t, t + rows), keys [s, s + columns) of one item.
template <class T> class Scores {
 public:
  Scores(const AttentionSettings& settings, const Tensor& q, const Tensor& k)
      : settings_(&settings), queries_(q.size(-2)), keys_(k.size(-2)) {
    scaled_ = Tensor::empty({query_block(settings) * q.size(-1)}, dtype_of<T>());
    if (settings.mask.defined()) mask_.emplace(settings.mask);
  }

  bool drops() const { return settings_->dropout_p > 0; }
  /// The end of the keys that queries before `end` see.
  int64_t keys_seen(int64_t end) const { return settings_->is_causal ? std::min(end, keys_) : keys_; }

  /// tile = scale·q·kᵀ + mask; the part of row r that query t + r sees is its first `seen(t + r, s, columns)` elements.
  void compute(int64_t item, int64_t t, int64_t s, const TileMap<T>& q, const TileMap<T>& k, TileMap<T>& tile) {
    TileMap<T> scaled = tile_of(pointer<T>(scaled_), q.rows(), q.cols());
    scaled = T(settings_->scale) * q;
    multiply<T>(view(scaled), view(k).transposed(), q.cols(), false, tile);
    if (mask_) tile += mask_->rows(item, t, tile.rows()).middleCols(s, tile.cols());
  }
  int64_t seen(int64_t t, int64_t s, int64_t columns) const {
    return settings_->is_causal ? std::clamp<int64_t>(t + 1 - s, 0, columns) : columns;
  }

  /// Puts −∞ behind the part of the row that is seen, up to whole registers, and 0 behind that; returns what is before
  /// the zeros.
  static Out<T> mask_unseen(int64_t seen, T* row, int64_t columns) {
    const int64_t whole = std::min(divide_up(seen, lanes<T>) * lanes<T>, columns);
    std::fill(row + seen, row + whole, -infinity<T>);
    std::fill(row + whole, row + columns, T(0));
    return Out<T>(row, whole);
  }

  /// keep[j] = 0 where the probability of key s + j is dropped, 1 / (1 − p) elsewhere: the numbers of dropout() on the
  /// whole matrix [..., T, S].
  void dropout(int64_t item, int64_t t, int64_t s, int64_t columns, T* keep) const {
    dropout_factors(settings_->dropout_state.value, settings_->dropout_p, uint64_t((item * queries_ + t) * keys_ + s),
                    columns, keep);
  }

 private:
  const AttentionSettings* settings_;
  int64_t queries_, keys_;
  std::optional<Matrices<T>> mask_;
  Tensor scaled_;  // a block of queries times the scale
};

template <class T> void backward_as(const AttentionSettings& settings, const Tensor& dy, const Tensor& q,
                                    const Tensor& k, const Tensor& v, const Tensor& y, const Tensor& dq,
                                    const Tensor& dk, const Tensor& dv) {
  const Tensor query = with_plain_rows<T>(q), key = with_plain_rows<T>(k), value = with_plain_rows<T>(v);
  const Tensor gradient = with_plain_rows<T>(dy), output = with_plain_rows<T>(y);
  const Matrices<T> queries(query), keys(key), values(value), gradients(gradient), outputs(output);
  const Matrices<T> d_queries(dq), d_keys(dk), d_values(dv);
  const int64_t rows = q.size(-2), columns = k.size(-2), size = query_block(settings);
  const T* const log_sum_exp = pointer<T>(settings.log_sum_exp);
  const T scale = T(settings.scale);
  const int64_t work = rows * columns * (3 * q.size(-1) + 2 * v.size(-1));
  parallel_for(items_of(q), grain_for(work, product_grain / 4), [&](int64_t begin, int64_t end) {
    Scores<T> scores(settings, query, key);
    const Tensor memory = Tensor::empty({2 * size * key_block + key_block + rows}, dtype_of<T>());
    T *const probabilities = pointer<T>(memory), *const d_scores = probabilities + size * key_block;
    // dot: Σ dy·y of each query, which is Σ dp·p: what the softmax takes off every gradient.
    T *const keep = d_scores + size * key_block, *const dot = keep + key_block;
    for (int64_t item = begin; item < end; ++item) {
      Out<T>(dot, rows) =
          gradients.rows(item, 0, rows).cwiseProduct(outputs.rows(item, 0, rows)).rowwise().sum().array();
      d_queries.rows(item, 0, rows).setZero();
      for (int64_t s = 0; s < columns; s += key_block) {
        const int64_t most = std::min(key_block, columns - s);
        d_keys.rows(item, s, most).setZero();
        d_values.rows(item, s, most).setZero();
        for (int64_t t = settings.is_causal ? s / size * size : 0; t < rows; t += size) {
          const int64_t n = std::min(size, rows - t), m = std::min(most, scores.keys_seen(t + n) - s);
          const TileMap<T> k_block = keys.rows(item, s, m), v_block = values.rows(item, s, m);
          const TileMap<T> q_block = queries.rows(item, t, n), dy_block = gradients.rows(item, t, n);
          TileMap<T> p = tile_of(probabilities, n, m), ds = tile_of(d_scores, n, m);
          scores.compute(item, t, s, q_block, k_block, p);
          multiply(view(dy_block), view(v_block).transposed(), v_block.cols(), false, ds);
          for (int64_t r = 0; r < n; ++r) {
            const int64_t seen = scores.seen(t + r, s, m);
            Out<T> power = Scores<T>::mask_unseen(seen, p.data() + r * m, m);
            power = (power - log_sum_exp[item * rows + t + r]).exp();
            Out<T> p_row(p.data() + r * m, seen), ds_row(ds.data() + r * m, seen);
            if (!scores.drops()) {
              ds_row = scale * p_row * (ds_row - dot[t + r]);
            } else {
              const In<T> kept(keep, seen);
              scores.dropout(item, t + r, s, seen, keep);
              ds_row = scale * p_row * (kept * ds_row - dot[t + r]);
              p_row *= kept;
            }
            std::fill(ds_row.data() + seen, ds_row.data() + m, T(0));
          }
          multiply(view(p).transposed(), view(dy_block), n, true, d_values.rows(item, s, m));
          multiply(view(ds), view(k_block), m, true, d_queries.rows(item, t, n));
          multiply(view(ds).transposed(), view(q_block), n, true, d_keys.rows(item, s, m));
        }
      }
    }
  });
}

}  // namespace

void attention(const AttentionSettings& settings, const Tensor& q, const Tensor& k, const Tensor& v, const Tensor& y) {
  compute_in_float(y, [&]<class T>(const Tensor& result) {
    const Tensor query = with_plain_rows<T>(q), key = with_plain_rows<T>(k), value = with_plain_rows<T>(v);
    const Matrices<T> queries(query), keys(key), values(value), results(result);
    const int64_t rows = q.size(-2), columns = k.size(-2), size = query_block(settings);
    const int64_t blocks = divide_up(rows, size);
    T* const log_sum_exp = pointer<T>(settings.log_sum_exp);
    const int64_t work = std::min(rows, size) * columns * (q.size(-1) + v.size(-1));
    parallel_for(items_of(q) * blocks, grain_for(work, product_grain / 4), [&](int64_t begin, int64_t end) {
      Scores<T> scores(settings, query, key);
      const Tensor memory = Tensor::empty({size * key_block + key_block + 2 * size}, dtype_of<T>());
      T *const products = pointer<T>(memory), *const keep = products + size * key_block;
      T *const largest = keep + key_block, *const sum = largest + size;
      for (int64_t block = begin; block < end; ++block) {
        const int64_t item = block / blocks, t = block % blocks * size, n = std::min(size, rows - t);
        TileMap<T> out = results.rows(item, t, n);
        out.setZero();
        std::fill(largest, largest + size, -infinity<T>);
        std::fill(sum, sum + size, T(0));
        const int64_t limit = scores.keys_seen(t + n);
        for (int64_t s = 0; s < limit; s += key_block) {
          const int64_t m = std::min(key_block, limit - s);
          TileMap<T> tile = tile_of(products, n, m);
          scores.compute(item, t, s, queries.rows(item, t, n), keys.rows(item, s, m), tile);
          for (int64_t r = 0; r < n; ++r) {
            T* const row = products + r * m;
            const int64_t seen = scores.seen(t + r, s, m);
            Out<T> power = Scores<T>::mask_unseen(seen, row, m);
            const T before = largest[r], now = std::max(before, largest_of(row, power.size()));
            // A row that sees nothing yet has no largest score: −∞ − (−∞) must not become NaN.
            power = (power - (now == -infinity<T> ? T(0) : now)).exp();
            if (now > before) {
              const T factor = std::exp(before - now);
              sum[r] *= factor;
              out.row(r) *= factor;
              largest[r] = now;
            }
            sum[r] += power.sum();
            if (scores.drops()) {
              scores.dropout(item, t + r, s, seen, keep);
              Out<T>(row, seen) *= In<T>(keep, seen);
            }
          }
          multiply(view(tile), view(values.rows(item, s, m)), m, true, out);
        }
        for (int64_t r = 0; r < n; ++r) {
          out.row(r) *= sum[r] == 0 ? T(0) : 1 / sum[r];
          log_sum_exp[item * rows + t + r] = sum[r] == 0 ? infinity<T> : largest[r] + std::log(sum[r]);
        }
      }
    });
  });
}

void attention_backward(const AttentionSettings& settings, const Tensor& dy, const Tensor& q, const Tensor& k,
                        const Tensor& v, const Tensor& y, const Tensor& dq, const Tensor& dk, const Tensor& dv) {
  compute_in_float(dq, [&]<class T>(const Tensor& dq_result) {
    compute_in_float(dk, [&]<class>(const Tensor& dk_result) {
      compute_in_float(dv, [&]<class>(const Tensor& dv_result) {
        backward_as<T>(settings, dy, q, k, v, y, dq_result, dk_result, dv_result);
      });
    });
  });
}

void rotary(const Tensor& x, const Tensor& table, bool inverse, const Tensor& y) {
  compute_in_float(y, [&]<class T>(const Tensor& result) {
    const Tensor values = compact(x, dtype_of<T>()), angles = compact(table, dtype_of<T>());
    const T *in = pointer<const T>(values), *angle = pointer<const T>(angles), sign = inverse ? T(-1) : T(1);
    T* out = pointer<T>(result);
    parallel_for(
        x.numel(), parallel_grain,
        [&](int64_t begin, int64_t end) {
          for (int64_t i = begin; i < end; i += 2) {
            const int64_t at = i % table.numel();
            const T sine = sign * angle[at], cosine = angle[at + 1];
            out[i] = in[i] * cosine - in[i + 1] * sine;
            out[i + 1] = in[i] * sine + in[i + 1] * cosine;
          }
        },
        2);
  });
}

}  // namespace gradus::cpu
