#include "nn/sampler.h"

#include <doctest/doctest.h>

#include <algorithm>
#include <cmath>

#include "nn/loader.h"
#include "ops/create.h"
#include "tests/files.h"

using namespace gradus;
using data::Loader, data::Sampler, data::TensorDataset;
using files::error_text;

namespace {

TensorDataset numbers(int64_t count) { return {arange(0, double(count), 1, float32), arange(count)}; }

std::vector<int> epoch(const Sampler& sampler, int64_t examples = 10) {
  std::vector<int> seen;
  for (auto [input, target] : Loader(numbers(examples), {.batch = 3, .sampler = sampler}))
    for (const int number : target.to_vector<int>()) seen.push_back(number);
  return seen;
}

std::vector<int> sorted(std::vector<int> list) {
  std::sort(list.begin(), list.end());
  return list;
}

// How often each of `size` examples comes up.
std::vector<int> counts(const std::vector<int>& seen, size_t size) {
  std::vector<int> result(size);
  for (const int number : seen) ++result.at(size_t(number));
  return result;
}

}  // namespace

TEST_CASE("sampler: random, all or some, with replacement or without") {
  manual_seed(1);
  const std::vector<int> all = epoch(data::random_sampler());
  CHECK(sorted(all) == std::vector<int>{0, 1, 2, 3, 4, 5, 6, 7, 8, 9});
  CHECK(epoch(data::random_sampler()) != all);
  manual_seed(1);
  std::vector<int> shuffled;
  for (auto [input, target] : Loader(numbers(10), {.batch = 10, .shuffle = true})) shuffled = target.to_vector<int>();
  CHECK(shuffled == all);

  std::vector<int> some = sorted(epoch(data::random_sampler({.num_samples = 7})));
  CHECK(some.size() == 7);
  CHECK(std::adjacent_find(some.begin(), some.end()) == some.end());
  const std::vector<int> many = epoch(data::random_sampler({.replacement = true, .num_samples = 1000}));
  CHECK(many.size() == 1000);
  for (const int count : counts(many, 10)) CHECK(std::abs(count - 100) < 50);  // 5 standard deviations
  CHECK(epoch(data::random_sampler({.replacement = true})).size() == 10);
  CHECK(epoch(data::random_sampler({.replacement = true}), 0).empty());
}

TEST_CASE("sampler: a subset in random order") {
  manual_seed(2);
  const Sampler sampler = data::subset_random_sampler(tensor({7, 1, 4, 1, 2}, int64));
  std::vector<std::vector<int>> orders;
  for (int i = 0; i < 5; ++i) orders.push_back(epoch(sampler));
  for (const std::vector<int>& order : orders) CHECK(sorted(order) == std::vector<int>{1, 1, 2, 4, 7});
  CHECK(std::adjacent_find(orders.begin(), orders.end(), std::not_equal_to<>()) != orders.end());
  CHECK(epoch(data::subset_random_sampler(Tensor::empty({0}, int64))).empty());
}

TEST_CASE("sampler: weights say how often an example comes up") {
  manual_seed(3);
  const Tensor weights = tensor({1, 0, 2, 7});
  const std::vector<int> often = counts(epoch(data::weighted_random_sampler(weights, 10000), 4), 4);
  CHECK(often[1] == 0);
  for (const auto& [place, expected] : {std::pair(0, 1000), std::pair(2, 2000), std::pair(3, 7000)})
    CHECK(std::abs(often[size_t(place)] - expected) < 250);

  // Without replacement, the first of two examples is drawn by weight, and the second one by the weights that are left.
  const Sampler two = data::weighted_random_sampler(weights, 2, false);
  std::vector<int> first(4), second(4);
  for (int i = 0; i < 4000; ++i) {
    const std::vector<int> drawn = two.draw(4, default_generator()).to_vector<int>();
    ++first.at(size_t(drawn[0])), ++second.at(size_t(drawn[1]));
    CHECK(drawn[0] != drawn[1]);
  }
  CHECK(first[1] + second[1] == 0);
  CHECK(std::abs(first[3] - 2800) < 150);
  CHECK(std::abs(second[3] - 4000 * (0.1 * 7 / 9 + 0.2 * 7 / 8)) < 150);
  CHECK(sorted(epoch(data::weighted_random_sampler(weights, 3, false), 4)) == std::vector<int>{0, 2, 3});
  CHECK(epoch(data::weighted_random_sampler(Tensor::empty({0}), 0), 0).empty());
}

TEST_CASE("sampler: one of one's own; its length is that of the epoch") {
  const Sampler backwards{5, [](int64_t size, Generator&) { return arange(double(size) - 1, double(size) - 6, -1); }};
  CHECK(epoch(backwards) == std::vector<int>{9, 8, 7, 6, 5});
  const Loader loader(numbers(10), {.batch = 2, .sampler = backwards, .drop_last = true});
  CHECK(loader.num_samples() == 5);
  CHECK(loader.size() == 2);
  int64_t seen = 0;
  for (auto [input, target] : loader) seen += target.size(0);
  CHECK(seen == 4);
  CHECK(Loader(numbers(10)).num_samples() == 10);
}

TEST_CASE("sampler: what makes no sense is an error") {
  CHECK(error_text([] { Loader(numbers(3), {.shuffle = true, .sampler = data::random_sampler()}); }) ==
        "Loader: a sampler leaves nothing to shuffle; leave out one of them");
  CHECK(error_text([] { epoch(data::random_sampler({.num_samples = 7}), 5); }) ==
        "Loader: 7 examples cannot be drawn from 5 without replacement");
  CHECK(error_text([] {
          epoch({3, [](int64_t, Generator&) { return arange(4); }});
        }) == "Loader: the sampler gave indices of shape [4] instead of [3]");
  CHECK(error_text([] { data::subset_random_sampler(ones({3})); }) ==
        "subset_random_sampler: the indices are float32 [3]; they must be int64 [M]");
  CHECK(error_text([] { epoch(data::weighted_random_sampler(ones({4}), 3), 5); }) ==
        "Loader: the sampler has 4 weights, but the dataset 5 examples");
  CHECK(error_text([] {
          data::weighted_random_sampler(ones({2, 2}), 3);
        }) == "weighted_random_sampler: the weights have the shape [2, 2]; it must be [N]");
  CHECK(error_text([] {
          data::weighted_random_sampler(tensor({1, -1}), 3);
        }) == "weighted_random_sampler: weight 1 is -1.000000; weights are finite and not negative");
  CHECK(error_text([] { data::weighted_random_sampler(tensor({NAN}), 3); }) ==
        "weighted_random_sampler: weight 0 is nan; weights are finite and not negative");
  CHECK(error_text([] { data::weighted_random_sampler(zeros({2}), 3); }) ==
        "weighted_random_sampler: all weights are 0");
  CHECK(error_text([] { data::weighted_random_sampler(ones({2}), -1); }) ==
        "weighted_random_sampler: num_samples is -1; it must not be negative");
  CHECK(error_text([] {
          data::weighted_random_sampler(tensor({0, 1}), 2, false);
        }) == "weighted_random_sampler: 2 examples cannot be drawn from 1 of a positive weight without replacement");
}
