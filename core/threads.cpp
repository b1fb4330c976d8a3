#include "core/threads.h"

#include <omp.h>

#include <string>

#include "core/error.h"

namespace gradus {

void set_num_threads(int count) {
  if (count < 1) fail("set_num_threads: at least 1 thread is needed, not " + std::to_string(count));
  omp_set_num_threads(count);
}

int num_threads() { return omp_get_max_threads(); }

}  // namespace gradus
