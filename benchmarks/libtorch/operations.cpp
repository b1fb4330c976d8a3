// Single operations: without a tape (.fwd), and forward and then backward from a given gradient into the gradients of
// leaves, which are new each time (.fwdbwd).

#include "benchmarks/libtorch/training.h"

using torch::Tensor;
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
      torch::NoGradGuard no_grad;
      benchmark::DoNotOptimize(operation.forward());
      return 0.;
    };
    return workloads::Work{step};
  });
  workloads::add(name + ".fwdbwd", [=] {
    Operation operation = prepare();
    Tensor gradient = torch::ones_like(operation.forward());
    for (const Tensor& leaf : operation.leaves) leaf.requires_grad_();
    auto step = [=] {
      drop_gradients(operation.leaves);
      operation.forward().backward(gradient);
      return 0.;
    };
    return workloads::Work{step};
  });
}

void add_products() {
  for (int64_t n : matrix_sizes)
    add_operation("matmul" + std::to_string(n), [=]() -> Operation {
      Tensor a = torch::randn({n, n}), b = torch::randn({n, n});
      return {{a, b}, [=] { return a.matmul(b); }};
    });
  for (const Convolution& shape : convolutions)
    add_operation(shape.name, [=]() -> Operation {
      Tensor x = torch::randn({shape.batch, shape.channels, shape.side, shape.side}),
             weight = torch::randn({shape.kernels, shape.channels, 3, 3}) * 0.05, bias = torch::randn({shape.kernels});
      return {{x, weight, bias}, [=] { return torch::conv2d(x, weight, bias, 1, 1); }};
    });
}

void add_normalisations() {
  add_operation("softmax_ce", []() -> Operation {
    Tensor x = torch::randn({examples, classes}), target = torch::randint(classes, {examples}, torch::kLong);
    return {{x}, [=] { return torch::nn::functional::cross_entropy(x, target); }};
  });
  add_operation("layernorm", []() -> Operation {
    Tensor x = torch::randn({layer_norm_rows, layer_norm_width}), weight = torch::ones({layer_norm_width}),
           bias = torch::zeros({layer_norm_width});
    return {{x, weight, bias}, [=] { return torch::layer_norm(x, {layer_norm_width}, weight, bias); }};
  });
  add_operation("batchnorm", []() -> Operation {
    Tensor x = torch::randn({norm_batch, norm_channels, norm_side, norm_side}), weight = torch::ones({norm_channels}),
           bias = torch::zeros({norm_channels}), mean = torch::zeros({norm_channels}),
           variance = torch::ones({norm_channels});
    return {{x, weight, bias},
            [=] { return torch::batch_norm(x, weight, bias, mean, variance, true, 0.1, 1e-5, false); }};
  });
}

void add_elementwise(const char* name, Tensor (*function)(const Tensor&)) {
  add_operation(name, [=]() -> Operation {
    Tensor x = torch::randn({elements});
    return {{x}, [=] { return function(x); }};
  });
}

void add_memory_bound() {
  for (int64_t dim : {0, 1})
    add_operation("sum" + std::to_string(dim), [=]() -> Operation {
      Tensor x = torch::randn({matrix_side, matrix_side});
      return {{x}, [=] { return x.sum(dim); }};
    });
  add_operation("bcast_add", []() -> Operation {
    Tensor x = torch::randn({broadcast_rows, broadcast_width}), row = torch::randn({broadcast_width});
    return {{x, row}, [=] { return x + row; }};
  });
  add_operation("transpose", []() -> Operation {
    Tensor x = torch::randn({matrix_side, matrix_side});
    return {{x}, [=] { return x.t().contiguous(); }};
  });
  add_operation("embedding", []() -> Operation {
    Tensor weight = torch::randn({vectors, vector_width}), index = torch::randint(vectors, {lookups}, torch::kLong);
    return {{weight}, [=] { return torch::embedding(weight, index); }};
  });
}

}  // namespace

void workloads::add_operations() {
  add_products();
  add_normalisations();
  add_elementwise("gelu", [](const Tensor& x) { return torch::gelu(x); });
  add_elementwise("tanh", torch::tanh);
  add_elementwise("exp", torch::exp);
  add_memory_bound();
}
