#pragma once
// The work that no implementation of a workload can avoid.
//
//   operations  of matrix products and convolutions, an addition and a multiplication counted as two; what is done
//               element by element is free
//   bytes       the traffic that is left when every operation on elements is fused with its neighbours:
//                 a parameter   read forward and backward, its gradient written and read, itself and the optimizer's
//                               state read and written
//                 an activation written and read forward, read backward, its gradient written and read
//   working_set the distinct bytes that are touched: it says which level of the memory has to deliver the bytes

#include <string>
#include <vector>

#include "benchmarks/shapes.h"

namespace workloads {

struct Cost {
  std::string name;
  double operations, bytes, working_set;
};

/// Of an optimizer: the bytes moved, and those held, for each parameter.
struct ParameterBytes {
  double moved, held;
};
constexpr double number = sizeof(float);
constexpr ParameterBytes plain_sgd{6 * number, 2 * number}, momentum_sgd{8 * number, 3 * number},
    adam{10 * number, 4 * number};

/// Of a training step: how many numbers of each kind there are.
struct Amounts {
  double parameters, activations, inputs;
};
inline Cost training_cost(const std::string& name, double operations, const ParameterBytes& each, const Amounts& of) {
  return {name, operations, each.moved * of.parameters + number * (5 * of.activations + 2 * of.inputs),
          each.held * of.parameters + number * (2 * of.activations + of.inputs)};
}

/// A step of a network of three linear layers: forward, and the gradients of inputs (but for the first layer's) and
/// weights take a product each.
inline Cost mlp_cost(const std::string& name, double examples, const ParameterBytes& each, double in, double first,
                     double second, double out) {
  const double weights = in * first + first * second + second * out;
  return training_cost(name, 2 * examples * (3 * weights - in * first), each,
                       {weights + first + second + out, examples * (first + second + out), examples * in});
}

inline Cost cnn_cost() {
  using namespace cnn;
  const double half = side / 2, quarter = side / 4;
  const double first = 9 * channels1, second = 9 * channels1 * channels2;  // weights
  const double third = features * cnn::hidden, fourth = cnn::hidden * classes;
  const double products = 2 * pixels * first + 3 * (half * half * second + third + fourth);
  const double activations =
      channels1 * (pixels + half * half) + channels2 * (half * half + quarter * quarter) + cnn::hidden + classes;
  return training_cost("cnn", 2 * batch * products, adam,
                       {first + second + third + fourth + channels1 + channels2 + cnn::hidden + classes,
                        batch * activations, double(batch * pixels)});
}

inline Cost residual_cost() {
  using namespace residual;
  const double values = double(residual::batch) * channels * residual::side * residual::side;
  const double convolutions = 2 * blocks, weights = 9 * channels * channels;
  return training_cost("resblock", 2 * values * 9 * channels * (3 * convolutions - 1), momentum_sgd,
                       {convolutions * (weights + 2 * channels), 2 * convolutions * values, values});
}

/// `gates`: 4 of an LSTM, 3 of a GRU, 1 of a plain network.
inline Cost recurrent_cost(const std::string& name, double gates) {
  using namespace recurrent;
  const double from_input = inputs * gates * recurrent::hidden,
               from_state = gates * recurrent::hidden * recurrent::hidden, out = recurrent::hidden * recurrent::classes,
               steps = length * recurrent::batch;
  const double states = gates > 1 ? 2 : 1;  // the new one, and the cell's or the candidate
  return training_cost(name, 2 * steps * (2 * from_input + 3 * from_state + 3 * out), adam,
                       {from_input + from_state + 2 * gates * recurrent::hidden + out + recurrent::classes,
                        steps * ((gates + states) * recurrent::hidden + recurrent::classes), steps * inputs});
}

inline Cost gpt_cost() {
  using namespace gpt;
  const double tokens = gpt::batch * length, matrices = 12 * width * width;  // of weights in a layer
  const double products = layers * (matrices + 2. * length * width) + width * characters;
  const double parameters = (characters + length) * width + layers * (matrices + 13 * width) + 2 * width;
  const double activations = layers * (16 * width + heads * length) + 2 * width + characters;
  return training_cost("gpt", 3 * 2 * tokens * products, adam, {parameters, tokens * activations, tokens});
}

inline void add_products(std::vector<Cost>& costs) {
  using namespace operations;
  for (double n : matrix_sizes) {
    const std::string name = "matmul" + std::to_string(int(n));
    const double matrix = number * n * n;
    costs.push_back({name + ".fwd", 2 * n * n * n, 3 * matrix, 3 * matrix});
    costs.push_back({name + ".fwdbwd", 6 * n * n * n, 9 * matrix, 6 * matrix});
  }
  for (const Convolution& shape : convolutions) {
    const double places = double(shape.batch * shape.side * shape.side),
                 weights = double(9 * shape.channels * shape.kernels);
    const double x = number * places * double(shape.channels), y = number * places * double(shape.kernels),
                 w = number * weights;
    costs.push_back({shape.name + std::string(".fwd"), 2 * places * weights, x + y + w, x + y + w});
    costs.push_back(
        {shape.name + std::string(".fwdbwd"), 6 * places * weights, 3 * x + 3 * y + 4 * w, 2 * (x + y + w)});
  }
}

/// What only moves memory: `unit` bytes so many times.
struct Passes {
  const char* name;
  double unit, forward, both, held_forward, held_both;
};

inline void add_memory_bound(std::vector<Cost>& costs) {
  using namespace operations;
  const double logits = number * examples * operations::classes, rows = number * layer_norm_rows * layer_norm_width,
               images = number * norm_batch * norm_channels * norm_side * norm_side, vector = number * elements,
               matrix = number * matrix_side * matrix_side, sums = number * broadcast_rows * broadcast_width;
  const Passes all[] = {
      {"softmax_ce", logits, 1, 3, 1, 2},  // the loss takes one read; backward reads again and writes
      {"layernorm", rows, 2, 5, 2, 4},
      {"batchnorm", images, 3, 8, 2, 4},  // the statistics take a read of their own, both ways
      {"gelu", vector, 2, 5, 2, 4},
      {"tanh", vector, 2, 5, 2, 4},
      {"exp", vector, 2, 5, 2, 4},
      {"sum0", matrix, 1, 2, 1, 2},
      {"sum1", matrix, 1, 2, 1, 2},
      {"bcast_add", sums, 2, 4, 2, 4},  // backward: the gradient read, for the row's, and written
      {"transpose", matrix, 2, 4, 2, 4},
  };
  for (const Passes& each : all) {
    costs.push_back({each.name + std::string(".fwd"), 0, each.forward * each.unit, each.held_forward * each.unit});
    costs.push_back({each.name + std::string(".fwdbwd"), 0, each.both * each.unit, each.held_both * each.unit});
  }
  const double found = number * lookups * vector_width, table = number * vectors * vector_width;
  costs.push_back({"embedding.fwd", 0, 2 * found, found + table});
  costs.push_back({"embedding.fwdbwd", 0, 5 * found + table, 2 * (found + table)});
}

/// Of every workload but the chains of operations.
inline std::vector<Cost> costs() {
  std::vector<Cost> all;
  for (int examples : {1, 32})
    all.push_back(mlp_cost("scalar_mlp_b" + std::to_string(examples), examples, plain_sgd, 2, 16, 16, 1));
  all.push_back(mlp_cost("mlp", batch, momentum_sgd, pixels, hidden1, hidden2, classes));
  all.push_back(cnn_cost());
  all.push_back(residual_cost());
  all.push_back(recurrent_cost("lstm", 4));
  all.push_back(recurrent_cost("gru", 3));
  all.push_back(recurrent_cost("rnn_tanh", 1));
  all.push_back(gpt_cost());
  add_products(all);
  add_memory_bound(all);
  return all;
}

}  // namespace workloads
