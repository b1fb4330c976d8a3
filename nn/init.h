#pragma once
// Initialisers: they overwrite a tensor in place, recorded nowhere, and return it.
//
//   init::kaiming_normal_(net.hidden.weight, {.nonlinearity = init::Nonlinearity::relu});

#include "core/error.h"
#include "core/random.h"
#include "core/tensor.h"

namespace gradus::init {

Tensor zeros_(const Tensor& tensor, Location where = Location::here());
Tensor ones_(const Tensor& tensor, Location where = Location::here());
Tensor constant_(const Tensor& tensor, double value, Location where = Location::here());
/// Uniform in [low, high).
Tensor uniform_(const Tensor& tensor, double low = 0, double high = 1, Generator& generator = default_generator(),
                Location where = Location::here());
Tensor normal_(const Tensor& tensor, double mean = 0, double standard_deviation = 1,
               Generator& generator = default_generator(), Location where = Location::here());
/// Normal, with the tails below `low` and above `high` cut off.
Tensor trunc_normal_(const Tensor& tensor, double mean = 0, double standard_deviation = 1, double low = -2,
                     double high = 2, Generator& generator = default_generator(), Location where = Location::here());

enum class Nonlinearity { linear, sigmoid, tanh, relu, leaky_relu, selu };
/// The factor by which a nonlinearity shrinks the standard deviation, inverted. `slope`: of leaky_relu below 0.
double calculate_gain(Nonlinearity nonlinearity, double slope = 0.01);

/// How many inputs and outputs each unit of a weight [out, in, kernel…] has.
struct Fans {
  int64_t in, out;
};
Fans calculate_fans(const Tensor& weight);

/// Glorot and Bengio, "Understanding the difficulty of training deep feedforward neural networks", 2010: keeps the
/// variance of values and gradients through tanh and sigmoid layers.
Tensor xavier_uniform_(const Tensor& weight, double gain = 1, Generator& generator = default_generator(),
                       Location where = Location::here());
Tensor xavier_normal_(const Tensor& weight, double gain = 1, Generator& generator = default_generator(),
                      Location where = Location::here());

enum class Fan { in, out };
struct KaimingOptions {
  double a = 0;        ///< the slope of leaky_relu below 0
  Fan mode = Fan::in;  ///< keep the variance of the values (in) or of the gradients (out)
  Nonlinearity nonlinearity = Nonlinearity::leaky_relu;
};
/// He et al., "Delving deep into rectifiers", 2015: the same through ReLU layers.
Tensor kaiming_uniform_(const Tensor& weight, KaimingOptions options = {}, Generator& generator = default_generator(),
                        Location where = Location::here());
Tensor kaiming_normal_(const Tensor& weight, KaimingOptions options = {}, Generator& generator = default_generator(),
                       Location where = Location::here());

/// Saxe et al., "Exact solutions to the nonlinear dynamics of learning in deep linear neural networks", 2014: as a
/// matrix [size(0), rest], the rows or the columns (the fewer) are orthogonal and of length `gain`.
Tensor orthogonal_(const Tensor& weight, double gain = 1, Generator& generator = default_generator(),
                   Location where = Location::here());

}  // namespace gradus::init
