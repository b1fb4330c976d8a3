// Training steps of recurrent networks: one layer over a sequence, and a guess of a class at every step.

#include "benchmarks/libtorch/training.h"

using torch::Tensor;

namespace {

template <class Layer> struct RecurrentNet : torch::nn::Module {
  Layer layer{workloads::recurrent::inputs, workloads::recurrent::hidden};
  torch::nn::Linear out{workloads::recurrent::hidden, workloads::recurrent::classes};

  RecurrentNet() {
    register_module("layer", layer);
    register_module("out", out);
  }
  /// x: [T, B, inputs] → [T·B, classes]
  Tensor forward(const Tensor& x) { return out(std::get<0>(layer(x)).flatten(0, 1)); }
};

template <class Layer> void add_layer(const char* name) {
  using namespace workloads::recurrent;
  workloads::add(name, [] {
    torch::manual_seed(1);
    Tensor x = torch::randn({length, batch, inputs}), target = torch::randint(classes, {length * batch}, torch::kLong);
    return training_step<torch::optim::Adam>(
        std::make_shared<RecurrentNet<Layer>>(), torch::optim::AdamOptions(1e-3),
        [=](RecurrentNet<Layer>& net) { return torch::nn::functional::cross_entropy(net.forward(x), target); });
  });
}

}  // namespace

void workloads::add_recurrent() {
  add_layer<torch::nn::LSTM>("lstm");
  add_layer<torch::nn::GRU>("gru");
  add_layer<torch::nn::RNN>("rnn_tanh");
}
