// What core/gradus_gdb.py is to show.

#include <gradus.h>

using namespace gradus;

const void* const garbage[] = {&garbage, &garbage};  // no tensor

// gdb stops here, where it sees what is referred to.
__attribute__((noinline)) void stop(const Tensor& w, const Tensor& loss, const Tensor& large, const Tensor& undefined,
                                    const Tape& tape) {
  asm volatile("" ::"r"(&w), "r"(&loss), "r"(&large), "r"(&undefined), "r"(&tape), "r"(garbage) : "memory");
}

int main() {
  const Tensor x = tensor({{1, 2}, {3, 4}}).named("x");
  const Tensor w = tensor({{1, 2, 3}, {4, 5, 6}}).named("W").requires_grad();
  const Tensor large = transpose(full({2, 100, 3}, -1.5, float64), 0, 1);
  const Tensor loss = mean(relu(matmul(x, w)).named("h") * 2);
  const Tape tape(loss);
  loss.backward({.retain_graph = true});
  stop(w, loss, large, Tensor(), tape);
}
