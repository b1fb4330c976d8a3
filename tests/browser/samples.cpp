// Writes the pages that the browser is tested with into a folder: a small network, a Transformer, and names that want
// to be markup. Beside the first, a line "v1[0, 2] 0.25" for each number it shows.

#include <gradus.h>

#include <chrono>
#include <filesystem>
#include <fstream>
#include <iostream>

using namespace gradus;

namespace {

struct Mlp {
  nn::Linear hidden{3, 5}, out{5, 3};
  Tensor operator()(const Tensor& x) const {
    const Tensor h = relu(hidden(x)).named("h");
    return out(h);
  }
  GRADUS_FIELDS(hidden, out)
};

struct Transformer {
  std::vector<nn::TransformerEncoderLayer> blocks;
  nn::Linear head{32, 10};
  Transformer() {
    for (int i = 0; i < 4; ++i)
      blocks.emplace_back(32, 4, nn::TransformerLayerOptions{.dim_feedforward = 64, .batch_first = true});
  }
  Tensor operator()(Tensor x) const {
    for (const nn::TransformerEncoderLayer& block : blocks) x = block(x);
    return reshape(head(x), {-1, 10});
  }
  GRADUS_FIELDS(blocks, head)
};

Tensor mlp_loss() {
  const Mlp net;
  parameters(net);
  const Tensor x = randn({4, 3}).named("x");
  const Tensor target = tensor(std::vector<int64_t>{0, 2, 1, 2}).named("target");
  const Tensor logits = net(x).named("logits");
  return cross_entropy(logits, target);
}

Tensor transformer_loss() {
  const Transformer net;
  parameters(net);
  const Tensor tokens = randn({2, 8, 32}).named("tokens");
  const Tensor target = tensor(std::vector<int64_t>(16, 3)).named("target");
  return cross_entropy(net(tokens), target);
}

Tensor hostile_loss() {
  const Tensor script = randn({2, 2}).named("</script><script>document.title = 'taken'</script>").requires_grad();
  const Tensor image = randn({2, 2}).named("<img src=x onerror=\"document.title='taken'\">").requires_grad();
  const Tensor nan = tensor({NAN, -INFINITY}).named("\"quote' & \x01\x1b[31m <!--").requires_grad();
  return sum(script * image + nan).named(std::string(3000, 'W'));
}

void write_numbers(std::ostream& file, const std::string& name, const Tensor& tensor) {
  if (!tensor.defined()) return;
  for (int64_t i = 0; i < tensor.numel(); ++i) {
    std::string index;
    int64_t rest = i;
    for (int dim = tensor.dim() - 1; dim >= 0; --dim) {
      index = std::to_string(rest % tensor.size(dim)) + (index.empty() ? "" : ", ") + index;
      rest /= tensor.size(dim);
    }
    file << name << (index.empty() ? "" : "[" + index + "]") << '\t' << tensor.at(i) << '\n';
  }
}

void write_page(const Tensor& loss, const std::filesystem::path& path) {
  const auto start = std::chrono::steady_clock::now();
  write_html(loss, path.string());
  const std::chrono::duration<double, std::milli> time = std::chrono::steady_clock::now() - start;
  std::cout << path.filename().string() << ": " << std::filesystem::file_size(path) << " bytes in " << time.count()
            << " ms\n";
}

}  // namespace

int main(int argc, char** argv) {
  if (argc != 2) {
    std::cerr << "usage: page_samples FOLDER\n";
    return 2;
  }
  const std::filesystem::path folder = argv[1];
  std::filesystem::create_directories(folder);
  const KeepValues keep;
  const Tensor loss = mlp_loss();
  write_page(loss, folder / "mlp.html");
  write_page(transformer_loss(), folder / "transformer.html");
  write_page(hostile_loss(), folder / "hostile.html");
  std::ofstream numbers(folder / "mlp.txt");
  numbers.precision(9);
  const Derivation derivation(loss);
  for (const Quantity& each : derivation.quantities()) {
    write_numbers(numbers, each.name, each.value);
    write_numbers(numbers, to_text(each.gradient_symbol), each.gradient);
  }
}
