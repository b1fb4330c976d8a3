// The samples of ops/rnn.h: whole sequences, against one step after the other.

#include "ops/create.h"
#include "ops/join.h"
#include "ops/matmul.h"
#include "ops/rnn.h"
#include "ops/view.h"
#include "tests/op_samples.h"

namespace gradus::samples {
namespace {

using X = Inputs;

// 4 steps of 3 sequences with 5 hidden units.
Sample sample(const std::string& name, Recurrence recurrence, const RecurrenceOptions& options = {}) {
  const int64_t n = 5, width = gate_count(recurrence) * n;
  return {name + "(gates, state, weight, bias)",
          {{4, 3, width}, {state_count(recurrence), 3, n}, {width, n}, {width}},
          [=](X x) {
            RecurrenceOptions here = options;
            if (here.lengths.defined()) here.lengths = beside(x, here.lengths);
            return gradus::recurrence(recurrence, x[0], x[1], x[2], x[3], here);
          },
          [=](X x) {
            std::vector<Tensor> states(5, x[1]);
            for (int64_t i = 0; i < 4; ++i) {
              const int64_t at = options.reverse ? 3 - i : i, from = at + options.reverse, to = at + !options.reverse;
              states[size_t(to)] = recurrent_step(recurrence, select(x[0], 0, at), states[size_t(from)], x[2], x[3]);
              for (int64_t b = 0; b < 3; ++b)
                if (options.lengths.defined() && at >= int64_t(options.lengths.at(b)))
                  states[size_t(to)] = cat({narrow(states[size_t(to)], 1, 0, b), narrow(states[size_t(from)], 1, b, 1),
                                            narrow(states[size_t(to)], 1, b + 1, 2 - b)},
                                           1);
            }
            return stack(states, 1);
          },
          -1,
          1};
}

}  // namespace

std::vector<Sample> rnn_samples() {
  const Tensor lengths = tensor({4, 0, 2}, int64);
  return {sample("rnn_tanh", Recurrence::rnn_tanh),
          sample("rnn_relu", Recurrence::rnn_relu),
          sample("lstm", Recurrence::lstm),
          sample("gru", Recurrence::gru),
          sample("rnn_tanh in reverse", Recurrence::rnn_tanh, {.reverse = true, .lengths = lengths}),
          sample("lstm of lengths", Recurrence::lstm, {.lengths = lengths}),
          sample("lstm in reverse", Recurrence::lstm, {.reverse = true, .lengths = lengths}),
          sample("gru of lengths", Recurrence::gru, {.lengths = lengths}),
          sample("gru in reverse", Recurrence::gru, {.reverse = true})};
}

}  // namespace gradus::samples
