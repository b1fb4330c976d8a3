#include "nn/loader.h"

#include <doctest/doctest.h>

#include <algorithm>
#include <numeric>

#include "core/node.h"
#include "ops/create.h"
#include "ops/view.h"
#include "tests/files.h"

using namespace gradus;
using data::Loader, data::TensorDataset;
using files::error_text;

namespace {

// Example i is an image of 1 x 2 pixels with the values 2i and 2i + 1, its target is i.
TensorDataset numbers(int64_t count) {
  return {reshape(arange(0, 2 * double(count), 1, float32), {count, 1, 1, 2}), arange(count)};
}

// The targets of an epoch in their order; inputs must go with them.
std::vector<int> targets(const Loader& loader) {
  std::vector<int> seen;
  for (auto [input, target] : loader) {
    const std::vector<int> pixels = input.to_vector<int>(), numbers = target.to_vector<int>();
    REQUIRE(pixels.size() == 2 * numbers.size());
    for (size_t i = 0; i < numbers.size(); ++i) CHECK(pixels[2 * i] == 2 * numbers[i]);
    seen.insert(seen.end(), numbers.begin(), numbers.end());
  }
  return seen;
}

std::vector<int> up_to(int n) {
  std::vector<int> values(static_cast<size_t>(n));
  std::iota(values.begin(), values.end(), 0);
  return values;
}

std::vector<int64_t> batch_sizes(const Loader& loader) {
  std::vector<int64_t> sizes;
  for (auto [input, target] : loader) sizes.push_back(target.size(0));
  return sizes;
}

}  // namespace

TEST_CASE("Loader: batches in order are views of the dataset") {
  const TensorDataset dataset = numbers(10);
  const Loader loader(dataset, {.batch = 4});
  CHECK(loader.size() == 3);
  CHECK(batch_sizes(loader) == std::vector<int64_t>{4, 4, 2});
  CHECK(targets(loader) == up_to(10));
  for (auto [input, target] : loader) CHECK(input.storage().get() == dataset.inputs.storage().get());
  const Loader whole(dataset, {.batch = 4, .drop_last = true});
  CHECK(whole.size() == 2);
  CHECK(targets(whole) == up_to(8));
  CHECK(batch_sizes(Loader(dataset, {.batch = INT64_MAX})) == std::vector<int64_t>{10});
  CHECK(batch_sizes(Loader(numbers(0), {.batch = 4, .shuffle = true})).empty());
}

TEST_CASE("Loader: an epoch has every example once, in another order each time") {
  manual_seed(3);
  const Loader loader(numbers(100), {.batch = 7, .shuffle = true});
  std::vector<int> first = targets(loader), second = targets(loader);
  CHECK(first != second);
  CHECK(first != up_to(100));
  std::sort(first.begin(), first.end());
  std::sort(second.begin(), second.end());
  CHECK(first == up_to(100));
  CHECK(second == up_to(100));
}

TEST_CASE("Loader: the order follows from the generator, whatever is prefetched and whoever draws meanwhile") {
  const auto epochs = [](int prefetch, Generator* generator) {
    manual_seed(5);
    const Loader loader(numbers(50), {.batch = 8,
                                      .shuffle = true,
                                      .prefetch = prefetch,
                                      .transforms = {data::random_horizontal_flip(), data::random_crop(1)},
                                      .generator = generator});
    std::vector<float> seen;
    for (int epoch = 0; epoch < 2; ++epoch)
      for (auto [input, target] : loader) {
        const std::vector<float> pixels = input.to_vector<float>(), noise = rand({3}).to_vector<float>();
        seen.insert(seen.end(), pixels.begin(), pixels.end());
        seen.insert(seen.end(), noise.begin(), noise.end());
      }
    return seen;
  };
  const std::vector<float> expected = epochs(0, nullptr);
  CHECK(expected.size() == 2 * (100 + 7 * 3));
  for (const int prefetch : {1, 2, 5, 100}) CHECK(epochs(prefetch, nullptr) == expected);

  Generator own(9), same(9);
  const std::vector<float> first = epochs(2, &own);
  CHECK(first != expected);
  CHECK(epochs(0, &same) == first);
  CHECK(epochs(0, &same) != first);  // its state has moved on
}

TEST_CASE("Loader: an epoch can be resumed from the generator's state") {
  manual_seed(11);
  const Loader loader(numbers(30), {.batch = 8, .shuffle = true});
  targets(loader);
  const GeneratorState state = default_generator().state();
  const std::vector<int> second = targets(loader);
  manual_seed(0);
  CHECK(targets(loader) != second);
  default_generator().set_state(state);
  CHECK(targets(loader) == second);
}

TEST_CASE("Loader: a loop may be left early, and loops may be nested") {
  const Loader loader(numbers(1000), {.batch = 1, .shuffle = true, .prefetch = 3});
  int steps = 0;
  for (auto [input, target] : loader)
    if (++steps == 5) break;
  CHECK(steps == 5);
  for (auto [outer, a] : Loader(numbers(6), {.batch = 2, .shuffle = true}))
    for (auto [inner, b] : Loader(numbers(6), {.batch = 2, .shuffle = true})) ++steps;
  CHECK(steps == 5 + 9);
  const auto untouched = loader.begin();  // never advanced
  CHECK((*untouched).targets.size(0) == 1);
}

TEST_CASE("Loader: an error in a transform reaches the loop") {
  for (const int prefetch : {0, 2}) {
    int calls = 0, seen = 0;
    const data::Transform third_fails = [&](const Tensor& inputs, Generator&) {
      if (++calls == 3) fail("this batch is bad");
      return inputs;
    };
    const Loader loader(numbers(10), {.batch = 2, .prefetch = prefetch, .transforms = {third_fails}});
    CHECK(error_text([&] {
            for (auto [input, target] : loader) ++seen;
          }) == "Loader: this batch is bad");
    CHECK(seen == 2);
  }
  const Loader flat(TensorDataset{ones({4, 2}), arange(4)}, {.transforms = {data::random_crop(1)}});
  CHECK(error_text([&] { flat.begin(); }) ==
        "random_crop: the inputs must be images of shape [N, C, H, W], but their shape is [4, 2]");
}

TEST_CASE("Loader: nothing is recorded, and nothing stays behind") {
  const int64_t nodes = Node::live(), storages = Storage::live();
  {
    const TensorDataset dataset{numbers(20).inputs.requires_grad(), arange(20)};
    for (auto [input, target] : Loader(dataset, {.batch = 3, .shuffle = true})) CHECK(!input.needs_grad());
  }
  CHECK(Node::live() == nodes);
  CHECK(Storage::live() == storages);
}

TEST_CASE("Loader: settings that make no sense are errors") {
  CHECK(error_text([] { Loader(numbers(3), {.batch = 0}); }) == "Loader: a batch must have at least 1 example, not 0");
  CHECK(error_text([] { Loader(numbers(3), {.prefetch = -1}); }) == "Loader: cannot prefetch -1 batches");
  CHECK(error_text([] {
          Loader(TensorDataset{ones({3, 2}), ones({2})});
        }) ==
        "dataset: inputs have the shape [3, 2] and targets [2]; the first dimension, the number of examples, must be "
        "the same");
}
