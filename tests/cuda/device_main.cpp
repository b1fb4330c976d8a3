// Runs the tests that need a device, or says why there is none.

#define DOCTEST_CONFIG_IMPLEMENT
#include <doctest/doctest.h>

#include <iostream>

#include "core/cuda.h"
#include "core/error.h"

int main(int argc, char** argv) try {
  gradus::cuda::runtime();
  return doctest::Context(argc, argv).run();
} catch (const gradus::Error& error) {
  std::cout << "skipped: " << error.what() << '\n';
}
