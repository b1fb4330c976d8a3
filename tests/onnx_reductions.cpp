// ONNX's reductions, softmax, and losses.

#include "ops/arithmetic.h"
#include "ops/exponential.h"
#include "ops/index.h"
#include "ops/loss.h"
#include "ops/reduce.h"
#include "ops/softmax.h"
#include "ops/view.h"
#include "tests/onnx_operators.h"

namespace gradus::onnx {
namespace {

// Over the axes, or over all if none are given. Unlike here, the dimensions stay unless told otherwise.
auto reduce(Tensor (*f)(const Arg&, const Dims&, bool)) {
  return [f](const Node& node) {
    Dims dims;
    dims.list = node.integers("axes", 1);
    dims.all = dims.list.empty();
    const bool keepdims = node.integer("keepdims", 1);
    return node.integer("noop_with_empty_axes", 0) && dims.all ? node[0] : f(node[0], dims, keepdims);
  };
}

Tensor sum_of_magnitudes(const Arg& x, const Dims& dims, bool keepdim) { return sum(abs(x), dims, keepdim); }
Tensor sum_of_squares(const Arg& x, const Dims& dims, bool keepdim) { return sum(square(x), dims, keepdim); }
Tensor log_of_sum(const Arg& x, const Dims& dims, bool keepdim) { return log(sum(x, dims, keepdim)); }

// The first place of the largest or smallest element, or the last one.
auto place(Tensor (*f)(const Arg&, int64_t, bool)) {
  return [f](const Node& node) -> Tensor {
    const int64_t axis = node.integer("axis", 0);
    const bool keepdims = node.integer("keepdims", 1);
    if (!node.integer("select_last_index", 0)) return f(node[0], axis, keepdims);
    return node[0].size(axis) - 1 - f(flip(node[0], {axis}), axis, keepdims);
  };
}

auto along_axis(Tensor (*f)(const Arg&, int64_t)) {
  return [f](const Node& node) { return f(node[0], node.integer("axis", -1)); };
}

// The last dimension is moved to place `axis`.
Tensor move_last(const Tensor& x, int64_t axis) {
  std::vector<int64_t> order(size_t(x.dim() - 1));
  for (size_t i = 0; i < order.size(); ++i) order[i] = int64_t(i);
  order.insert(order.begin() + normalize_dim(axis, x.dim()), x.dim() - 1);
  return permute(x, order);
}

Results hardmax(const Node& node) {
  const int64_t axis = node.integer("axis", -1);
  return to(move_last(one_hot(argmax(node[0], axis), node[0].size(axis)), axis), node[0].dtype());
}

Results one_hot_of(const Node& node) {
  const Tensor classes = one_hot(to(node[0], int64), node[1].item<int64_t>());
  const Tensor off_and_on = node[2];
  return where(to(move_last(classes, node.integer("axis", -1)), boolean), select(off_and_on, 0, 1),
               select(off_and_on, 0, 0));
}

// The settings of a loss that are called the same everywhere.
template <class Options> Options loss_options(const Node& node) {
  static const std::map<std::string, LossReduction> reductions{
      {"none", LossReduction::none}, {"mean", LossReduction::mean}, {"sum", LossReduction::sum}};
  Options options;
  options.weight = node[2];
  options.ignore_index = node.integer("ignore_index", options.ignore_index);
  options.reduction = reductions.at(node.text("reduction", "mean"));
  return options;
}

Results softmax_cross_entropy(const Node& node) {
  return Tensors{cross_entropy(node[0], node[1], loss_options<CrossEntropyOptions>(node)), log_softmax(node[0], 1)};
}

}  // namespace

Operators reduction_operators() {
  return {
      {"ArgMax", {16, place(argmax)}},
      {"ArgMin", {16, place(argmin)}},
      {"Hardmax", {7, hardmax}},
      {"LogSoftmax", {10, along_axis(log_softmax)}},
      {"NegativeLogLikelihoodLoss",
       {16, [](const Node& node) { return nll_loss(node[0], node[1], loss_options<NllOptions>(node)); }}},
      {"OneHot", {4, one_hot_of}},
      {"ReduceL1", {8, reduce(sum_of_magnitudes)}},
      {"ReduceL2", {8, reduce(norm)}},
      {"ReduceLogSum", {5, reduce(log_of_sum)}},
      {"ReduceLogSumExp", {8, reduce(logsumexp)}},
      {"ReduceMax", {8, reduce(amax)}},
      {"ReduceMean", {10, reduce(mean)}},
      {"ReduceMin", {8, reduce(amin)}},
      {"ReduceSum", {12, reduce(sum)}},
      {"ReduceSumSquare", {8, reduce(sum_of_squares)}},
      {"Softmax", {10, along_axis(softmax)}},
      {"SoftmaxCrossEntropyLoss", {29, softmax_cross_entropy}},
  };
}

}  // namespace gradus::onnx
