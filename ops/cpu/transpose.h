#pragma once
// Transposing by the registers' own shuffles.

#include "ops/cpu/eigen.h"

#pragma GCC diagnostic push
#pragma GCC diagnostic ignored "-Wignored-attributes"  // of the registers' types

namespace gradus::cpu {

/// Columns of a square of numbers as rows: to[r * to_stride + c] = from[c * from_stride + r]. The square is as wide as
/// a register; from has its first n rows, the others are 0.
template <class T> void transpose_square(const T* from, int64_t from_stride, int64_t n, T* to, int64_t to_stride) {
  using namespace Eigen::internal;
  using Packet = PacketOf<T>;
  constexpr int size = int(lanes<T>);
  PacketBlock<Packet, size> square;
  for (int i = 0; i < size; ++i)
    square.packet[i] = i < n ? ploadu<Packet>(from + i * from_stride) : pset1<Packet>(T(0));
  ptranspose(square);
  for (int i = 0; i < size; ++i) pstoreu(to + i * to_stride, square.packet[i]);
}

}  // namespace gradus::cpu

#pragma GCC diagnostic pop
