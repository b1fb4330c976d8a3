// Small stacks, several threads, and results that do not depend on their number.

#include <doctest/doctest.h>
#include <pthread.h>

#include <functional>
#include <thread>

#include "core/tape.h"
#include "core/threads.h"
#include "ops/activation.h"
#include "ops/arithmetic.h"
#include "ops/assign.h"
#include "ops/create.h"
#include "ops/exponential.h"
#include "ops/loss.h"
#include "ops/matmul.h"
#include "ops/reduce.h"
#include "ops/softmax.h"
#include "tests/checks.h"

using namespace gradus;

namespace {

void on_small_stack(std::function<void()> run) {
  pthread_attr_t attributes;
  REQUIRE(pthread_attr_init(&attributes) == 0);
  REQUIRE(pthread_attr_setstacksize(&attributes, 256 << 10) == 0);
  pthread_t thread;
  const auto body = [](void* f) -> void* {
    (*static_cast<std::function<void()>*>(f))();
    return nullptr;
  };
  REQUIRE(pthread_create(&thread, &attributes, body, &run) == 0);
  pthread_join(thread, nullptr);
  pthread_attr_destroy(&attributes);
}

class Threads {
 public:
  explicit Threads(int count) : before_(num_threads()) { set_num_threads(count); }
  ~Threads() { set_num_threads(before_); }
  Threads(const Threads&) = delete;
  Threads& operator=(const Threads&) = delete;

 private:
  int before_;
};

// A few steps of training a small network on random data; large enough for every kernel to use its threads.
std::vector<float> train() {
  manual_seed(5);
  const Tensor x = randn({256, 300}), target = randint(0, 10, {256});
  const Tensor w1 = (randn({256, 300}) * 0.05).requires_grad(), b1 = zeros({256}).requires_grad();
  const Tensor w2 = (randn({10, 256}) * 0.05).requires_grad(), b2 = zeros({10}).requires_grad();
  std::vector<float> losses;
  for (int step = 0; step < 4; ++step) {
    const Tensor h = dropout(gelu(linear(x, w1, b1)), 0.2);
    const Tensor loss = cross_entropy(linear(h, w2, b2), target) + mean(h * h) + sum(logsumexp(h, 0)) * 1e-3;
    loss.backward();
    losses.push_back(loss.item());
    const NoGrad off;
    for (const Tensor& parameter : {w1, b1, w2, b2}) {
      assign(parameter, parameter - parameter.grad() * 0.1);
      parameter.set_grad({});
    }
  }
  for (const Tensor& parameter : {w1, b1, w2, b2})
    for (float value : parameter.to_vector<float>()) losses.push_back(value);
  return losses;
}

}  // namespace

TEST_CASE("threads: a chain of a million steps runs forward, backward and is freed on a small stack") {
  const checks::NoLeaks no_leaks;
  float gradient = 0;
  size_t steps = 0;
  on_small_stack([&] {
    const Tensor x = Tensor(1).requires_grad();
    Tensor y = x;
    for (int i = 0; i < 1'000'000; ++i) y = y + 1;
    steps = Tape(y).size();
    y.backward({.retain_graph = true});
    gradient = x.grad().item();
    y = Tensor();  // frees the graph after a backward pass
    y = x;
    for (int i = 0; i < 1'000'000; ++i) y = y * 1;
  });  // and one without
  CHECK(steps == 1'000'000);
  CHECK(gradient == 1);
}

TEST_CASE("threads: a wide graph, where every step is used many times, takes linear time") {
  const Tensor x = Tensor(1, float64).requires_grad();
  Tensor y = x;
  for (int i = 0; i < 60; ++i) y = (y + y) * 0.5;  // 2^60 paths
  y.backward();
  CHECK(x.grad().item<double>() == 1);
}

TEST_CASE("threads: separate graphs on shared leaves at the same time") {
  const checks::NoLeaks no_leaks;
  const Tensor w = ones({64}).requires_grad(), b = ones({64}).requires_grad();
  constexpr int workers = 4, rounds = 200;
  const auto work = [&] {
    for (int i = 0; i < rounds; ++i) {
      const NoGrad* off = i % 5 == 0 ? new NoGrad : nullptr;  // the grad mode belongs to the thread
      const Tensor y = sum(w * w + b);
      delete off;
      if (y.needs_grad()) y.backward();
    }
  };
  {
    std::vector<std::jthread> threads;
    for (int i = 0; i < workers; ++i) threads.emplace_back(work);
  }
  CHECK(grad_enabled());
  const int passes = workers * rounds * 4 / 5;
  CHECK(w.grad().to_vector<int>() == std::vector<int>(64, 2 * passes));
  CHECK(b.grad().to_vector<int>() == std::vector<int>(64, passes));
}

TEST_CASE("threads: training gives the same bits with one thread and with more") {
  const std::vector<float> one = (Threads(1), train());
  for (int count : {2, 3}) {
    const Threads threads(count);
    const std::vector<float> several = train();
    CHECK(one == several);
  }
}

TEST_CASE("threads: kernels called from several threads at once, each with threads of its own") {
  manual_seed(3);
  const Tensor x = randn({300, 300});
  const Tensor expected = softmax(matmul(x, x), 1);
  std::vector<double> errors(4, 1);
  {
    std::vector<std::jthread> threads;
    for (double& error : errors)
      threads.emplace_back([&] { error = checks::distance(softmax(matmul(x, x), 1), expected); });
  }
  CHECK(errors == std::vector<double>(4, 0));
}
