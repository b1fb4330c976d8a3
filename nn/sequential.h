#pragma once
// Layers one after the other.

#include <tuple>

#include "core/arg.h"
#include "nn/module.h"

namespace gradus::nn {

/// `Sequential net{Linear{784, 256}, ReLU{}, Linear{256, 10}};` Anything that takes a tensor and returns one is a
/// layer: modules, functions, lambdas. Layers are held by value; their names are their numbers ("0.weight").
template <class... Layers> struct Sequential {
  std::tuple<Layers...> layers;

  explicit Sequential(Layers... each_layer) : layers(std::move(each_layer)...) {}

  Tensor operator()(const Arg& x) const {
    const Scope scope("Sequential", x.where());
    Tensor y = *x;
    std::apply([&](const auto&... layer) { ((y = layer(y)), ...); }, layers);
    return y;
  }

  template <class Visitor> void each(Visitor&& visitor) const {
    size_t number = 0;
    std::apply([&](const auto&... layer) { (visitor(std::to_string(number++), layer), ...); }, layers);
  }
};

}  // namespace gradus::nn
