#pragma once
// Recurrent networks: the tanh or ReLU RNN of Elman ("Finding structure in time", 1990), the LSTM (Hochreiter and
// Schmidhuber, "Long short-term memory", 1997; with the forget gate of Gers et al., 2000) and the GRU (Cho et al.,
// "Learning phrase representations using RNN encoder-decoder", 2014), with PyTorch's order of gates.

#include "core/arg.h"

namespace gradus {

/// How the next state follows from the gates a = W·x + b and u = U·h + c, with one part of each for every gate:
///   rnn    h' = tanh(a + u), or relu(a + u)
///   lstm   i, f, o = sigmoid(a + u), g = tanh(a + u); c' = f·c + i·g; h' = o·tanh(c')
///   gru    r, z = sigmoid(a + u); n = tanh(a + r·u); h' = (1 − z)·n + z·h
enum class Recurrence { rnn_tanh, rnn_relu, lstm, gru };

/// The number of gates: 1, 4 for an LSTM (i, f, g, o), 3 for a GRU (r, z, n).
constexpr int64_t gate_count(Recurrence recurrence) {
  return recurrence == Recurrence::lstm ? 4 : recurrence == Recurrence::gru ? 3 : 1;
}
/// The number of tensors in a state: 2 for an LSTM (hidden and cell state), else 1.
constexpr int64_t state_count(Recurrence recurrence) { return recurrence == Recurrence::lstm ? 2 : 1; }

struct RecurrenceOptions {
  bool reverse = false;  ///< from the last step to the first
  /// int64 [B]: how many steps each sequence has; beyond them its state stays as it is. Undefined: all T.
  Tensor lengths = {};
};

/// One layer in one direction over whole sequences, as one step of the tape, given what the inputs add to the gates:
/// gates: [T, B, G·H] = linear(x, weight_ih, bias_ih). state: [S, B, H], before the first step; weight: [G·H, H] and
/// bias: [G·H] (or undefined), of the hidden state. Returns the states before the first step and after each: [S, T + 1,
/// B, H], in the order of time. In reverse, place T is that before the first step (of time T − 1), and place 0 is the
/// last.
Tensor recurrence(Recurrence recurrence, const Arg& gates, const Tensor& state, const Tensor& weight,
                  const Tensor& bias = {}, const RecurrenceOptions& options = {});

/// The same for one step, written in simple operations: gates: [B, G·H], state: [S, B, H] → [S, B, H].
Tensor recurrent_step(Recurrence recurrence, const Arg& gates, const Tensor& state, const Tensor& weight,
                      const Tensor& bias = {});

}  // namespace gradus
