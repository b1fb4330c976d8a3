// examples/first.cpp on libtorch, to compare what it takes to build it.
//   libtorch_first FOLDER    (with the uncompressed files of Fashion-MNIST)

#include <torch/torch.h>

#include <iostream>

struct Net : torch::nn::Module {
  torch::nn::Linear hidden{784, 256}, out{256, 10};
  Net() {
    register_module("hidden", hidden);
    register_module("out", out);
  }
  torch::Tensor forward(const torch::Tensor& x) { return out(torch::relu(hidden(x.flatten(1)))); }
};

int main(int argc, char** argv) {
  using namespace torch::data;
  if (argc != 2) return 2;
  auto stacked = transforms::Stack<>();
  auto train = datasets::MNIST(argv[1]).map(stacked);
  auto test = datasets::MNIST(argv[1], datasets::MNIST::Mode::kTest).map(stacked);
  Net net;
  torch::optim::Adam adam(net.parameters(), 1e-3);
  for (int epoch = 1; epoch <= 5; ++epoch) {
    for (auto& batch : *make_data_loader<samplers::RandomSampler>(train, 64)) {
      adam.zero_grad();
      torch::nn::functional::cross_entropy(net.forward(batch.data), batch.target).backward();
      adam.step();
    }
    torch::NoGradGuard no_grad;
    int64_t correct = 0, count = 0;
    for (auto& batch : *make_data_loader<samplers::SequentialSampler>(test, 1000)) {
      correct += net.forward(batch.data).argmax(1).eq(batch.target).sum().item<int64_t>();
      count += batch.target.size(0);
    }
    std::cout << "epoch " << epoch << ": accuracy " << double(correct) / double(count) << '\n';
  }
  torch::serialize::OutputArchive archive;
  net.save(archive);
  archive.save_to("fashion.pt");
}
