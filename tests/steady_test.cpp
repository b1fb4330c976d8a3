// Training steps after the first few: nothing is asked of the system, by the library or by what it is built on. Every
// call of malloc in this program is counted, also those of std::vector, std::string and Eigen.

#include <doctest/doctest.h>
#include <gradus.h>
#include <sys/resource.h>

#include <atomic>
#include <cstdlib>

using namespace gradus;

namespace {

std::atomic<int64_t> mallocs = 0;

}  // namespace

// A sanitizer has a malloc of its own.
#if defined(__GLIBC__) && !defined(__clang__) && !defined(__SANITIZE_ADDRESS__) && !defined(__SANITIZE_THREAD__)
extern "C" void* __libc_malloc(size_t bytes) noexcept;
extern "C" void* malloc(size_t bytes) noexcept {
  ++mallocs;
  return __libc_malloc(bytes);
}
#endif

namespace {

struct Convolutional {
  nn::Conv2d first{3, 16, 3, {.padding = 1}}, second{16, 64, 3, {.padding = 1}}, wide{64, 32, 5, {.padding = 2}};
  nn::BatchNorm2d norm{16};
  nn::Linear last{32 * 4 * 4, 10};
  Tensor operator()(const Tensor& x) const {
    const Tensor half = max_pool2d(relu(norm(first(x))), 2);
    return last(flatten(max_pool2d(relu(wide(second(half))), 2), 1));
  }
  GRADUS_FIELDS(first, second, wide, norm, last)
};

struct Text {
  nn::Embedding embedding{65, 128};
  nn::TransformerEncoderLayer layer{128, 4, {.dim_feedforward = 512, .batch_first = true}};
  nn::LayerNorm norm{128};
  nn::Linear last{128, 65};
  Tensor operator()(const Tensor& x) const { return last(norm(layer(embedding(x), {.is_causal = true}))); }
  GRADUS_FIELDS(embedding, layer, norm, last)
};

// Fresh pages that the process has touched so far.
int64_t page_faults() {
  rusage usage;
  getrusage(RUSAGE_SELF, &usage);
  return usage.ru_minflt;
}

template <class Net, class Loss> void check_steady(const Net& net, Loss&& loss) {
  optim::AdamW optimizer(parameters(net), {.lr = 1e-3});
  // It is left to chance when several threads first need their memory at once: the steps may take a while to be steady.
  int64_t asked = 0, touched = 0;
  int steady = 0;
  for (int step = 0; step < 100 && steady < 10; ++step) {
    optimizer.zero_grad();
    loss().backward();
    optimizer.step();
    const int64_t now = allocator_statistics().system_allocations + mallocs;
    if (now == asked) ++steady;
    else steady = 0, asked = now, touched = page_faults();
  }
  CHECK(steady == 10);
  CHECK(page_faults() - touched < 96);  // stacks and the like may still grow; one block from the system a step has 320
}

}  // namespace

TEST_CASE("training: a steady step asks the system for nothing and touches no fresh memory") {
  if (std::getenv("GRADUS_ALLOCATOR")) return;  // with GRADUS_ALLOCATOR=system nothing is kept
  manual_seed(1);
  const int threads = num_threads();
  for (const int count : {1, 2}) {
    CAPTURE(count);
    set_num_threads(count);
    const nn::Linear linear(256, 256);
    const Tensor rows = randn({256, 256});
    check_steady(linear, [&] { return mean(square(linear(rows))); });
    const Convolutional convolutional;
    const Tensor images = randn({32, 3, 16, 16}), classes = zeros({32}, int64);
    check_steady(convolutional, [&] { return cross_entropy(convolutional(images), classes); });
    const nn::RNN rnn(64, 128);
    const nn::GRU gru(64, 128, {.num_layers = 2, .bidirectional = true});
    const nn::LSTM lstm(64, 128);
    const Tensor sequence = randn({32, 16, 64});
    check_steady(rnn, [&] { return mse_loss(rnn(sequence).output, zeros({32, 16, 128})); });
    check_steady(gru, [&] { return mean(square(gru(sequence).output)); });
    check_steady(lstm, [&] { return mean(square(lstm(sequence).output)); });
    const Text text;
    const Tensor tokens = randint(0, 65, {8, 64});
    check_steady(text, [&] { return cross_entropy(flatten(text(tokens), 0, 1), flatten(tokens)); });
  }
  set_num_threads(threads);
}
