#include "ops/operations.h"

namespace gradus {

std::vector<Operation> elementwise_operations() {
  std::vector<Operation> all;
  for (const auto& family : {arithmetic_operations(), exponential_operations(), trigonometric_operations(),
                             activation_operations(), loss_operations(), comparison_operations()})
    all.insert(all.end(), family.begin(), family.end());
  return all;
}

}  // namespace gradus
