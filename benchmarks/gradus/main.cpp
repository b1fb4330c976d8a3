// The speed of Gradus: what an operation costs, and the training steps of small networks.
//   gradus_bench [--threads N] [--benchmark_filter=REGEX ...]

#include <gradus.h>

#include "benchmarks/workloads.h"

int main(int argc, char** argv) {
  gradus::set_num_threads(workloads::take_threads(argc, argv));
  return workloads::run(argc, argv);
}
