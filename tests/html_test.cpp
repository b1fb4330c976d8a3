#include "derive/html.h"

#include <doctest/doctest.h>

#include <algorithm>
#include <cmath>
#include <nlohmann/json.hpp>

#include "core/node.h"
#include "examples/step_through_cases.h"
#include "ops/activation.h"
#include "ops/arithmetic.h"
#include "ops/create.h"
#include "ops/loss.h"
#include "ops/matmul.h"
#include "ops/reduce.h"
#include "tests/files.h"

using namespace gradus;
using files::error_text, files::TemporaryFolder;

namespace {

constexpr std::string_view data_begin = "<script type=\"application/json\" id=\"derivation\">";

// What the page's script reads.
nlohmann::json data_of(const std::string& html) {
  const size_t begin = html.find(data_begin) + data_begin.size();
  return nlohmann::json::parse(html.substr(begin, html.find('<', begin) - begin));
}

size_t count(const std::string& text, std::string_view part) {
  size_t found = 0;
  for (size_t at = 0; (at = text.find(part, at)) != text.npos; at += part.size()) ++found;
  return found;
}

void check_numbers(const nlohmann::json& shown, const Tensor& tensor) {
  REQUIRE(shown["values"].size() == size_t(tensor.numel()));
  for (int64_t i = 0; i < tensor.numel(); ++i)
    CHECK(shown["values"][size_t(i)].get<double>() == doctest::Approx(tensor.at(i)).epsilon(1e-5));
}

size_t contributions_to(const Derivation& derivation, size_t quantity) {
  size_t number = 0;
  for (const BackwardStep& step : derivation.backward())
    number += size_t(std::ranges::count(step.contributions, quantity, &Contribution::to));
  return number;
}

// Whether the page holds the numbers and rules of the derivation.
void check_page(const Derivation& derivation) {
  const nlohmann::json data = data_of(to_html(derivation));
  REQUIRE(data["quantities"].size() == derivation.quantities().size());
  for (size_t i = 0; i < derivation.quantities().size(); ++i) {
    const Quantity& quantity = derivation.quantities()[i];
    CHECK(data["quantities"][i]["name"] == quantity.name);
    CHECK(data["quantities"][i]["isNumber"] == quantity.is_number);
    if (!quantity.is_number) check_numbers(data["quantities"][i]["value"], quantity.value);
    if (quantity.gradient.defined()) check_numbers(data["quantities"][i]["gradient"], quantity.gradient);
    else CHECK(data["quantities"][i]["gradient"].is_null());
  }
  REQUIRE(data["backward"].size() == derivation.backward().size());
  for (size_t i = 0; i < derivation.backward().size(); ++i)
    for (size_t k = 0; k < derivation.backward()[i].contributions.size(); ++k) {
      const Contribution& each = derivation.backward()[i].contributions[k];
      const nlohmann::json& shown = data["backward"][i]["contributions"][k];
      CHECK(shown["rule"] == to_mathml(each.rule));
      // One that is alone is the gradient itself.
      CHECK(shown["value"].is_object() == (contributions_to(derivation, each.to) > 1));
      if (shown["value"].is_object()) check_numbers(shown["value"], each.value);
    }
}

Tensor small_loss() {
  const Tensor x = randn({4, 3}).named("x"), w = randn({3, 5}).named("W").requires_grad();
  const Tensor target = tensor(std::vector<int64_t>{0, 2, 1, 4}).named("target");
  return cross_entropy(relu(matmul(x, w)), target) + 0.5 * mean(square(w));
}

}  // namespace

TEST_CASE("html: the page holds the numbers of the derivation") {
  const KeepValues keep;
  check_page(small_loss());
  for (const cases::Case& each : cases::all) {
    CAPTURE(each.name);
    check_page(each.loss());
  }
}

TEST_CASE("html: small steps are checked, unless told otherwise; fused ones can be opened") {
  const KeepValues keep;
  const Tensor loss = small_loss();
  const nlohmann::json data = data_of(to_html(loss)), unchecked = data_of(to_html(loss, {.checks = false}));
  size_t opened = 0;
  for (const nlohmann::json& step : data["backward"]) {
    CHECK(step["check"]["passed"] == true);
    CHECK(step["check"]["text"].get<std::string>().starts_with("agrees with differences in float64: largest"));
  }
  for (const nlohmann::json& step : unchecked["backward"]) CHECK(step["check"].is_null());
  for (const nlohmann::json& step : data["forward"]) opened += step["opened"].is_object();
  CHECK(opened == 1);  // cross_entropy
}

TEST_CASE("html: of large tensors a corner is shown, with figures of the whole") {
  const KeepValues keep;
  const Tensor x = arange(0, 2 * 3 * 40 * 20, 1, float64);
  const Tensor cube = Tensor(x.to_vector<double>(), {2, 3, 40, 20}, float64).named("cube").requires_grad();
  const nlohmann::json data = data_of(to_html(sum(cube)))["quantities"][0]["value"];
  CHECK(data["shape"] == std::vector<int>{2, 3, 40, 20});
  CHECK(data["shown"] == std::vector<int>{1, 1, 16, 16});
  REQUIRE(data["values"].size() == 256);
  CHECK(data["values"][16] == 20);  // the second row
  CHECK(data["statistics"]["max"] == 4799);
  CHECK(data["statistics"]["mean"] == 2399.5);
  const Tensor rows = randn({3, 2, 4, 4}).requires_grad();
  CHECK(data_of(to_html(sum(rows)))["quantities"][0]["value"]["shown"] == std::vector<int>{3, 2, 4, 4});
}

TEST_CASE("html: what is not finite is shown, and left out of the figures") {
  const KeepValues keep;
  const Tensor x = tensor({NAN, INFINITY, -INFINITY, 3}).requires_grad();
  const nlohmann::json value = data_of(to_html(sum(x)))["quantities"][0]["value"];
  CHECK(value["values"] == nlohmann::json{"nan", "∞", "−∞", 3});
  CHECK(value["statistics"] == nlohmann::json{{"infinite", 3}, {"min", 3}, {"max", 3}, {"mean", 3}, {"norm", 3}});
  const Tensor none = zeros({0, 3}).requires_grad();
  CHECK(data_of(to_html(sum(none)))["quantities"][0]["value"]["statistics"] == nlohmann::json{{"infinite", 0}});
}

TEST_CASE("html: names may hold any characters") {
  const KeepValues keep;
  const std::string plain = to_html(sum(zeros({2}).requires_grad() * zeros({2}).named("a")));
  for (const std::string& name : {std::string("</script><script>alert(1)</script>"), std::string("<!--<script>"),
                                  std::string("\"quote' & more"), std::string("a\x01\x1b[31m\n\x7f"),
                                  std::string("{{derivation}}"), std::string(100000, 'W'), std::string("\xff\xc3")}) {
    const std::string html = to_html(sum(zeros({2}).requires_grad() * zeros({2}).named(name)));
    for (const std::string_view markup : {"<", "<script", "</script", "<!--"})
      CHECK_MESSAGE(count(html, markup) == count(plain, markup), name.substr(0, 40));
    const nlohmann::json data = data_of(html);
    for (const nlohmann::json& quantity : data["quantities"]) {
      const std::string symbol = quantity["symbol"];
      CHECK_MESSAGE(count(symbol, "<") == 2 * count(symbol, "</"), symbol.substr(0, 40));
      CHECK(symbol.find("<script") == symbol.npos);
      CHECK(std::ranges::none_of(symbol, [](unsigned char c) { return c < ' ' || c == 0x7f; }));
    }
  }
}

TEST_CASE("html: the page needs nothing from elsewhere") {
  const KeepValues keep;
  const std::string html = to_html(small_loss());
  CHECK(count(html, "http://") ==
        count(html, "\"http://www.w3.org/2000/svg\"") + count(html, "\"http://www.w3.org/1998/Math/MathML\""));
  CHECK(count(html, "https://") == 0);
  CHECK(count(html, "src=") == 0);
  CHECK(html.size() < 300'000);
}

TEST_CASE("html: the file appears whole or not at all") {
  const KeepValues keep;
  const Tensor loss = small_loss();
  const TemporaryFolder folder;
  write_html(loss, folder.path("derivation.html"));
  const bool same = folder.read("derivation.html") == to_html(loss);
  CHECK(same);
  CHECK(folder.count() == 1);
  CHECK(error_text([&] { write_html(loss, folder.path("none/x.html")); }, folder.path("none")) ==
        "write_html: none/x.html: cannot be written (No such file or directory)");
}
