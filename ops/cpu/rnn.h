#pragma once
// The recurrences of recurrent networks over whole sequences. All tensors are contiguous and of one dtype, float32 or
// float64. Results do not depend on the number of threads, which share out the sequences of a batch.

#include "core/tensor.h"
#include "ops/rnn.h"

namespace gradus::cpu {

/// What lies in memory during a recurrence over T steps of B sequences. G is the number of gates, S that of the states:
/// 2 (hidden, cell) for an LSTM, 1 otherwise.
struct Sequence {
  Recurrence recurrence;
  bool reverse;           // from the last step to the first
  const int64_t* length;  // of each sequence; null: all T. Beyond it the state stays as it is.
  Tensor weight, bias;    // [G·H, H], [G·H]
  Tensor states;          // [S, T + 1, B, H]: before the first step, after it, …; from the end if reversed
  Tensor values;  // [T, B, 4·H], what the backward needs: i, f, g, o of an LSTM; r, z, n, W·h + b of n of a GRU
};

/// Fills states and values, given gates [T, B, G·H] = W·x + b and the states before the first step. `values` may be
/// expanded along T if no backward follows.
void recurrence(const Sequence& sequence, const Tensor& gates);

struct SequenceGradients {
  Tensor gates;   // [T, B, G·H]
  Tensor hidden;  // [T, B, G·H], of W·h + b; only for a GRU, for others the same as `gates`
  Tensor state;   // [S, B, H], before the first step
};
/// The gradients, given that of the states, [S, T + 1, B, H].
void recurrence_backward(const Sequence& sequence, const Tensor& dstates, const SequenceGradients& gradients);

}  // namespace gradus::cpu
