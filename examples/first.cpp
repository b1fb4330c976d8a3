#include <gradus.h>

#include <iostream>

using namespace gradus;

struct Net {
  nn::Linear hidden{784, 256}, out{256, 10};
  Tensor operator()(const Tensor& x) const { return out(relu(hidden(x))); }
  GRADUS_FIELDS(hidden, out)
};

int main() {
  auto [train, test] = data::fashion_mnist();
  Net net;
  optim::Adam adam(parameters(net), {.lr = 1e-3});
  for (int epoch = 1; epoch <= 5; ++epoch) {
    for (auto [image, label] : data::Loader(train, {.batch = 64, .shuffle = true})) {
      Tensor loss = cross_entropy(net(image), label);
      adam.zero_grad();
      loss.backward();
      adam.step();
    }
    std::cout << "epoch " << epoch << ": accuracy " << accuracy(net, test) << '\n';
  }
  save(net, "fashion.safetensors");
}
