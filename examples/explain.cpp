#include <gradus.h>

#include <iostream>

using namespace gradus;

struct Net {
  nn::Linear hidden{2, 3}, out{3, 2};
  Tensor operator()(const Tensor& x) const { return out(tanh(hidden(x))); }
  GRADUS_FIELDS(hidden, out)
};

int main() {
  const Net net;
  parameters(net);  // gives them their names
  const Tensor x = tensor({{1, 0.5}, {-1, 2}}).named("x"), target = tensor({1, 0}, int64).named("target");
  const KeepValues keep;  // the tape notes down the numbers, too
  const Tensor loss = cross_entropy(net(x), target);
  std::cout << Tape(loss) << '\n' << expand(loss, "hidden.weight") << '\n';
  write_html(loss, "derivation.html");  // the same to click through
  step(loss);                           // and to walk through here
}
