#include "nn/rnn.h"

#include <cmath>

#include "nn/init.h"
#include "ops/comparison.h"
#include "ops/create.h"
#include "ops/index.h"
#include "ops/join.h"
#include "ops/matmul.h"
#include "ops/softmax.h"
#include "ops/view.h"

namespace gradus::nn {
namespace {

Recurrence rnn_with(Nonlinearity nonlinearity) {
  return nonlinearity == Nonlinearity::relu ? Recurrence::rnn_relu : Recurrence::rnn_tanh;
}

void require_input(const Tensor& x, const char* expected, int dims, int64_t input_size) {
  if (x.dim() != dims || x.shape().back() != input_size)
    fail("x is " + to_string(x.shape()) + "; it must be [" + expected + ", " + std::to_string(input_size) + "]" +
         (dims == 3 ? " or [T, " : " or [") + std::to_string(input_size) + "]");
}

void require_state(const char* name, const Tensor& state, const Shape& shape) {
  if (state.defined() && state.shape() != shape)
    fail(std::string(name) + " is " + to_string(state.shape()) + "; it must be " + to_string(shape));
}

// What one sequence, or one input of a cell, begins with, as a batch of one.
Tensor batch_of_one(const char* name, const Tensor& state, const Shape& shape, int64_t dim) {
  require_state(name, state, shape);
  return state.defined() ? unsqueeze(state, dim) : state;
}

// One step of a cell. The state is [B, hidden_size] each, the result [number of states, B, hidden_size].
Tensor step(const char* name, Recurrence recurrence, const RecurrentWeights& weights, const Arg& x,
            const LSTMState& state) {
  const Scope scope(name, x.where());
  const int64_t input_size = weights.weight_ih.size(1), hidden_size = weights.weight_hh.size(1);
  if (x->shape() == Shape{input_size}) {  // not a batch
    const Shape shape{hidden_size};
    const LSTMState states{batch_of_one("h", state.h, shape, 0), batch_of_one("c", state.c, shape, 0)};
    return squeeze(step(name, recurrence, weights, unsqueeze(x, 0), states), 1);
  }
  require_input(*x, "B", 2, input_size);
  const Tensor gates = linear(x, weights.weight_ih, weights.bias_ih);
  const Shape shape{x->size(0), hidden_size};
  PooledVector<Tensor> states;
  const auto add = [&](const char* what, const Tensor& part) {
    require_state(what, part, shape);
    states.push_back(part.defined() ? part : zeros(shape, gates.dtype(), gates.device()));
  };
  add("h", state.h);
  if (recurrence == Recurrence::lstm) add("c", state.c);
  return recurrent_step(recurrence, gates, stack(states), weights.weight_hh, weights.bias_hh);
}

RecurrentWeights cell_weights(const char* name, Recurrence recurrence, int64_t input_size, int64_t hidden_size,
                              RecurrentCellOptions options, Location where) {
  const Scope scope(name, where);
  return {recurrence, input_size, hidden_size, options.bias};
}

}  // namespace

RecurrentWeights::RecurrentWeights(Recurrence recurrence, int64_t input_size, int64_t hidden_size, bool bias) {
  if (input_size < 1 || hidden_size < 1)
    fail("input_size is " + std::to_string(input_size) + " and hidden_size " + std::to_string(hidden_size) +
         "; both must be at least 1");
  const double bound = 1 / std::sqrt(double(hidden_size));
  const int64_t width = gate_count(recurrence) * hidden_size;
  const auto parameter = [&](const Shape& shape) {
    return init::uniform_(Tensor::empty(shape), -bound, bound).requires_grad();
  };
  weight_ih = parameter({width, input_size});
  weight_hh = parameter({width, hidden_size});
  if (!bias) return;
  bias_ih = parameter({width});
  bias_hh = parameter({width});
}

Recurrent::Recurrent(const char* name, Recurrence kind, int64_t inputs, int64_t hidden,
                     const RecurrentOptions& settings, Location where)
    : recurrence(kind), input_size(inputs), hidden_size(hidden), options(settings) {
  const Scope scope(name, where);
  if (options.num_layers < 1 || !(options.dropout >= 0 && options.dropout <= 1))
    fail("num_layers is " + std::to_string(options.num_layers) + " and dropout " + std::to_string(options.dropout) +
         "; there must be a layer, and dropout must be a probability");
  const int64_t directions = options.bidirectional ? 2 : 1;
  for (int64_t i = 0; i < options.num_layers * directions; ++i)
    weights.emplace_back(recurrence, i < directions ? input_size : directions * hidden_size, hidden_size, options.bias);
}

std::string Recurrent::suffix(size_t i) const {
  if (!options.bidirectional) return "_l" + std::to_string(i);
  return "_l" + std::to_string(i / 2) + (i % 2 ? "_reverse" : "");
}

LSTMOutput Recurrent::run(const char* name, const Arg& x, const RecurrentInputs& inputs) const {
  const Scope scope(name, x.where());
  if (x->dim() == 2 && x->size(1) == input_size) {  // a single sequence
    const Shape shape{int64_t(weights.size()), hidden_size};
    if (inputs.lengths.defined()) fail("there are lengths, but x is a single sequence");
    const RecurrentInputs states{batch_of_one("h_0", inputs.h_0, shape, 1), batch_of_one("c_0", inputs.c_0, shape, 1)};
    const int at = options.batch_first ? 0 : 1;
    const auto [output, h_n, c_n] = run(name, unsqueeze(x, at), states);
    return {squeeze(output, at), squeeze(h_n, 1), c_n.defined() ? squeeze(c_n, 1) : c_n};
  }
  require_input(*x, options.batch_first ? "B, T" : "T, B", 3, input_size);
  Tensor input = options.batch_first ? transpose(x, 0, 1) : *x;
  const int64_t steps = input.size(0), batch = input.size(1), directions = options.bidirectional ? 2 : 1;
  const Shape shape{int64_t(weights.size()), batch, hidden_size};
  const bool has_cell = recurrence == Recurrence::lstm;
  require_state("h_0", inputs.h_0, shape);
  require_state("c_0", inputs.c_0, shape);
  if (inputs.c_0.defined() && !has_cell) fail("there is a c_0, but only an LSTM has cell states");

  const Tensor zero = zeros({batch, hidden_size}, input.dtype(), input.device());
  PooledVector<Tensor> outputs, h_n, c_n;
  for (size_t i = 0; i < weights.size(); ++i) {
    const auto& [weight_ih, weight_hh, bias_ih, bias_hh] = weights[i];
    const bool reverse = i % size_t(directions) == 1;
    PooledVector<Tensor> state{inputs.h_0.defined() ? select(inputs.h_0, 0, int64_t(i)) : zero};
    if (has_cell) state.push_back(inputs.c_0.defined() ? select(inputs.c_0, 0, int64_t(i)) : zero);
    const Tensor states = gradus::recurrence(recurrence, linear(input, weight_ih, bias_ih), stack(state), weight_hh,
                                             bias_hh, {.reverse = reverse, .lengths = inputs.lengths});
    outputs.push_back(narrow(select(states, 0, 0), 0, !reverse, steps));
    const Tensor last = select(states, 1, reverse ? 0 : steps);
    h_n.push_back(select(last, 0, 0));
    if (has_cell) c_n.push_back(select(last, 0, 1));
    if (int64_t(outputs.size()) < directions) continue;
    input = directions == 1 ? outputs[0] : cat(outputs, 2);
    outputs.clear();
    if (i + 1 < weights.size()) input = dropout(input, options.dropout, training);
  }
  if (inputs.lengths.defined())
    input = masked_fill(input, unsqueeze(unsqueeze(arange(steps, input.device()), 1) >= inputs.lengths, 2), 0);
  return {options.batch_first ? transpose(input, 0, 1) : input, stack(h_n), has_cell ? stack(c_n) : Tensor()};
}

RNN::RNN(int64_t inputs, int64_t hidden, const RecurrentOptions& settings, Location where)
    : Recurrent("RNN", rnn_with(settings.nonlinearity), inputs, hidden, settings, where) {}

RecurrentOutput RNN::operator()(const Arg& x, const RecurrentInputs& inputs) const {
  auto [output, h_n, none] = run("RNN", x, inputs);
  return {output, h_n};
}

LSTM::LSTM(int64_t inputs, int64_t hidden, const RecurrentOptions& settings, Location where)
    : Recurrent("LSTM", Recurrence::lstm, inputs, hidden, settings, where) {}

LSTMOutput LSTM::operator()(const Arg& x, const RecurrentInputs& inputs) const { return run("LSTM", x, inputs); }

GRU::GRU(int64_t inputs, int64_t hidden, const RecurrentOptions& settings, Location where)
    : Recurrent("GRU", Recurrence::gru, inputs, hidden, settings, where) {}

RecurrentOutput GRU::operator()(const Arg& x, const RecurrentInputs& inputs) const {
  auto [output, h_n, none] = run("GRU", x, inputs);
  return {output, h_n};
}

RNNCell::RNNCell(int64_t input_size, int64_t hidden_size, RecurrentCellOptions options, Location where)
    : RecurrentWeights(
          cell_weights("RNNCell", rnn_with(options.nonlinearity), input_size, hidden_size, options, where)),
      recurrence(rnn_with(options.nonlinearity)) {}

Tensor RNNCell::operator()(const Arg& x, const Tensor& h) const {
  return select(step("RNNCell", recurrence, *this, x, {h, {}}), 0, 0);
}

LSTMCell::LSTMCell(int64_t input_size, int64_t hidden_size, RecurrentCellOptions options, Location where)
    : RecurrentWeights(cell_weights("LSTMCell", Recurrence::lstm, input_size, hidden_size, options, where)) {}

LSTMState LSTMCell::operator()(const Arg& x, const LSTMState& state) const {
  const Tensor next = step("LSTMCell", Recurrence::lstm, *this, x, state);
  return {select(next, 0, 0), select(next, 0, 1)};
}

GRUCell::GRUCell(int64_t input_size, int64_t hidden_size, RecurrentCellOptions options, Location where)
    : RecurrentWeights(cell_weights("GRUCell", Recurrence::gru, input_size, hidden_size, options, where)) {}

Tensor GRUCell::operator()(const Arg& x, const Tensor& h) const {
  return select(step("GRUCell", Recurrence::gru, *this, x, {h, {}}), 0, 0);
}

}  // namespace gradus::nn
