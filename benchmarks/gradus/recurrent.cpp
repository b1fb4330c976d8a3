// Training steps of recurrent networks: one layer over a sequence, and a guess of a class at every step.

#include "benchmarks/gradus/training.h"

using namespace gradus;

namespace {

template <class Layer> struct RecurrentNet {
  Layer layer{workloads::recurrent::inputs, workloads::recurrent::hidden};
  nn::Linear out{workloads::recurrent::hidden, workloads::recurrent::classes};

  /// x: [T, B, inputs] → [T·B, classes]
  Tensor operator()(const Tensor& x) const { return out(flatten(layer(x).output, 0, 1)); }
  GRADUS_FIELDS(layer, out)
};

template <class Layer> void add_layer(const char* name) {
  using namespace workloads::recurrent;
  workloads::add(name, [] {
    manual_seed(1);
    Tensor x = randn({length, batch, inputs}), target = randint(0, classes, {length * batch});
    return training_step<optim::Adam>(RecurrentNet<Layer>(), optim::AdamOptions{.lr = 1e-3},
                                      [=](const RecurrentNet<Layer>& net) { return cross_entropy(net(x), target); });
  });
}

}  // namespace

void workloads::add_recurrent() {
  add_layer<nn::LSTM>("lstm");
  add_layer<nn::GRU>("gru");
  add_layer<nn::RNN>("rnn_tanh");
}
