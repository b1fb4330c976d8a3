#include "nn/progress.h"

#include <doctest/doctest.h>

using namespace gradus;

TEST_CASE("progress: the line shows how far it is and how long it will take") {
  CHECK(progress_line("epoch 3", 0, 8, 0, "") == "epoch 3 [>                       ] 0/8  0.0 s");
  CHECK(progress_line("epoch 3", 2, 8, 1.5, "loss 0.3") ==
        "epoch 3 [======>                 ] 2/8  1.5 s, 4.5 s left  loss 0.3");
  CHECK(progress_line("epoch 3", 8, 8, 6, "") == "epoch 3 [========================] 8/8  6.0 s");
  CHECK(progress_line("", 9, 8, 6, "") == " [========================] 9/8  6.0 s");
  CHECK(progress_line("", 0, 0, 0, "") == " [========================] 0/0  0.0 s");
}

TEST_CASE("progress: a stopwatch only goes forwards") {
  const Stopwatch stopwatch;
  const double first = stopwatch.seconds();
  CHECK(first >= 0);
  CHECK(stopwatch.seconds() >= first);
}
