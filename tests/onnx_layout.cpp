// ONNX's operators that make, move and choose elements.

#include <algorithm>

#include "ops/arithmetic.h"
#include "ops/comparison.h"
#include "ops/create.h"
#include "ops/index.h"
#include "ops/join.h"
#include "ops/view.h"
#include "tests/onnx_operators.h"

namespace gradus::onnx {
namespace {

std::vector<int64_t> list(const Tensor& x) { return x.to_vector<int64_t>(); }

// The place of the attribute "axis" in the dimensions of x; one beyond the last is allowed.
int64_t axis_of(const Node& node, int64_t otherwise) {
  const int64_t axis = node.integer("axis", otherwise);
  return axis < 0 ? axis + node[0].dim() : axis;
}

Results concatenate(const Node& node) {
  Tensors parts;
  for (size_t i = 0; i < node.size(); ++i) parts.push_back(node[i]);
  return cat(parts, node.integer("axis", 0));
}

Results constant_of_shape(const Node& node) {
  return full(Shape(list(node[0])), node.number("value", 0), node.outputs()[0].dtype());
}

Results range(const Node& node) {
  return arange(node[0].item<double>(), node[1].item<double>(), node[2].item<double>(), node[0].dtype());
}

// Always a matrix.
Results flatten_of(const Node& node) {
  const int64_t axis = axis_of(node, 1);
  if (axis == 0 || axis == node[0].dim()) return unsqueeze(flatten(node[0]), axis == 0 ? 0 : 1);
  return flatten(flatten(node[0], axis), 0, axis - 1);
}

Results reshape_of(const Node& node) {
  std::vector<int64_t> shape = list(node[1]);
  if (!node.integer("allowzero", 0))
    for (size_t i = 0; i < shape.size(); ++i)
      if (shape[i] == 0) shape[i] = node[0].size(int64_t(i));
  return reshape(node[0], Shape(shape));
}

Results transpose_of(const Node& node) {
  std::vector<int64_t> order = node.integers("perm");
  for (int i = node[0].dim() - 1; i >= 0 && !node.has("perm"); --i) order.push_back(i);
  return permute(node[0], order);
}

Results squeeze_of(const Node& node) {
  Tensor y = node[0];
  std::vector<int64_t> axes = node.integers("axes", 1);
  for (int64_t& axis : axes) axis = normalize_dim(axis, y.dim());
  std::sort(axes.rbegin(), axes.rend());
  for (const int64_t axis : axes) y = squeeze(y, axis);
  return y;
}

// The axes are those of the result.
Results unsqueeze_of(const Node& node) {
  Tensor y = node[0];
  std::vector<int64_t> axes = node.integers("axes", 1);
  for (int64_t& axis : axes) axis = normalize_dim(axis, y.dim() + int(axes.size()));
  std::sort(axes.begin(), axes.end());
  for (const int64_t axis : axes) y = unsqueeze(y, axis);
  return y;
}

Results expand_of(const Node& node) { return expand(node[0], broadcast_shapes(node[0].shape(), Shape(list(node[1])))); }

// As Python's x[start:end:step]; here a negative step takes a flip.
Results slice_of(const Node& node) {
  Tensor y = node[0];
  const std::vector<int64_t> starts = list(node[1]), ends = list(node[2]);
  for (size_t i = 0; i < starts.size(); ++i) {
    const int64_t axis = node[3].defined() ? list(node[3])[i] : int64_t(i);
    const int64_t step = node[4].defined() ? list(node[4])[i] : 1, size = y.size(axis);
    const auto from_the_end = [&](int64_t place) {
      return size - 1 - std::clamp<int64_t>(place < 0 ? place + size : place, -1, size - 1);
    };
    if (step > 0) y = slice(y, axis, starts[i], ends[i], step);
    else y = slice(flip(y, {axis}), axis, from_the_end(starts[i]), from_the_end(ends[i]), -step);
  }
  return y;
}

Results split_of(const Node& node) {
  const int64_t axis = node.integer("axis", 0);
  const std::vector<int64_t> sizes = node.integers("split", 1);
  if (sizes.empty()) return chunk(node[0], int64_t(node.outputs().size()), axis);
  return split(node[0], sizes, axis);
}

// All that goes before comes first in the list, from the first dimension on.
Results pad_of(const Node& node) {
  const std::vector<int64_t> pads = node.integers("pads", 1);
  const double value = node[2].defined() ? node[2].item<double>() : node.number("value", 0);
  node.text("mode", "constant");
  std::vector<int64_t> padding;
  for (size_t dims = pads.size() / 2, i = dims; i-- > 0;) padding.insert(padding.end(), {pads[i], pads[dims + i]});
  return pad(node[0], padding, value);
}

// An index of any shape takes the place of the axis.
Results gather_of(const Node& node) {
  const int64_t axis = axis_of(node, 0);
  Shape shape;
  for (int i = 0; i < node[0].dim(); ++i) {
    if (i != axis) shape.push_back(node[0].size(i));
    else
      for (const int64_t size : node[1].shape()) shape.push_back(size);
  }
  return reshape(index_select(node[0], axis, flatten(node[1])), shape);
}

// Elements replace others, or are added to them.
Results scatter(const Node& node) {
  const int64_t axis = node.integer("axis", 0);
  if (node.text("reduction", "none") == "add") return scatter_add(node[0], axis, node[1], node[2]);
  const Tensor none = zeros_like(node[0]);
  const Tensor replaced = scatter_add(none, axis, node[1], ones_like(node[2])) > 0;
  return where(replaced, scatter_add(none, axis, node[1], node[2]), node[0]);
}

Results triangle(const Node& node) {
  const int64_t diagonal = node[1].defined() ? node[1].item<int64_t>() : 0;
  return node.integer("upper", 1) ? triu(node[0], diagonal) : tril(node[0], diagonal);
}

// Channels become blocks of b times b pixels; the blocks are the outer dimension of the channels (DCR), or the inner.
Results depth_to_space(const Node& node) {
  const int64_t b = node.integer("blocksize", 0);
  const int64_t n = node[0].size(0), c = node[0].size(1) / (b * b), h = node[0].size(2), w = node[0].size(3);
  const Tensor y = node.text("mode", "DCR") == "DCR"
                       ? permute(reshape(node[0], {n, b, b, c, h, w}), {0, 3, 4, 1, 5, 2})
                       : permute(reshape(node[0], {n, c, b, b, h, w}), {0, 1, 4, 2, 5, 3});
  return reshape(y, {n, c, h * b, w * b});
}

Results space_to_depth(const Node& node) {
  const int64_t b = node.integer("blocksize", 0);
  const int64_t n = node[0].size(0), c = node[0].size(1), h = node[0].size(2) / b, w = node[0].size(3) / b;
  return reshape(permute(reshape(node[0], {n, c, h, b, w, b}), {0, 3, 5, 1, 2, 4}), {n, c * b * b, h, w});
}

}  // namespace

Operators layout_operators() {
  return {
      {"Concat", {13, concatenate}},
      {"ConstantOfShape", {3, constant_of_shape}},
      {"DepthToSpace", {4, depth_to_space}},
      {"Expand", {6, expand_of}},
      {"Flatten", {11, flatten_of}},
      {"Gather", {6, gather_of}},
      {"GatherElements", {3, [](const Node& node) { return gather(node[0], node.integer("axis", 0), node[1]); }}},
      {"Pad", {3, pad_of}},
      {"Range", {2, range}},
      {"Reshape", {10, reshape_of}},
      {"ScatterElements", {4, scatter}},
      {"Slice", {8, slice_of}},
      {"SpaceToDepth", {2, space_to_depth}},
      {"Split", {8, split_of}},
      {"Squeeze", {2, squeeze_of}},
      {"Tile", {2, [](const Node& node) { return repeat(node[0], Shape(list(node[1]))); }}},
      {"Transpose", {8, transpose_of}},
      {"Trilu", {18, triangle}},
      {"Unsqueeze", {8, unsqueeze_of}},
  };
}

}  // namespace gradus::onnx
