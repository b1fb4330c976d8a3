#include "nn/history.h"

#include <doctest/doctest.h>

#include <cmath>

#include "tests/files.h"

using namespace gradus;
using files::error_text, files::TemporaryFolder;

TEST_CASE("History: rows and columns go to a file and back with every digit") {
  const TemporaryFolder folder;
  History history;
  history.add({{"epoch", 1}, {"train loss", 1. / 3}, {"test loss", INFINITY}});
  history.add({{"epoch", 2}, {"train loss", 1e-300}, {"test loss", -NAN}});
  history.add({{"epoch", 3}, {"train loss", 0.1}, {"test loss", 0.5}});
  CHECK(history.size() == 3);
  CHECK(history.columns() == std::vector<std::string>{"epoch", "train loss", "test loss"});
  history.save(folder.path("x.csv"));
  CHECK(folder.read("x.csv") == "epoch,train loss,test loss\n1,0.3333333333333333,inf\n2,1e-300,-nan\n3,0.1,0.5\n");
  CHECK(folder.count() == 1);

  History loaded = History::load(folder.path("x.csv"));
  CHECK(loaded.columns() == history.columns());
  CHECK(loaded.column("train loss") == history.column("train loss"));
  CHECK(std::isnan(loaded.column("test loss")[1]));
  loaded.truncate(5);
  CHECK(loaded.size() == 3);
  loaded.truncate(1);
  loaded.add({{"epoch", 2}, {"train loss", 0.2}, {"test loss", 0.3}});
  CHECK(loaded.column("epoch") == std::vector<double>{1, 2});

  History().save(folder.path("empty.csv"));
  CHECK(History::load(folder.path("empty.csv")).columns().empty());
  CHECK(History::load(folder.write("nothing.csv", "")).size() == 0);
}

TEST_CASE("History: a chart has a line for each column of the metric") {
  History history;
  CHECK(history.chart("loss").series.empty());
  history.add({{"epoch", 1}, {"train loss", 0.5}, {"accuracy", 0.7}, {"test loss", 0.6}, {"floss", 9}});
  history.add({{"epoch", 2}, {"train loss", 0.4}, {"accuracy", 0.8}, {"test loss", 0.5}, {"floss", 9}});
  const Chart chart = history.chart("loss");
  CHECK(chart.x_label == "epoch");
  CHECK(chart.y_label == "loss");
  REQUIRE(chart.series.size() == 2);
  CHECK(chart.series[0].name == "train");
  CHECK(chart.series[1].name == "test");
  CHECK(chart.series[1].x == std::vector<double>{1, 2});
  CHECK(chart.series[1].y == std::vector<double>{0.6, 0.5});
  REQUIRE(history.chart("accuracy").series.size() == 1);
  CHECK(history.chart("accuracy").series[0].name.empty());
}

TEST_CASE("History: what does not fit is an error") {
  const TemporaryFolder folder;
  History history;
  CHECK(error_text([&] {
          history.add({{"a,b", 1}});
        }) == "History: the name \"a,b\" holds a comma, a quote or a line break");
  history.add({{"epoch", 1}, {"loss", 2}});
  CHECK(error_text([&] {
          history.add({{"epoch", 2}});
        }) == "History: the row has the columns epoch, but those before have epoch, loss");
  CHECK(history.size() == 1);
  CHECK(error_text([&] { history.column("lost"); }) == "History: there is no column \"lost\" among epoch, loss");
  const auto error = [&](const std::string& contents) {
    const std::string path = folder.write("x.csv", contents);
    return error_text([&] { History::load(path); }, path);
  };
  CHECK(error("a,b\n1,2\n3\n") == "History::load: x.csv: line 3: 1 fields, but the first line has 2");
  CHECK(error("a,b\n1,two\n") == "History::load: x.csv: line 2: \"two\" is not a number");
  CHECK(error("a,b\n1,\n") == "History::load: x.csv: line 2: \"\" is not a number");
  CHECK(error("\n1\n") == "History::load: x.csv: line 2: 1 fields, but the first line has 0");
  CHECK(error_text([&] { History::load(folder.path("none")); }, folder.path("none")) ==
        "History::load: none: there is no such file");
  CHECK(files::count_refused(folder, "epoch,loss\n1,0.5\n2,0.25\n",
                             [](const std::string& path) { History::load(path); }) > 500);
}
