// Single operations: without a tape (.fwd), and forward and then backward from a given gradient into the gradients of
// leaves, which are new each time (.fwdbwd).

#include <gradus.h>

#include "benchmarks/workloads.h"

using namespace gradus;
using namespace workloads::operations;

namespace {

/// An operation on leaves, with whatever else it needs inside.
struct Operation {
  std::vector<Tensor> leaves;
  std::function<Tensor()> forward;
};

void add_operation(const std::string& name, std::function<Operation()> prepare) {
  workloads::add(name + ".fwd", [=] {
    auto step = [operation = prepare()] {
      NoGrad no_grad;
      benchmark::DoNotOptimize(operation.forward());
      return 0.;
    };
    return workloads::Work{step};
  });
  workloads::add(name + ".fwdbwd", [=] {
    Operation operation = prepare();
    Tensor gradient = ones_like(operation.forward());
    for (const Tensor& leaf : operation.leaves) leaf.requires_grad();
    auto step = [=] {
      for (const Tensor& leaf : operation.leaves) leaf.set_grad({});
      operation.forward().backward(gradient);
      return 0.;
    };
    return workloads::Work{step};
  });
}

void add_products() {
  for (int64_t n : matrix_sizes)
    add_operation("matmul" + std::to_string(n), [=]() -> Operation {
      Tensor a = randn({n, n}), b = randn({n, n});
      return {{a, b}, [=] { return matmul(a, b); }};
    });
  for (const Convolution& shape : convolutions)
    add_operation(shape.name, [=]() -> Operation {
      Tensor x = randn({shape.batch, shape.channels, shape.side, shape.side}),
             weight = randn({shape.kernels, shape.channels, 3, 3}) * 0.05, bias = randn({shape.kernels});
      return {{x, weight, bias}, [=] { return conv2d(x, weight, bias, {.padding = 1}); }};
    });
}

void add_normalisations() {
  add_operation("softmax_ce", []() -> Operation {
    Tensor x = randn({examples, classes}), target = randint(0, classes, {examples});
    return {{x}, [=] { return cross_entropy(x, target); }};
  });
  add_operation("layernorm", []() -> Operation {
    Tensor x = randn({layer_norm_rows, layer_norm_width}), weight = ones({layer_norm_width}),
           bias = zeros({layer_norm_width});
    return {{x, weight, bias}, [=] { return layer_norm(x, {layer_norm_width}, weight, bias); }};
  });
  add_operation("batchnorm", []() -> Operation {
    Tensor x = randn({norm_batch, norm_channels, norm_side, norm_side}), weight = ones({norm_channels}),
           bias = zeros({norm_channels}), mean = zeros({norm_channels}), variance = ones({norm_channels});
    return {{x, weight, bias}, [=] { return batch_norm(x, mean, variance, weight, bias, {.training = true}); }};
  });
}

void add_elementwise(const char* name, Tensor (*function)(const Arg&)) {
  add_operation(name, [=]() -> Operation {
    Tensor x = randn({elements});
    return {{x}, [=] { return function(x); }};
  });
}

void add_memory_bound() {
  for (int64_t dim : {0, 1})
    add_operation("sum" + std::to_string(dim), [=]() -> Operation {
      Tensor x = randn({matrix_side, matrix_side});
      return {{x}, [=] { return sum(x, dim); }};
    });
  add_operation("bcast_add", []() -> Operation {
    Tensor x = randn({broadcast_rows, broadcast_width}), row = randn({broadcast_width});
    return {{x, row}, [=] { return x + row; }};
  });
  add_operation("transpose", []() -> Operation {
    Tensor x = randn({matrix_side, matrix_side});
    return {{x}, [=] { return contiguous(t(x)); }};
  });
  add_operation("embedding", []() -> Operation {
    Tensor weight = randn({vectors, vector_width}), index = randint(0, vectors, {lookups});
    return {{weight}, [=] { return embedding(index, weight); }};
  });
}

}  // namespace

void workloads::add_operations() {
  add_products();
  add_normalisations();
  add_elementwise("gelu", gelu);
  add_elementwise("tanh", tanh);
  add_elementwise("exp", exp);
  add_memory_bound();
}
