// Recurrent layers: whole sequences against cells step by step, names, shapes, lengths and errors.

#include "nn/rnn.h"

#include <doctest/doctest.h>

#include <cmath>

#include "core/tape.h"
#include "core/threads.h"
#include "nn/module.h"
#include "ops/arithmetic.h"
#include "ops/create.h"
#include "ops/join.h"
#include "ops/matmul.h"
#include "ops/reduce.h"
#include "ops/view.h"
#include "tests/checks.h"

using namespace gradus;
using checks::distance, checks::error_here;

namespace {

Tensor random(const Shape& shape) { return uniform(shape, -1, 1, float64); }

std::vector<std::string> names(const nn::AllOf& net) {
  std::vector<std::string> result;
  for (const auto& [name, tensor] : named_parameters(net)) result.push_back(name);
  return result;
}

// The cell or the layer `to` with the weights of layer `number` of `from`, all in float64.
template <class To> void share(To& to, const nn::Recurrent& from, size_t number) {
  static_cast<nn::RecurrentWeights&>(to) = from.weights[number];
}
template <class Layer> Layer single(const Layer& from, size_t number, nn::RecurrentOptions options = {}) {
  Layer result(from.weights[number].weight_ih.size(1), from.hidden_size, options);
  result.weights[0] = from.weights[number];
  return result;
}

}  // namespace

TEST_CASE("rnn: a layer over a sequence is its cell step by step") {
  manual_seed(1);
  const Tensor x = random({5, 3, 4}), h_0 = random({1, 3, 6}), c_0 = random({1, 3, 6});
  const auto check = [&](const auto& layer, const auto& cell, const nn::RecurrentOutput& found) {
    Tensor h = select(h_0, 0, 0);
    for (int64_t i = 0; i < 5; ++i) {
      h = cell(select(x, 0, i), h);
      CHECK(distance(select(found.output, 0, i), h) < 1e-14);
    }
    CHECK(found.h_n.shape() == Shape{1, 3, 6});
    CHECK(distance(select(found.h_n, 0, 0), h) < 1e-14);
    const Tensor weights = cell.weight_hh;
    const Tensor expected = grad(sum(h), weights);
    CHECK(distance(grad(sum(found.h_n), layer.weights[0].weight_hh), expected) < 1e-13);
  };
  for (const auto nonlinearity : {nn::Nonlinearity::tanh, nn::Nonlinearity::relu}) {
    nn::RNN layer(4, 6, {.nonlinearity = nonlinearity});
    to(layer, float64);
    nn::RNNCell cell(4, 6, {.nonlinearity = nonlinearity});
    share(cell, layer, 0);
    check(layer, cell, layer(x, {.h_0 = h_0}));
  }
  nn::GRU gru(4, 6);
  to(gru, float64);
  nn::GRUCell gru_cell(4, 6);
  share(gru_cell, gru, 0);
  check(gru, gru_cell, gru(x, {.h_0 = h_0}));

  nn::LSTM lstm(4, 6);
  to(lstm, float64);
  nn::LSTMCell cell(4, 6);
  share(cell, lstm, 0);
  const auto [output, h_n, c_n] = lstm(x, {.h_0 = h_0, .c_0 = c_0});
  nn::LSTMState state{select(h_0, 0, 0), select(c_0, 0, 0)};
  for (int64_t i = 0; i < 5; ++i) {
    state = cell(select(x, 0, i), state);
    CHECK(distance(select(output, 0, i), state.h) < 1e-14);
  }
  CHECK(distance(select(h_n, 0, 0), state.h) < 1e-14);
  CHECK(distance(select(c_n, 0, 0), state.c) < 1e-14);
  CHECK(distance(lstm(x).output,
                 lstm(x, {.h_0 = zeros({1, 3, 6}, float64), .c_0 = zeros({1, 3, 6}, float64)}).output) == 0);
}

TEST_CASE("rnn: a cell without a batch computes what it does of a batch of one") {
  manual_seed(3);
  const Tensor x = randn({4}), h = randn({6}), c = randn({6});
  const auto row = [](const Tensor& t) { return unsqueeze(t, 0); };
  const auto same = [](const Tensor& alone, const Tensor& in_batch) {
    CHECK(alone.shape() == Shape{6});
    CHECK(distance(alone, squeeze(in_batch, 0)) == 0);
  };
  const nn::RNNCell rnn(4, 6);
  same(rnn(x), rnn(row(x)));
  same(rnn(x, h), rnn(row(x), row(h)));
  const nn::GRUCell gru(4, 6);
  same(gru(x, h), gru(row(x), row(h)));
  const nn::LSTMCell lstm(4, 6);
  const nn::LSTMState alone = lstm(x, {h, c}), in_batch = lstm(row(x), {row(h), row(c)});
  same(alone.h, in_batch.h);
  same(alone.c, in_batch.c);
}

TEST_CASE("rnn: an LSTM by hand") {
  nn::LSTMCell cell(1, 1, {.bias = false});
  cell.weight_ih = Tensor({0.5, -1, 2, 1}, {4, 1}, float64);
  cell.weight_hh = Tensor({1, 2, -1, 0.5}, {4, 1}, float64);
  const auto sigmoid = [](double x) { return 1 / (1 + std::exp(-x)); };
  const double x = 0.7, h = 0.2, c = -0.4;
  const double i = sigmoid(0.5 * x + h), f = sigmoid(-x + 2 * h), g = std::tanh(2 * x - h), o = sigmoid(x + 0.5 * h);
  const auto next = cell(Tensor({x}, {1, 1}, float64), {Tensor({h}, {1, 1}, float64), Tensor({c}, {1, 1}, float64)});
  CHECK(next.c.item<double>() == doctest::Approx(f * c + i * g));
  CHECK(next.h.item<double>() == doctest::Approx(o * std::tanh(f * c + i * g)));
}

TEST_CASE("rnn: layers above each other and in both directions are composed of single ones") {
  manual_seed(2);
  const Tensor x = random({5, 3, 4}), h_0 = random({4, 3, 6}), c_0 = random({4, 3, 6});
  nn::LSTM lstm(4, 6, {.num_layers = 2, .bidirectional = true});
  to(lstm, float64);
  const auto [output, h_n, c_n] = lstm(x, {.h_0 = h_0, .c_0 = c_0});
  CHECK(output.shape() == Shape{5, 3, 12});
  Tensor input = x;
  for (int64_t layer = 0; layer < 2; ++layer) {
    std::vector<Tensor> sides;
    for (int64_t side = 0; side < 2; ++side) {
      const int64_t i = 2 * layer + side;
      const nn::LSTM one = single(lstm, size_t(i));
      const auto found = one(side ? flip(input, {0}) : input, {narrow(h_0, 0, i, 1), narrow(c_0, 0, i, 1)});
      CHECK(distance(select(h_n, 0, i), select(found.h_n, 0, 0)) < 1e-14);
      CHECK(distance(select(c_n, 0, i), select(found.c_n, 0, 0)) < 1e-14);
      sides.push_back(side ? flip(found.output, {0}) : found.output);
    }
    input = cat(sides, 2);
  }
  CHECK(distance(output, input) < 1e-14);
  nn::GRU gru(4, 6, {.num_layers = 2});
  to(gru, float64);
  const Tensor h_gru = narrow(h_0, 0, 0, 2);
  const auto lower = single(gru, 0)(x, {.h_0 = narrow(h_0, 0, 0, 1)});
  const auto upper = single(gru, 1)(lower.output, {.h_0 = narrow(h_0, 0, 1, 1)});
  CHECK(distance(gru(x, {.h_0 = h_gru}).output, upper.output) < 1e-14);
  CHECK(distance(gru(x, {.h_0 = h_gru}).h_n, cat({lower.h_n, upper.h_n})) < 1e-14);
}

TEST_CASE("rnn: a sequence of a batch that ends early is as if it were alone") {
  manual_seed(3);
  const Tensor x = random({6, 3, 4}), lengths = tensor({6, 1, 4}, int64);
  const auto check = [&](auto layer) {
    to(layer, float64);
    const auto found = layer(x, {.lengths = lengths});
    for (int64_t b = 0; b < 3; ++b) {
      const int64_t length = int64_t(lengths.at(b));
      const auto alone = layer(narrow(narrow(x, 1, b, 1), 0, 0, length));
      CHECK(distance(narrow(narrow(found.output, 1, b, 1), 0, 0, length), alone.output) < 1e-14);
      CHECK(distance(narrow(found.h_n, 1, b, 1), alone.h_n) < 1e-14);
      if constexpr (requires { found.c_n; }) CHECK(distance(narrow(found.c_n, 1, b, 1), alone.c_n) < 1e-14);
      if (length < 6) CHECK(sum(abs(narrow(narrow(found.output, 1, b, 1), 0, length, 6 - length))).item() == 0);
    }
  };
  check(nn::LSTM(4, 5, {.num_layers = 2, .bidirectional = true}));
  check(nn::GRU(4, 5, {.num_layers = 2, .bidirectional = true}));
  check(nn::RNN(4, 5));
}

TEST_CASE("rnn: batch_first, dropout between layers, without a bias") {
  manual_seed(4);
  const Tensor x = random({5, 3, 4}), h_0 = random({2, 3, 6});
  nn::GRU gru(4, 6, {.num_layers = 2, .dropout = 0.5});
  to(gru, float64);
  nn::GRU other = gru;
  other.options.batch_first = true;
  eval(gru);
  eval(other);
  const auto found = other(transpose(x, 0, 1), {.h_0 = h_0});
  CHECK(found.output.shape() == Shape{3, 5, 6});
  CHECK(distance(transpose(found.output, 0, 1), gru(x, {.h_0 = h_0}).output) == 0);
  CHECK(distance(found.h_n, gru(x, {.h_0 = h_0}).h_n) == 0);
  train(gru);
  CHECK(distance(gru(x).output, gru(x).output) > 0.01);
  CHECK(distance(select(gru(x).h_n, 0, 0), select(gru(x).h_n, 0, 0)) == 0);
  eval(gru);
  CHECK(distance(gru(x).output, gru(x).output) == 0);
  nn::LSTM plain(4, 6, {.bias = false}), biased(4, 6);
  plain.weights[0].weight_ih = biased.weights[0].weight_ih;
  plain.weights[0].weight_hh = biased.weights[0].weight_hh;
  biased.weights[0].bias_ih = biased.weights[0].bias_hh = zeros({24});
  CHECK(distance(plain(to(x, float32)).output, biased(to(x, float32)).output) == 0);
}

TEST_CASE("rnn: the names of the weights, their first values, printing") {
  using Names = std::vector<std::string>;
  manual_seed(5);
  nn::LSTM lstm(3, 4, {.num_layers = 2, .bidirectional = true});
  CHECK(names(lstm) == Names{"weight_ih_l0", "weight_hh_l0", "bias_ih_l0", "bias_hh_l0", "weight_ih_l0_reverse",
                             "weight_hh_l0_reverse", "bias_ih_l0_reverse", "bias_hh_l0_reverse", "weight_ih_l1",
                             "weight_hh_l1", "bias_ih_l1", "bias_hh_l1", "weight_ih_l1_reverse", "weight_hh_l1_reverse",
                             "bias_ih_l1_reverse", "bias_hh_l1_reverse"});
  CHECK(lstm.weights[3].weight_ih.shape() == Shape{16, 8});
  CHECK(names(nn::GRU(3, 4, {.num_layers = 2, .bias = false})) ==
        Names{"weight_ih_l0", "weight_hh_l0", "weight_ih_l1", "weight_hh_l1"});
  CHECK(names(nn::GRUCell(3, 4)) == Names{"weight_ih", "weight_hh", "bias_ih", "bias_hh"});
  CHECK(count(nn::RNN(3, 4)) == 4 * 3 + 4 * 4 + 4 + 4);
  const nn::LSTM wide(100, 100);
  for (const auto& [name, tensor] : named_parameters(wide)) {
    CHECK(amax(abs(tensor)).item() <= 0.1f);
    CHECK(amax(tensor).item() > 0.09f);
  }
  nn::LSTM loaded(3, 4, {.num_layers = 2, .bidirectional = true});
  load_state_dict(loaded, state_dict(lstm));
  const Tensor x = randn({2, 1, 3});
  CHECK(distance(loaded(x).output, lstm(x).output) == 0);
  std::ostringstream text;
  text << nn::GRU(3, 4);
  CHECK(text.str() ==
        "GRU(input_size=3, hidden_size=4, num_layers=1, batch_first=false, dropout=0, bidirectional=false, "
        "weight_ih_l0=[12, 3], weight_hh_l0=[12, 4], bias_ih_l0=[12], bias_hh_l0=[12], training=true)");
}

TEST_CASE("rnn: the same bits at any number of threads") {
  const int before = num_threads();
  for (const Recurrence kind : {Recurrence::rnn_tanh, Recurrence::lstm, Recurrence::gru}) {
    std::vector<Tensor> results[2];
    for (const int threads : {1, 2}) {
      set_num_threads(threads);
      manual_seed(6);
      const int64_t n = 40, width = gate_count(kind) * n;
      const Tensor gates = uniform({30, 27, width}, -1, 1).requires_grad(),
                   state = uniform({state_count(kind), 27, n}, -1, 1).requires_grad(),
                   weight = uniform({width, n}, -0.2, 0.2).requires_grad(), bias = randn({width}).requires_grad();
      const Tensor y = recurrence(kind, gates, state, weight, bias);
      results[threads - 1] = grad({y}, {gates, state, weight, bias}, {}, {randn(y.shape())});
      results[threads - 1].push_back(y);
    }
    for (size_t i = 0; i < results[0].size(); ++i)
      CHECK(results[0][i].to_vector<float>() == results[1][i].to_vector<float>());
  }
  set_num_threads(before);
}

TEST_CASE("rnn: empty sequences and batches") {
  const nn::LSTM lstm(3, 4, {.bidirectional = true});
  const auto none = lstm(zeros({0, 2, 3}), {.h_0 = ones({2, 2, 4}), .c_0 = ones({2, 2, 4})});
  CHECK(none.output.shape() == Shape{0, 2, 8});
  CHECK(distance(none.h_n, ones({2, 2, 4})) == 0);
  sum(none.h_n).backward();
  CHECK(lstm(zeros({5, 0, 3})).output.shape() == Shape{5, 0, 8});
  sum(lstm(zeros({5, 0, 3})).output).backward();
}

TEST_CASE("rnn: errors") {
  const Tensor gates = zeros({5, 3, 16}), state = zeros({2, 3, 4}), weight = zeros({16, 4}), bias = zeros({16});
  const auto lstm = [&](const Tensor& a, const Tensor& s, const Tensor& w, const Tensor& b, const Tensor& n = {}) {
    return error_here([&] { recurrence(Recurrence::lstm, a, s, w, b, {.lengths = n}); });
  };
  CHECK(lstm(gates, state, weight, zeros({12}))
            .starts_with("lstm: weight is [16, 4] and bias [12]; they must be [4·H, H] and [4·H]"));
  CHECK(error_here([&] { recurrence(Recurrence::rnn_tanh, gates, state, weight); }) ==
        "rnn_tanh: weight is [16, 4] and bias [16]; they must be [H, H] and [H] (here)");
  CHECK(lstm(zeros({5, 16}), state, weight, bias)
            .starts_with("lstm: gates is [5, 16] and weight [16, 4]; gates must be [T, B, 16]"));
  CHECK(error_here([&] { recurrent_step(Recurrence::lstm, gates, state, weight); }) ==
        "lstm: gates is [5, 3, 16] and weight [16, 4]; gates must be [B, 16] (here)");
  CHECK(lstm(gates, zeros({3, 4}), weight, bias)
            .starts_with("lstm: state is [3, 4] and gates [5, 3, 16]; state must be [2, 3, 4]"));
  CHECK(
      lstm(gates, to(state, float64), weight, bias)
          .starts_with("lstm: gates, state, weight and bias must have the same floating-point dtype; gates is float32 "
                       "and another float64"));
  CHECK(lstm(gates, state, weight, bias, tensor({1, 2}, int64))
            .starts_with("lstm: lengths must be int64 and [3], not int64 and [2]"));
  CHECK(lstm(gates, state, weight, bias, tensor({1, 2, 6}, int64))
            .starts_with("lstm: lengths[2] is 6, but there are 5 steps"));

  const nn::LSTM layer(3, 4);
  CHECK(error_here([&] { layer(zeros({5, 4})); }) == "LSTM: x is [5, 4]; it must be [T, B, 3] or [T, 3] (here)");
  CHECK(error_here([&] {
          layer(zeros({5, 3}), {.h_0 = zeros({1, 1, 4})});
        }) == "LSTM: h_0 is [1, 1, 4]; it must be [1, 4] (here)");
  CHECK(error_here([&] {
          nn::GRU(3, 4, {.batch_first = true})(zeros({5, 2, 4}));
        }) == "GRU: x is [5, 2, 4]; it must be [B, T, 3] or [T, 3] (here)");
  CHECK(error_here([&] {
          layer(zeros({5, 2, 3}), {.h_0 = zeros({2, 4})});
        }) == "LSTM: h_0 is [2, 4]; it must be [1, 2, 4] (here)");
  CHECK(error_here([&] {
          nn::RNN(3, 4)(zeros({5, 2, 3}), {.c_0 = zeros({1, 2, 4})});
        }) == "RNN: there is a c_0, but only an LSTM has cell states (here)");
  CHECK(error_here([] { nn::LSTM(0, 4); }) ==
        "LSTM: input_size is 0 and hidden_size 4; both must be at least 1 (here)");
  CHECK(error_here([] { nn::GRU(3, 4, {.num_layers = 0}); }) ==
        "GRU: num_layers is 0 and dropout 0.000000; there must be a layer, and dropout must be a probability (here)");
  CHECK(error_here([] { nn::GRUCell(3, 4)(zeros({4})); }) == "GRUCell: x is [4]; it must be [B, 3] or [3] (here)");
  CHECK(error_here([] {
          nn::LSTMCell(3, 4)(zeros({3}), {zeros({4}), zeros({1, 4})});
        }) == "LSTMCell: c is [1, 4]; it must be [4] (here)");
  CHECK(error_here([] {
          nn::LSTMCell(3, 4)(zeros({2, 3}), {zeros({2, 4}), zeros({2, 3})});
        }) == "LSTMCell: c is [2, 3]; it must be [2, 4] (here)");
}
