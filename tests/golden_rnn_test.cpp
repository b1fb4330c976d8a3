#include <doctest/doctest.h>

#include "nn/rnn.h"
#include "tests/golden.h"

using namespace gradus;
using golden::Tensors;

namespace {

Tensors tensors_of(const nn::RecurrentOutput& y) { return {y.output, y.h_n}; }
Tensors tensors_of(const nn::LSTMOutput& y) { return {y.output, y.h_n, y.c_n}; }

template <class Layer>
void layers(golden::File& file, const std::string& prefix, nn::Nonlinearity nonlinearity = nn::Nonlinearity::tanh) {
  const auto check = [&](const std::string& name, nn::RecurrentOptions options, const auto& inputs_of,
                         int64_t hidden_size = 4) {
    options.nonlinearity = nonlinearity;
    file.layer(
        prefix + name, [&] { return Layer(3, hidden_size, options); },
        [&](const Layer& net, const Tensors& in) { return tensors_of(net(in[0], inputs_of(in))); });
  };
  const auto none = [](const Tensors&) { return nn::RecurrentInputs{}; };
  const auto states = [](const Tensors& in) {
    return nn::RecurrentInputs{.h_0 = in[1], .c_0 = in.size() == 3 ? in[2] : Tensor()};
  };
  const auto lengths = [](const Tensors& in) { return nn::RecurrentInputs{.lengths = in[1]}; };
  check("plain", {}, none);
  check("wide", {}, none, 17);
  check("no_bias", {.bias = false}, none);
  check("batch_first", {.batch_first = true}, none);
  check("layers", {.num_layers = 3}, none);
  check("bidirectional", {.bidirectional = true}, none);
  check("initial", {}, states);
  check("all", {.num_layers = 2, .batch_first = true, .bidirectional = true}, states);
  check("unbatched", {.num_layers = 2, .bidirectional = true}, none);
  check("unbatched_all", {.batch_first = true}, states);
  check("lengths", {.num_layers = 2, .bidirectional = true}, lengths);
}

template <class Cell> void cells(golden::File& file, const std::string& prefix) {
  const auto check = [&](const std::string& name, const nn::RecurrentCellOptions& options) {
    file.layer(
        prefix + name, [&] { return Cell(3, 4, options); },
        [](const Cell& cell, const Tensors& in) {
          if constexpr (std::is_same_v<Cell, nn::LSTMCell>) {
            const auto [h, c] = in.size() == 1 ? cell(in[0]) : cell(in[0], {in[1], in[2]});
            return Tensors{h, c};
          } else {
            return Tensors{in.size() == 1 ? cell(in[0]) : cell(in[0], in[1])};
          }
        });
  };
  check("plain", {});
  check("no_state", {});
  check("no_bias", {.bias = false});
  if constexpr (std::is_same_v<Cell, nn::RNNCell>) check("relu", {.nonlinearity = nn::Nonlinearity::relu});
}

}  // namespace

TEST_CASE("golden: recurrent layers agree with PyTorch") {
  golden::File file("rnn");
  layers<nn::RNN>(file, "RNN/");
  layers<nn::RNN>(file, "RNN_relu/", nn::Nonlinearity::relu);
  layers<nn::LSTM>(file, "LSTM/");
  layers<nn::GRU>(file, "GRU/");
  cells<nn::RNNCell>(file, "RNNCell/");
  cells<nn::LSTMCell>(file, "LSTMCell/");
  cells<nn::GRUCell>(file, "GRUCell/");
}
