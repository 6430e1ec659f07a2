// What a user sees while a net trains, character for character, under a clock that only the steps move.
#include "dnn/train/progress.h"

#include <gmock/gmock.h>

#include <cstdlib>
#include <iostream>
#include <sstream>

#include "tests/core/failing_file_system.h"
#include "tests/train/toys.h"

namespace dnn {
namespace {

using namespace test;

// Trains for one epoch of `samples` samples in batches of 2, of which one in two is right, and returns what is printed.
struct Show {
  int64_t samples = 4;
  int64_t epochs = 1;
  double seconds_per_step = 1;
  bool validation = false;
  bool classes = true;
  std::vector<std::shared_ptr<Callback>> callbacks = {};

  std::string operator()(ProgressOptions options) const {
    std::ostringstream out;
    options.stream = &out;
    Sequential net = classes ? identity_net() : line_net(2);
    std::vector<float> inputs;
    for (int64_t i = 0; i < samples; ++i) inputs.insert(inputs.end(), {1, 0});
    const Tensor targets = arange(0, samples) - 2 * div_2();
    DataLoader loader(classes ? TensorDataset(from_values(inputs, {samples, 2}), targets)
                              : TensorDataset(ones({samples, 1}), ones({samples, 1})),
                      {.batch_size = 2});
    auto clock = std::make_shared<StepClock>(seconds_per_step);
    std::vector<std::shared_ptr<Callback>> all{clock, std::make_shared<Progress>(options)};
    all.insert(all.end(), callbacks.begin(), callbacks.end());
    Trainer trainer(net, SGD(net.parameters(), {.lr = 0}),
                    {.epochs = epochs,
                     .loss = classes ? LossFunction() : squared_error,
                     .progress = Progress::off,
                     .callbacks = all,
                     .clock = clock->clock()});
    if (validation)
      trainer.fit(loader, loader);
    else
      trainer.fit(loader);
    return out.str();
  }

 private:
  // floor(i / 2), so that i - 2 floor(i / 2) are the classes 0, 1, 0, 1, ...
  Tensor div_2() const {
    std::vector<int64_t> values;
    for (int64_t i = 0; i < samples; ++i) values.push_back(i / 2);
    return from_values(values, {samples});
  }
};

std::string drawn(const std::string& line) { return "\r" + line + "\x1b[K"; }

TEST(Progress, DrawsABarOnATerminal) {
  EXPECT_EQ(Show{.validation = true}({.mode = Progress::bar, .width = 120}),
            drawn("epoch 1/1  [>                           ]    0 %  0/4") +
                drawn("epoch 1/1  [==============>             ]   50 %  2/4  2.00 samples/s  ETA 0:01  loss 0.8133  "
                      "accuracy 50.00 %") +
                drawn("epoch 1/1  [============================]  100 %  4/4  2.00 samples/s  ETA 0:00  loss 0.8133  "
                      "accuracy 50.00 %") +
                drawn("epoch 1/1  [============================]  100 %  4/4  2.00 samples/s  validating  loss 0.8133  "
                      "accuracy 50.00 %") +
                drawn("epoch 1/1  2.0 s  2.00 samples/s  loss 0.8133  accuracy 50.00 %  val loss 0.8133  "
                      "val accuracy 50.00 %") +
                "\n");
}

TEST(Progress, ShowsMetrics) {
  std::ostringstream out;
  Sequential net = identity_net();
  DataLoader loader(TensorDataset(tensor({1, 0, 1, 0}, {2, 2}), arange(0, 2)), {.batch_size = 2});
  auto progress = std::make_shared<Progress>(ProgressOptions{.mode = Progress::bar, .stream = &out, .width = 150});
  Trainer trainer(net, SGD(net.parameters(), {.lr = 0}),
                  {.metrics = {std::make_shared<Recall>()}, .progress = Progress::off, .callbacks = {progress}});
  trainer.fit(loader, loader);
  EXPECT_THAT(out.str(), testing::HasSubstr("accuracy 50.00 %  recall 0.5000\x1b[K"));
  EXPECT_THAT(out.str(), testing::HasSubstr("val accuracy 50.00 %  val recall 0.5000\x1b[K\n"));
}

TEST(Progress, PrintsALinePerEpochElsewhere) {
  EXPECT_EQ((Show{.epochs = 2, .seconds_per_step = 45, .classes = false}({.mode = Progress::automatic})),
            "epoch 1/2  1:30  0.04 samples/s  loss 1.0000\n"
            "epoch 2/2  1:30  0.04 samples/s  loss 1.0000\n");
  EXPECT_THAT((Show{.epochs = 10}({.mode = Progress::lines})),
              testing::StartsWith("epoch  1/10  2.0 s  2.00 samples/s  loss 0.8133  accuracy 50.00 %\nepoch  2/10  "));
}

TEST(Progress, PrintsNothingWhenItIsOff) { EXPECT_EQ(Show{}({.mode = Progress::off}), ""); }

TEST(Progress, FitsNarrowTerminals) {
  const auto middle = [](int width) {
    std::string text = Show{}({.mode = Progress::bar, .width = width});
    text = text.substr(text.find('\r', 1) + 1);
    return text.substr(0, text.find("\x1b[K"));
  };
  const std::string all = " 50 %  2/4  2.00 samples/s  ETA 0:01  loss 0.8133  accuracy 50.00 %";
  EXPECT_EQ(middle(100), "epoch 1/1  [========>        ]  " + all);
  EXPECT_EQ(middle(92), "epoch 1/1  [====>    ]  " + all);
  EXPECT_EQ(middle(91), "epoch 1/1  [====>   ]  " + all);
  EXPECT_EQ(middle(90), "epoch 1/1  " + all);
  EXPECT_EQ(middle(79), "epoch 1/1  " + all);
  EXPECT_EQ(middle(78), "epoch 1/1  [=====>     ]   50 %  2/4  ETA 0:01  loss 0.8133  accuracy 50.00 %");
  EXPECT_EQ(middle(65), "epoch 1/1   50 %  2/4  ETA 0:01  loss 0.8133  accuracy 50.00 %");
  EXPECT_EQ(middle(60), "epoch 1/1   50 %  ETA 0:01  loss 0.8133  accuracy 50.00 %");
  EXPECT_EQ(middle(45), "epoch 1/1   50 %  ETA 0:01  loss 0.8133");
  EXPECT_EQ(middle(30), "epoch 1/1   50 %  ETA 0:01");
  EXPECT_EQ(middle(20), "epoch 1/1   50 %");
  EXPECT_EQ(middle(5), "epoch 1/1");
}

TEST(Progress, ColorsTheBar) {
  const std::string text = Show{.samples = 2}({.mode = Progress::bar, .color = true, .width = 120});
  EXPECT_THAT(text, testing::HasSubstr("[\x1b[32m============================\x1b[0m]"));
  EXPECT_THAT(Show{}({.mode = Progress::bar, .color = false}), testing::Not(testing::HasSubstr("\x1b[32m")));
}

TEST(Progress, DrawsSeldom) {
  const auto drawings = [](double interval) {
    const std::string text =
        Show{.samples = 200, .seconds_per_step = 0.01}({.mode = Progress::bar, .interval = interval});
    return std::count(text.begin(), text.end(), '\r');
  };
  EXPECT_EQ(drawings(0), 102);     // begin, 100 steps, summary
  EXPECT_EQ(drawings(0.095), 12);  // begin, every tenth step, summary
  EXPECT_EQ(drawings(100), 3);     // begin, last step, summary
}

TEST(Progress, ShowsLongTimes) {
  const std::string text = Show{.samples = 6, .seconds_per_step = 4000}({.mode = Progress::bar, .width = 120});
  EXPECT_THAT(text, testing::HasSubstr("33 %  2/6  0.00 samples/s  ETA 2:13:20  loss"));
  EXPECT_THAT(text, testing::HasSubstr("epoch 1/1  3:20:00  0.00 samples/s  loss"));
}

TEST(Progress, LeavesTheBarsLineWhenTrainingEndsInside) {
  auto stop = std::make_shared<AfterStep>([](Trainer& trainer) { trainer.stop(); });
  EXPECT_TRUE((Show{.callbacks = {stop}}({.mode = Progress::bar}).ends_with("\x1b[K\n")));

  std::ostringstream out;
  Sequential net = line_net(1);
  DataLoader loader(line_data());
  auto fail = std::make_shared<AfterStep>([](Trainer&) { throw ArgumentError("test: no"); });
  Trainer trainer(
      net, SGD(net.parameters(), {.lr = 0}),
      {.loss = squared_error,
       .progress = Progress::off,
       .callbacks = {std::make_shared<Progress>(ProgressOptions{.mode = Progress::bar, .stream = &out}), fail}});
  EXPECT_THROW(trainer.fit(loader), ArgumentError);
  EXPECT_TRUE(out.str().ends_with("\x1b[K\n"));
}

TEST(Progress, TellsOfAnInterrupt) {
  const SignalScope scope(SIGINT, SIG_DFL);
  for (const auto& [checkpoint, text] :
       {std::pair{"", "interrupted after step 2\n"}, {"x", "interrupted after step 2, the checkpoint is x\n"}}) {
    const TemporaryFolder folder;
    std::ostringstream out;
    Sequential net = line_net(1);
    DataLoader loader(line_data(), {.batch_size = 1});
    auto interrupt = std::make_shared<AfterStep>([](Trainer& trainer) {
      if (trainer.step() == 2) std::raise(SIGINT);
    });
    const std::string path = *checkpoint ? folder / checkpoint : "";
    Trainer trainer(net, SGD(net.parameters(), {.lr = 0}),
                    {.loss = squared_error,
                     .progress = Progress::off,
                     .checkpoint = path,
                     .handle_signals = true,
                     .callbacks = {std::make_shared<Progress>(ProgressOptions{.mode = Progress::lines, .stream = &out}),
                                   interrupt}});
    trainer.fit(loader);
    std::string expected = text;
    if (*checkpoint) expected.replace(expected.find(" x"), 2, " " + path);
    EXPECT_EQ(out.str(), expected);
  }
}

TEST(Progress, IsOnTheStandardOutputByDefault) {
  Sequential net = line_net(1);
  DataLoader loader(line_data());
  testing::internal::CaptureStdout();  // into a file, which is no terminal
  Trainer(net, SGD(net.parameters(), {.lr = 0}), {.loss = squared_error}).fit(loader);
  EXPECT_THAT(testing::internal::GetCapturedStdout(),
              testing::MatchesRegex("epoch 1/1  .* s  .* samples/s  loss 0.0000\n"));
}

TEST(Progress, ShowsALossThatIsNoNumber) {
  const float nan = NAN;
  Sequential net = line_net(1);
  DataLoader loader(TensorDataset(from_values<float>({nan}, {1, 1}), zeros({1, 1})));
  std::ostringstream out;
  Trainer trainer(
      net, SGD(net.parameters(), {.lr = 0}),
      {.loss = squared_error,
       .progress = Progress::off,
       .callbacks = {std::make_shared<Progress>(ProgressOptions{.mode = Progress::lines, .stream = &out})}});
  trainer.fit(loader, loader);
  EXPECT_THAT(out.str(), testing::EndsWith("loss nan  val loss nan\n"));
}

}  // namespace
}  // namespace dnn
