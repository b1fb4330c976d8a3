#include <doctest/doctest.h>

#include <array>
#include <optional>
#include <sstream>

#include "core/tape.h"
#include "nn/linear.h"
#include "nn/module.h"
#include "nn/sequential.h"
#include "ops/activation.h"
#include "ops/arithmetic.h"
#include "ops/assign.h"
#include "ops/create.h"
#include "ops/reduce.h"
#include "tests/files.h"

using namespace gradus;
using files::error_text;

namespace {

struct Scale {  // a module of one's own, with a parameter, a buffer and settings
  Tensor gain = ones({2}).requires_grad(), offset = zeros({2});
  double power = 1.5;
  nn::Training training;
  Tensor operator()(const Tensor& x) const { return training ? x * gain + offset : x; }
  GRADUS_FIELDS(gain, offset, power, training)
};

struct Net {
  nn::Linear hidden{3, 2};
  std::vector<Scale> blocks = std::vector<Scale>(2);
  std::optional<nn::Linear> head;
  std::array<Tensor, 2> table = {arange(3), zeros({2, 2}).requires_grad()};
  Scale last;
  std::string title = "net";
  GRADUS_FIELDS(hidden, blocks, head, table, last, title)
};

struct ByHand {  // renames one member and leaves out another
  Tensor w = ones({1}).requires_grad(), secret = ones({1}).requires_grad();
  template <class F> void each(F&& f) const { f("weight", w); }
};

std::vector<std::string> names(const NamedTensors& tensors) {
  std::vector<std::string> list;
  for (const auto& [name, tensor] : tensors) list.push_back(name);
  return list;
}

template <class T> std::string text(const T& value) {
  std::ostringstream out;
  out << value;
  return out.str();
}

}  // namespace

TEST_CASE("tensors are found in nested structs, lists, options and arrays, under dotted names") {
  Net net;
  CHECK(names(named_tensors(net)) == std::vector<std::string>{"hidden.weight", "hidden.bias", "blocks.0.gain",
                                                              "blocks.0.offset", "blocks.1.gain", "blocks.1.offset",
                                                              "table.0", "table.1", "last.gain", "last.offset"});
  CHECK(names(named_parameters(net)) == std::vector<std::string>{"hidden.weight", "hidden.bias", "blocks.0.gain",
                                                                 "blocks.1.gain", "table.1", "last.gain"});
  net.head.emplace(2, 5, nn::LinearLayerOptions{.bias = false});
  CHECK(state_dict(net).size() == 11);
  CHECK(state_dict(net).at("head.weight").is(net.head->weight));
  CHECK(count(net) == 6 + 2 + 2 + 2 + 10 + 4 + 2);
}

TEST_CASE("parameters() gives the tensors themselves, named after their place") {
  Net net;
  const std::vector<Tensor> list = parameters(net);
  CHECK(list.size() == 6);
  CHECK(list[0].is(net.hidden.weight));
  CHECK(list[0].name() == "hidden.weight");
  CHECK(net.blocks[1].gain.name() == "blocks.1.gain");
  CHECK(text(Tape(net.blocks[0](zeros({2})))).find("blocks.0.gain") != std::string::npos);
}

TEST_CASE("each() can be written by hand") {
  const ByHand module;
  CHECK(names(named_parameters(module)) == std::vector<std::string>{"weight"});
}

// What GRADUS_FIELDS asserts: each of these lists would not compile.
TEST_CASE("a member left out of GRADUS_FIELDS is found") {
  struct Two {
    nn::Linear a{1, 1}, b{1, 1};
  };
  static_assert(nn::lists_every_member<Two, nn::Linear, nn::Linear>());
  static_assert(!nn::lists_every_member<Two, nn::Linear>());
  static_assert(!nn::lists_every_member<Two>());
  struct Mixed {
    bool flag;
    Tensor weight;
    nn::Training training;
    int width;
    std::vector<Scale> blocks;
  };
  using nn::Training, nn::lists_every_member;
  static_assert(lists_every_member<Mixed, bool, Tensor, Training, int, std::vector<Scale>>());
  static_assert(!lists_every_member<Mixed, Tensor, Training, int, std::vector<Scale>>());
  static_assert(!lists_every_member<Mixed, bool, Training, int, std::vector<Scale>>());
  static_assert(!lists_every_member<Mixed, bool, Tensor, int, std::vector<Scale>>());
  static_assert(!lists_every_member<Mixed, bool, Tensor, Training, std::vector<Scale>>());
  static_assert(!lists_every_member<Mixed, bool, Tensor, Training, int>());
  struct Flags {  // even where there would be room for it in the padding
    bool a;
    Training training;
    Tensor weight;
  };
  static_assert(lists_every_member<Flags, bool, Training, Tensor>());
  static_assert(!lists_every_member<Flags, bool, Tensor>());
  struct Nothing {};
  static_assert(lists_every_member<Nothing>());
  struct Derived : Two {
    virtual ~Derived() = default;
    Tensor c;
  };
  static_assert(lists_every_member<Derived, nn::Linear, nn::Linear, Tensor>());
  static_assert(!lists_every_member<Derived, Tensor>());
}

TEST_CASE("a tied tensor is one parameter with two places") {
  Net net;
  net.blocks[1].gain = net.blocks[0].gain;
  CHECK(named_parameters(net).size() == 5);
  CHECK(state_dict(net).count("blocks.1.gain") == 1);
  CHECK(count(net) == 16);
  const Net twin = copy(net);
  CHECK(twin.blocks[0].gain.is(twin.blocks[1].gain));
}

TEST_CASE("copy() shares nothing, copying shares everything") {
  Net net;
  net.last.power = 3;
  net.last.gain.named("g").set_grad(ones({2}));
  const Net shared = net, separate = copy(net);
  {
    const NoGrad no_grad;
    fill(net.last.gain, 7);
  }
  CHECK(shared.last.gain.at(0) == 7);
  CHECK(separate.last.gain.at(0) == 1);
  CHECK(separate.last.gain.needs_grad());
  CHECK(separate.last.gain.name() == "g");
  CHECK_FALSE(separate.last.gain.grad().defined());
  CHECK_FALSE(separate.last.offset.needs_grad());
  CHECK(separate.last.power == 3);
  CHECK(names(named_parameters(separate)) == names(named_parameters(net)));
}

TEST_CASE("a state dict brings one module's values into another") {
  Net from, into;
  load_state_dict(into, state_dict(from));
  CHECK(into.hidden.weight.to_vector<float>() == from.hidden.weight.to_vector<float>());
  CHECK_FALSE(into.hidden.weight.is(from.hidden.weight));
  CHECK(into.hidden.weight.needs_grad());

  StateDict dict = state_dict(from);
  dict["hidden.bias"] = Tensor({0.5, 0.25}, {2}, float64);
  load_state_dict(into, dict);
  CHECK(into.hidden.bias.dtype() == float32);
  CHECK(into.hidden.bias.to_vector<float>() == std::vector<float>{0.5, 0.25});
}

TEST_CASE("everything that does not fit is reported at once, and nothing is loaded") {
  Net net;
  StateDict dict = state_dict(Net());
  dict.erase("blocks.0.gain");
  dict.erase("last.offset");
  dict["extra"] = zeros({1});
  dict["hidden.weight"] = zeros({4, 3});
  dict["hidden.bias"] = zeros({3});
  const std::vector<float> before = net.blocks[1].gain.to_vector<float>();
  dict["blocks.1.gain"] = full({2}, 9);
  CHECK(
      error_text([&] { load_state_dict(net, dict); }) ==
      "load_state_dict: the names and shapes must match; missing: blocks.0.gain, last.offset; unexpected: extra; "
      "different shapes: hidden.weight has shape [2, 3] here and [4, 3] there, hidden.bias has shape [2] here and [3] "
      "there");
  CHECK(error_text([&] { load_state_dict(net, dict, {.strict = false}); }) ==
        "load_state_dict: the names and shapes must match; different shapes: hidden.weight has shape [2, 3] here and "
        "[4, 3] there, hidden.bias has shape [2] here and [3] there");
  CHECK(net.blocks[1].gain.to_vector<float>() == before);

  dict.erase("hidden.weight");
  dict.erase("hidden.bias");
  const LoadResult result = load_state_dict(net, dict, {.strict = false});
  CHECK(result.missing == std::vector<std::string>{"hidden.weight", "hidden.bias", "blocks.0.gain", "last.offset"});
  CHECK(result.unexpected == std::vector<std::string>{"extra"});
  CHECK(net.blocks[1].gain.at(0) == 9);
}

TEST_CASE("to() converts floating-point tensors in place") {
  Net net;
  const Tensor weight = parameters(net)[0], bias = net.hidden.bias;
  sum(net.hidden(ones({1, 3}))).backward();
  const std::vector<float> before = weight.to_vector<float>();
  to(net, float64);
  CHECK(weight.is(net.hidden.weight));
  CHECK(weight.dtype() == float64);
  CHECK(weight.to_vector<float>() == before);
  CHECK(weight.name() == "hidden.weight");
  CHECK(weight.needs_grad());
  CHECK(weight.grad().dtype() == float64);
  CHECK(net.table[0].dtype() == int64);
  CHECK(net.last.offset.dtype() == float64);
  CHECK_FALSE(net.last.offset.needs_grad());
  bias.set_grad({});
  sum(net.hidden(ones({4, 3}, float64))).backward();
  CHECK(bias.grad().at(0) == 4);
  to(net, Device::cpu());
  CHECK(weight.dtype() == float64);
  CHECK(error_text([&] { to(net, int64); }) ==
        "to: a module holds floating-point tensors; it cannot be converted to int64");
}

TEST_CASE("train() and eval() switch every module, Evaluation only for a while") {
  Net net;
  CHECK(net.blocks[1].training);
  eval(net);
  CHECK_FALSE(net.blocks[1].training);
  CHECK_FALSE(net.last.training);
  train(net);
  CHECK(net.last.training);
  eval(net.blocks[0]);
  {
    const Evaluation evaluation(net);
    CHECK_FALSE(net.last.training);
    CHECK_FALSE(grad_enabled());
  }
  CHECK(net.last.training);
  CHECK_FALSE(net.blocks[0].training);
  CHECK(grad_enabled());
}

TEST_CASE("freeze() and unfreeze()") {
  Net net;
  net.hidden.bias.set_grad(ones({2}));
  const std::vector<Tensor> frozen = freeze(net.hidden);
  CHECK_FALSE(net.hidden.bias.grad().defined());
  CHECK(frozen.size() == 2);
  CHECK_FALSE(net.hidden.weight.needs_grad());
  CHECK(names(named_parameters(net)) ==
        std::vector<std::string>{"blocks.0.gain", "blocks.1.gain", "table.1", "last.gain"});
  unfreeze(frozen);
  CHECK(named_parameters(net).size() == 6);
  CHECK_FALSE(net.last.offset.needs_grad());
}

TEST_CASE("zero_grad()") {
  Net net;
  sum(net.hidden(ones({1, 3}))).backward();
  CHECK(net.hidden.weight.grad().defined());
  zero_grad(net);
  CHECK_FALSE(net.hidden.weight.grad().defined());
}

TEST_CASE("a module prints its settings, its shapes and what it holds") {
  Net net;
  CHECK(text(net.hidden) == "Linear(weight=[2, 3], bias=[2])");
  CHECK(text(nn::Linear(2, 1, {.bias = false})) == "Linear(weight=[1, 2], bias=none)");
  CHECK(text(net) == R"(Net(table=list(0=[3], 1=[2, 2]), title=net
  (hidden): Linear(weight=[2, 3], bias=[2])
  (blocks): list(
    (0): Scale(gain=[2], offset=[2], power=1.5, training=true)
    (1): Scale(gain=[2], offset=[2], power=1.5, training=true)
  )
  (head): none
  (last): Scale(gain=[2], offset=[2], power=1.5, training=true)
))");
  const auto twice = [](const Tensor& x) { return x * 2; };
  CHECK(text(nn::Sequential{nn::Linear(3, 2), twice}) == R"(Sequential(
  (0): Linear(weight=[2, 3], bias=[2])
  (1): function
))");
}
