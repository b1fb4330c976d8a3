#pragma once
// Recurrent layers: Elman's RNN, the LSTM and the GRU, over whole sequences and step by step; see ops/rnn.h. All also
// take what is no batch, x: [T, input_size], or [input_size] for a cell; states and results are then without B.

#include <string>
#include <vector>

#include "core/arg.h"
#include "nn/module.h"
#include "ops/rnn.h"

namespace gradus::nn {

enum class Nonlinearity { tanh, relu };

/// What one layer learns in one direction; G is 1 for an RNN, 4 for an LSTM, 3 for a GRU.
struct RecurrentWeights {
  Tensor weight_ih;  ///< [G * hidden_size, input_size]
  Tensor weight_hh;  ///< [G * hidden_size, hidden_size]
  Tensor bias_ih;    ///< [G * hidden_size]; undefined without a bias
  Tensor bias_hh;    ///< likewise

  /// All are uniform in ±1/√hidden_size, as in PyTorch.
  RecurrentWeights(Recurrence recurrence, int64_t input_size, int64_t hidden_size, bool bias);
  GRADUS_FIELDS(weight_ih, weight_hh, bias_ih, bias_hh)
};

struct RecurrentOptions {
  int64_t num_layers = 1;  ///< one above the other
  bool bias = true;
  bool batch_first = false;    ///< x and output are [B, T, ...] instead of [T, B, ...]; states are not affected
  double dropout = 0;          ///< in training, between the layers
  bool bidirectional = false;  ///< a second network goes backward; the outputs of both lie side by side
  Nonlinearity nonlinearity = Nonlinearity::tanh;  ///< of an RNN
};

/// What may be given besides x.
struct RecurrentInputs {
  Tensor h_0 = {};      ///< the first hidden states, [num_layers * directions, B, hidden_size]; undefined: zeros
  Tensor c_0 = {};      ///< the first cell states of an LSTM, likewise
  Tensor lengths = {};  ///< int64 [B], of sequences shorter than T, which are then filled up with anything
};

struct RecurrentOutput {
  Tensor output;  ///< the hidden states of the last layer, [T, B, directions * hidden_size]; 0 beyond a sequence's end
  Tensor h_n;     ///< the last hidden states of every layer, [num_layers * directions, B, hidden_size]
};
struct LSTMOutput {
  Tensor output, h_n;  ///< as above
  Tensor c_n;          ///< the last cell states, shaped as h_n
};

/// What RNN, LSTM and GRU have in common. The weights are named as in PyTorch: weight_ih_l0, weight_hh_l0, bias_ih_l0,
/// bias_hh_l0, weight_ih_l0_reverse, …, weight_ih_l1, …
struct Recurrent {
  Recurrence recurrence;
  int64_t input_size, hidden_size;
  RecurrentOptions options;
  std::vector<RecurrentWeights> weights;  // of layer 0 forward, layer 0 backward, layer 1 forward, …
  Training training;

  template <class F> void each(F&& f) const {
    f("input_size", input_size);
    f("hidden_size", hidden_size);
    f("num_layers", options.num_layers);
    f("batch_first", options.batch_first);
    f("dropout", options.dropout);
    f("bidirectional", options.bidirectional);
    for (size_t i = 0; i < weights.size(); ++i)
      weights[i].each([&](std::string_view name, const Tensor& tensor) { f(std::string(name) + suffix(i), tensor); });
    f("training", training);
  }

 protected:
  Recurrent(const char* name, Recurrence recurrence, int64_t input_size, int64_t hidden_size,
            const RecurrentOptions& options, Location where);
  LSTMOutput run(const char* name, const Arg& x, const RecurrentInputs& inputs) const;

 private:
  std::string suffix(size_t i) const;
};

/// x: [T, B, input_size] → output, h_n: `auto [output, h_n] = rnn(x, {.h_0 = h})`.
struct RNN : Recurrent {
  RNN(int64_t input_size, int64_t hidden_size, const RecurrentOptions& options = {}, Location where = Location::here());
  RecurrentOutput operator()(const Arg& x, const RecurrentInputs& inputs = {}) const;
};

/// x: [T, B, input_size] → output, h_n, c_n: `auto [output, h_n, c_n] = lstm(x, {.h_0 = h, .c_0 = c})`.
struct LSTM : Recurrent {
  LSTM(int64_t input_size, int64_t hidden_size, const RecurrentOptions& options = {},
       Location where = Location::here());
  LSTMOutput operator()(const Arg& x, const RecurrentInputs& inputs = {}) const;
};

/// x: [T, B, input_size] → output, h_n: `auto [output, h_n] = gru(x, {.h_0 = h})`.
struct GRU : Recurrent {
  GRU(int64_t input_size, int64_t hidden_size, const RecurrentOptions& options = {}, Location where = Location::here());
  RecurrentOutput operator()(const Arg& x, const RecurrentInputs& inputs = {}) const;
};

struct RecurrentCellOptions {
  bool bias = true;
  Nonlinearity nonlinearity = Nonlinearity::tanh;  ///< of an RNNCell
};

/// One step of an RNN. x: [B, input_size], h: [B, hidden_size] (undefined: zeros) → the next h.
struct RNNCell : RecurrentWeights {
  Recurrence recurrence;
  RNNCell(int64_t input_size, int64_t hidden_size, RecurrentCellOptions options = {},
          Location where = Location::here());
  Tensor operator()(const Arg& x, const Tensor& h = {}) const;
};

struct LSTMState {
  Tensor h, c;  ///< [B, hidden_size]; undefined: zeros
};
/// One step of an LSTM. x: [B, input_size] → the next state: `auto [h, c] = cell(x, {h, c})`.
struct LSTMCell : RecurrentWeights {
  LSTMCell(int64_t input_size, int64_t hidden_size, RecurrentCellOptions options = {},
           Location where = Location::here());
  LSTMState operator()(const Arg& x, const LSTMState& state = {}) const;
};

/// One step of a GRU. x: [B, input_size], h: [B, hidden_size] (undefined: zeros) → the next h.
struct GRUCell : RecurrentWeights {
  GRUCell(int64_t input_size, int64_t hidden_size, RecurrentCellOptions options = {},
          Location where = Location::here());
  Tensor operator()(const Arg& x, const Tensor& h = {}) const;
};

}  // namespace gradus::nn
