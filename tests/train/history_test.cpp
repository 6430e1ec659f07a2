// Histories as texts and pictures.
#include "dnn/train/history.h"

#include <gmock/gmock.h>

#include <cmath>

#include "tests/core/failing_file_system.h"
#include "tests/train/toys.h"

namespace dnn {
namespace {

using namespace test;
using testing::AllOf;
using testing::ElementsAre;
using testing::HasSubstr;
using testing::Not;
using testing::ThrowsMessage;

History some_history() {
  return {{.epoch = 1,
           .loss = 0.5,
           .accuracy = 0.25,
           .val_loss = 1.0 / 3,
           .val_accuracy = 0.5,
           .lr = 1e-4,
           .seconds = 12.25,
           .samples_per_second = 1000,
           .metrics = {{"top5", 0.75}},
           .val_metrics = {{"top5", 0.5}}},
          {.epoch = 2, .loss = INFINITY, .lr = 0.1, .metrics = {{"a \"b\", c\\", 1}}}};
}

TEST(History, FindsNumbersByName) {
  const EpochStats stats = some_history()[0];
  EXPECT_EQ(stats.find("epoch"), 1);
  EXPECT_EQ(stats.find("loss"), 0.5);
  EXPECT_EQ(stats.find("val_accuracy"), 0.5);
  EXPECT_EQ(stats.find("top5"), 0.75);
  EXPECT_EQ(stats.find("val_top5"), 0.5);
  EXPECT_EQ(stats.find("top1"), std::nullopt);
  EXPECT_EQ(stats.find("val_"), std::nullopt);
  EXPECT_THAT(names_of(some_history()),
              ElementsAre("epoch", "loss", "accuracy", "val_loss", "val_accuracy", "lr", "seconds",
                          "samples_per_second", "a \"b\", c\\", "top5", "val_top5"));
}

TEST(History, IsATable) {
  EXPECT_EQ(history_table({{.epoch = 9, .loss = 0.5, .lr = 1e-4}, {.epoch = 10, .loss = 12345, .lr = 0}}),
            "epoch       loss         lr  samples_per_second\n"
            "    9     0.5000  1.000e-04                 0.0\n"
            "   10  1.234e+04     0.0000                 0.0\n");
}

TEST(History, IsCsv) {
  EXPECT_EQ(
      history_csv(some_history()),
      "epoch,loss,accuracy,val_loss,val_accuracy,lr,seconds,samples_per_second,\"a \"\"b\"\", c\\\",top5,val_top5\n"
      "1,0.5,0.25,0.3333333333333333,0.5,0.0001,12.25,1000,nan,0.75,0.5\n"
      "2,inf,nan,nan,nan,0.1,nan,0,1,nan,nan\n");
  EXPECT_EQ(history_csv({}), "epoch,loss,accuracy,val_loss,val_accuracy,lr,seconds,samples_per_second\n");
}

TEST(History, IsJson) {
  EXPECT_EQ(history_json(some_history()),
            "[\n"
            R"(  {"epoch": 1, "loss": 0.5, "accuracy": 0.25, "val_loss": 0.3333333333333333, "val_accuracy": 0.5, )"
            R"("lr": 0.0001, "seconds": 12.25, "samples_per_second": 1000, "a \"b\", c\\": null, "top5": 0.75, )"
            R"("val_top5": 0.5},)"
            "\n"
            R"(  {"epoch": 2, "loss": null, "accuracy": null, "val_loss": null, "val_accuracy": null, "lr": 0.1, )"
            R"("seconds": null, "samples_per_second": 0, "a \"b\", c\\": 1, "top5": null, "val_top5": null})"
            "\n]\n");
  EXPECT_EQ(history_json({}), "[]\n");
}

TEST(History, IsSavedByTheEndingOfTheName) {
  const TemporaryFolder folder;
  save_history(some_history(), folder / "x.csv");
  save_history(some_history(), folder / "x.json");
  EXPECT_EQ(contents(folder / "x.csv"), history_csv(some_history()));
  EXPECT_EQ(contents(folder / "x.json"), history_json(some_history()));
  EXPECT_THAT(
      [] { save_history({}, "x.txt"); },
      ThrowsMessage<ArgumentError>("save_history: the file is called 'x.txt', expected a name in .csv or .json"));
  EXPECT_THROW(save_history({}, folder / "no/x.csv"), IoError);
}

TEST(Curves, HaveAPanelForEachNumber) {
  History history = some_history();
  history[1].loss = 0.25;
  const std::string svg = curves_svg(history, {.title = "a < b & c"});
  EXPECT_THAT(
      svg,
      AllOf(HasSubstr("a &lt; b &amp; c"), HasSubstr(">Loss<"), HasSubstr(">Accuracy<"), HasSubstr(">Top5<"),
            HasSubstr("train<tspan fill=\"#666\">: last 0.2500, best 0.2500 (epoch 2)"),
            HasSubstr("validation<tspan fill=\"#666\">: last not finite, best 0.3333 (epoch 1)"),
            HasSubstr("best 25.00 % (epoch 1)"), HasSubstr("</svg>\n"), Not(HasSubstr("nan")), Not(HasSubstr("inf"))));
  const std::string loss_alone = curves_svg({{.epoch = 1, .loss = 1}});
  EXPECT_THAT(loss_alone, AllOf(HasSubstr(">Loss<"), Not(HasSubstr("Accuracy")), Not(HasSubstr("validation"))));
  EXPECT_THAT(curves_svg({}), HasSubstr("</svg>\n"));
}

TEST(Curves, HaveRoundTicks) {
  History history;
  for (int i = 1; i <= 90; ++i) history.push_back({.epoch = i, .loss = 7.3 - 0.07 * i});
  const std::string svg = curves_svg(history);
  for (const char* tick : {">0<", ">1<", ">8<", ">10<", ">20<", ">90<"}) EXPECT_THAT(svg, HasSubstr(tick));
  for (const char* none : {">9<", ">11<", ">100<", "<circle"}) EXPECT_THAT(svg, Not(HasSubstr(none)));
}

TEST(Curves, LeaveAGapWhereThereIsNoNumber) {
  const auto lines = [](std::vector<double> losses) {
    History history;
    for (const double loss : losses) history.push_back({.epoch = int64_t(history.size()) + 1, .loss = loss});
    const std::string svg = curves_svg(history);
    int count = 0;
    for (size_t at = svg.find("<polyline"); at != std::string::npos; at = svg.find("<polyline", at + 1)) ++count;
    return count;
  };
  EXPECT_EQ(lines({1, 2, 3, 4}), 1);
  EXPECT_EQ(lines({1, 2, NAN, 3, 4}), 2);
  EXPECT_EQ(lines({1, NAN, 3, INFINITY}), 0);
  EXPECT_EQ(lines({INFINITY, INFINITY}), 0);
  EXPECT_EQ(lines({5, 5}), 1);
  EXPECT_EQ(lines({-1e-12, 1e300}), 1);
}

TEST(Curves, RefuseTinyPanels) {
  EXPECT_THAT([] { curves_svg({}, {.panel_width = 199}); },
              ThrowsMessage<ArgumentError>("curves_svg: a panel is 199 x 300, expected at least 200 x 150"));
}

// After each epoch both files hold all epochs so far, and a resumed run goes on in them.
TEST(Logs, HoldTheHistoryAlsoAfterAResume) {
  const TemporaryFolder folder;
  const auto fit = [&](bool resume, int64_t stop_at) {
    Sequential net = line_net(0.5);
    DataLoader loader(line_data(), {.batch_size = 2});
    auto stop = std::make_shared<AfterStep>([&](Trainer& trainer) {
      if (trainer.step() == stop_at) trainer.stop();
    });
    Trainer trainer(net, SGD(net.parameters(), {.lr = 0.1}),
                    {.epochs = 3,
                     .loss = squared_error,
                     .progress = Progress::off,
                     .checkpoint = folder / "x",
                     .callbacks = {std::make_shared<CsvLog>(folder / "logs/x.csv"),
                                   std::make_shared<CurvesSvg>(folder / "logs/x.svg"), stop}});
    if (resume) trainer.resume(folder / "x");
    const History history = trainer.fit(loader);
    EXPECT_EQ(contents(folder / "logs/x.csv"), history_csv(history));
    EXPECT_EQ(contents(folder / "logs/x.svg"), curves_svg(history));
    return history.size();
  };
  EXPECT_EQ(fit(false, 3), 1u);
  EXPECT_EQ(fit(true, 0), 3u);
}

}  // namespace
}  // namespace dnn
