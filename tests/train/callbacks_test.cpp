// The callbacks, driven by histories that are made up.
#include <gmock/gmock.h>

#include <cmath>

#include "tests/core/failing_file_system.h"
#include "tests/train/toys.h"

namespace dnn {
namespace {

using namespace test;
using testing::ElementsAre;
using testing::HasSubstr;
using testing::ThrowsMessage;

// A metric whose number is set from outside, epoch by epoch.
class Given : public Metric {
 public:
  explicit Given(std::string name, bool higher = true) : name_(std::move(name)), higher_(higher) {}
  std::string name() const override { return name_; }
  void reset() override {}
  void update(const Tensor&, const Tensor&) override {}
  double value() const override { return now; }
  bool higher_is_better() const override { return higher_; }
  double now = 0;

 private:
  std::string name_;
  bool higher_;
};

// Trains the line net, one step per epoch; "score" takes the given values, one for each epoch. After each epoch the
// weight is the number of the epoch.
struct ToyRun {
  explicit ToyRun(std::vector<double> values, std::vector<std::shared_ptr<Callback>> callbacks, bool higher = true)
      : values_(std::move(values)), score_(std::make_shared<Given>("score", higher)) {
    auto set = std::make_shared<AfterStep>([this](Trainer& t) {
      score_->now = values_.at(static_cast<size_t>(t.epoch()));
      const NoGrad no_grad;
      net.parameters()[0].fill_(double(t.epoch() + 1));
    });
    callbacks.insert(callbacks.begin(), set);
    trainer = std::make_unique<Trainer>(net, SGD(net.parameters(), {.lr = 0}),
                                        TrainerOptions{.epochs = static_cast<int64_t>(values_.size()),
                                                       .loss = squared_error,
                                                       .metrics = {score_},
                                                       .progress = Progress::off,
                                                       .callbacks = std::move(callbacks)});
  }
  // The number of epochs done.
  size_t fit() { return trainer->fit(loader, loader).size(); }
  double weight() const { return net.parameters()[0].item(); }

  Sequential net = line_net(0);
  DataLoader loader{line_data(), {.batch_size = 3}};
  std::unique_ptr<Trainer> trainer;

 private:
  std::vector<double> values_;
  std::shared_ptr<Given> score_;
};

constexpr double nan = EpochStats::none;

TEST(EarlyStopping, StopsAfterPatienceEpochsWithoutImprovement) {
  const auto epochs = [](std::vector<double> values, EarlyStoppingOptions options, bool higher = true) {
    options.monitor = "val_score";
    return ToyRun(std::move(values), {std::make_shared<EarlyStopping>(options)}, higher).fit();
  };
  EXPECT_EQ(epochs({1, 2, 3, 4, 5}, {.patience = 1}), 5u);
  EXPECT_EQ(epochs({1, 2, 2, 4, 5}, {.patience = 1}), 3u);
  EXPECT_EQ(epochs({1, 2, 2, 4, 4, 3, 9}, {.patience = 2}), 6u);
  EXPECT_EQ(epochs({1, 2, 3, 4, 5}, {.patience = 2}, false), 3u);
  EXPECT_EQ(epochs({1, 2, 3, 4, 5}, {.patience = 2, .better = Better::lower}), 3u);
  EXPECT_EQ(epochs({3, 2, 1, 0, -1}, {.patience = 2, .better = Better::higher}, false), 3u);
  EXPECT_EQ(epochs({1, 1.4, 1.6, 1.9, 2, 9}, {.patience = 2, .min_delta = 0.5}), 5u);
  EXPECT_EQ(epochs({nan, nan, 1, nan, nan, nan, 1}, {.patience = 3}), 6u);
}

TEST(EarlyStopping, RestoresTheBestWeights) {
  for (const auto& [restore, weight] : {std::pair{false, 4.0}, {true, 2.0}}) {
    auto early = std::make_shared<EarlyStopping>(
        EarlyStoppingOptions{.monitor = "score", .patience = 2, .restore_best = restore});
    ToyRun run({1, 5, 2, 3, 9}, {early});
    EXPECT_EQ(run.fit(), 4u);
    EXPECT_TRUE(early->stopped());
    EXPECT_EQ(early->monitor().best(), 5);
    EXPECT_EQ(early->monitor().best_epoch(), 2);
    EXPECT_EQ(run.weight(), weight);
  }
  // Also when the last epoch is done before; not when somebody else ends training, which may go on.
  const EarlyStoppingOptions options{.monitor = "score", .restore_best = true};
  ToyRun whole({1, 5, 2}, {std::make_shared<EarlyStopping>(options)});
  EXPECT_EQ(whole.fit(), 3u);
  EXPECT_EQ(whole.weight(), 2);
  auto stop = std::make_shared<AfterStep>([](Trainer& t) {
    if (t.step() == 3) t.stop();
  });
  ToyRun cut({1, 5, 2, 3}, {std::make_shared<EarlyStopping>(options), stop});
  EXPECT_EQ(cut.fit(), 3u);
  EXPECT_EQ(cut.weight(), 3);
}

TEST(EarlyStopping, StaysStoppedWhenResumedAndBeginsAnewOtherwise) {
  const TemporaryFolder folder;
  const EarlyStoppingOptions options{.monitor = "score", .patience = 1, .restore_best = true};
  ToyRun first({3, 2, 1, 1, 1}, {std::make_shared<EarlyStopping>(options)});
  EXPECT_EQ(first.fit(), 2u);
  first.trainer->save(folder / "x");
  ToyRun resumed({3, 2, 1, 1, 1}, {std::make_shared<EarlyStopping>(options)});
  resumed.trainer->resume(folder / "x");
  EXPECT_EQ(resumed.fit(), 2u);
  EXPECT_EQ(resumed.weight(), 1);  // the best weights are in the checkpoint
  EXPECT_EQ(resumed.fit(), 3u);    // asked for again without `resume`
}

TEST(EarlyStopping, PutsNoWeightsBackUnlessAskedTo) {
  const TemporaryFolder folder;
  const auto early = [](bool restore) {
    return std::make_shared<EarlyStopping>(EarlyStoppingOptions{.monitor = "score", .restore_best = restore});
  };
  auto save = std::make_shared<AfterStep>([&](Trainer& t) {
    if (t.epoch() == 2) t.save(folder / "x");
  });
  ToyRun first({1, 5, 2}, {early(true), save});
  first.fit();
  ToyRun resumed({1, 5, 2, 9, 9}, {early(false)});
  resumed.trainer->resume(folder / "x");
  EXPECT_EQ(resumed.fit(), 5u);
  EXPECT_EQ(resumed.weight(), 5);
}

TEST(Monitor, TellsWhichNamesThereAre) {
  const auto fit = [](const std::string& name, bool validation) {
    ToyRun run({1}, {std::make_shared<EarlyStopping>(EarlyStoppingOptions{.monitor = name})});
    validation ? run.trainer->fit(run.loader, run.loader) : run.trainer->fit(run.loader);
  };
  EXPECT_THAT([&] { fit("val_acc", true); },
              ThrowsMessage<ArgumentError>("early_stopping: there is no 'val_acc' to monitor, expected one of loss, "
                                           "accuracy, score, val_loss, val_accuracy, val_score"));
  EXPECT_THAT([&] { fit("val_loss", false); },
              ThrowsMessage<ArgumentError>("early_stopping: there is no 'val_loss' to monitor, expected one of loss, "
                                           "accuracy, score (fit was given no validation data)"));
  EXPECT_THAT([&] { fit("val_accuracy", true); },
              ThrowsMessage<ArgumentError>("early_stopping: there is no 'val_accuracy' to monitor, the targets are no "
                                           "classes (epoch 1)"));
  EXPECT_NO_THROW(fit("loss", false));
}

TEST(Monitor, RefusesBadOptions) {
  EXPECT_THAT([] { EarlyStopping({.patience = 0}); },
              ThrowsMessage<ArgumentError>("early_stopping: patience is 0, expected at least 1"));
  EXPECT_THAT([] { EarlyStopping({.min_delta = -1}); },
              ThrowsMessage<ArgumentError>("early_stopping: min_delta is -1, expected at least 0"));
  Monitor monitor("me", "loss");
  EXPECT_THAT([&] { monitor.load_state_dict({}); }, ThrowsMessage<ArgumentError>("me: the state has no 'best'"));
}

TEST(BestCheckpoint, HoldsTheBestEpoch) {
  const TemporaryFolder folder;
  auto best = std::make_shared<BestCheckpoint>(folder / "best/x", BestCheckpointOptions{.monitor = "score"});
  auto early = std::make_shared<EarlyStopping>(EarlyStoppingOptions{.monitor = "score", .patience = 9});
  ToyRun run({2, 1, 4, 3}, {best, early});
  run.fit();
  EXPECT_EQ(best->monitor().best_epoch(), 3);
  ToyRun other({0}, {});
  EXPECT_EQ(load_checkpoint(folder / "best/x", other.net).epoch, 3);
  EXPECT_EQ(other.weight(), 3);
  // It holds the state of the other callbacks after that epoch too, and a resumed run knows what was best.
  const StateDict training = load_checkpoint(folder / "best/x", other.net).training;
  EXPECT_EQ(training.at("callbacks.early_stopping.best_epoch").item(), 3);
  auto again = std::make_shared<BestCheckpoint>(folder / "best/x", BestCheckpointOptions{.monitor = "score"});
  ToyRun resumed({2, 1, 4, 3, 2}, {again});
  resumed.trainer->resume(folder / "best/x");
  resumed.fit();
  EXPECT_EQ(load_checkpoint(folder / "best/x", other.net).epoch, 3);
}

TEST(BestCheckpoint, FindsOutAtOnceThatItCannotWrite) {
  const TemporaryFolder folder;
  std::ofstream(folder / "file") << "in the way";
  ToyRun run({1}, {std::make_shared<BestCheckpoint>(folder / "file/x", BestCheckpointOptions{.monitor = "loss"})});
  EXPECT_THROW(run.fit(), IoError);
  EXPECT_EQ(run.trainer->step(), 0);
}

std::vector<std::string> names_in(const std::filesystem::path& folder) {
  std::vector<std::string> names;
  for (const auto& entry : std::filesystem::directory_iterator(folder)) names.push_back(entry.path().filename());
  std::sort(names.begin(), names.end());
  return names;
}

TEST(KeepLastCheckpoints, RemovesAllButTheLastOnes) {
  const TemporaryFolder folder;
  auto keep = std::make_shared<KeepLastCheckpoints>(folder / "run/{epoch:02}", KeepLastOptions{.keep = 2});
  ToyRun({0, 0, 0, 0, 0}, {keep}).fit();
  EXPECT_THAT(names_in(folder.path() / "run"), ElementsAre("04", "05"));
  EXPECT_THAT(keep->paths(), ElementsAre(folder / "run/04", folder / "run/05"));
  // A resumed run goes on counting where the checkpoint was written.
  ToyRun resumed({0, 0, 0, 0, 0, 0, 0},
                 {std::make_shared<KeepLastCheckpoints>(folder / "run/{epoch:02}", KeepLastOptions{.keep = 2})});
  resumed.trainer->resume(folder / "run/05");
  resumed.fit();
  EXPECT_THAT(names_in(folder.path() / "run"), ElementsAre("06", "07"));
}

TEST(KeepLastCheckpoints, WritesEveryFewEpochsOrSteps) {
  const TemporaryFolder folder;
  ToyRun({0, 0, 0, 0, 0},
         {std::make_shared<KeepLastCheckpoints>(folder / "a/{epoch}", KeepLastOptions{.every_epochs = 2})})
      .fit();
  EXPECT_THAT(names_in(folder.path() / "a"), ElementsAre("2", "4"));
  Sequential net = line_net(0.5);
  DataLoader loader(line_data(), {.batch_size = 1});
  auto keep = std::make_shared<KeepLastCheckpoints>(folder / "b/{epoch}/{step}",
                                                    KeepLastOptions{.keep = 9, .every_epochs = 0, .every_steps = 2});
  Trainer trainer(net, SGD(net.parameters(), {.lr = 0}),
                  {.epochs = 2, .loss = squared_error, .progress = Progress::off, .callbacks = {keep}});
  trainer.fit(loader);
  EXPECT_THAT(names_in(folder.path() / "b/0"), ElementsAre("2"));
  EXPECT_THAT(names_in(folder.path() / "b/1"), ElementsAre("4", "6"));
  EXPECT_EQ(load_checkpoint(folder / "b/1/4", net).batch, 1);
}

TEST(KeepLastCheckpoints, RefusesBadOptions) {
  EXPECT_THAT([] { KeepLastCheckpoints("x"); },
              ThrowsMessage<ArgumentError>("keep_last_checkpoints: 'x' gives the same name twice, expected {epoch} or "
                                           "{step} in it"));
  EXPECT_THAT(
      [] { KeepLastCheckpoints("{epoch}", {.every_steps = 5}); },
      ThrowsMessage<ArgumentError>("keep_last_checkpoints: '{epoch}' gives the same name twice, expected {step} "
                                   "in it"));
  EXPECT_THAT(
      [] { KeepLastCheckpoints("{number}"); },
      ThrowsMessage<ArgumentError>(HasSubstr("keep_last_checkpoints: '{number}' is no pattern of names, expected "
                                             "{epoch} or {step} in it (")));
  EXPECT_THAT([] { KeepLastCheckpoints("{epoch}", {.keep = 0}); },
              ThrowsMessage<ArgumentError>("keep_last_checkpoints: keep is 0, expected at least 1"));
  EXPECT_THAT(
      [] { KeepLastCheckpoints("{epoch}", {.every_epochs = 0}); },
      ThrowsMessage<ArgumentError>("keep_last_checkpoints: every_epochs is 0 and every_steps 0, expected at least "
                                   "0, and one of them positive"));
  KeepLastCheckpoints keep("{epoch}");
  EXPECT_THAT(
      [&] {
        keep.load_state_dict({{"kept", zeros({1, 2})}});
      },
      ThrowsMessage<ArgumentError>("keep_last_checkpoints: the state has no int64 'kept' [n, 2]"));
}

TEST(ReduceLrOnPlateau, LowersTheRate) {
  const auto rates = [](std::vector<double> values, bool higher) {
    ToyRun run(std::move(values),
               {std::make_shared<ReduceLrOnPlateau>(
                   ReduceLrOptions{.monitor = "val_score", .factor = 0.5, .patience = 1, .threshold = 0})},
               higher);
    run.trainer->optimizer().set_lr(1);
    std::vector<double> rates;
    for (const EpochStats& stats : run.trainer->fit(run.loader, run.loader)) rates.push_back(stats.lr);
    return rates;
  };
  EXPECT_THAT(rates({1, 2, 3, 4, 5}, true), ElementsAre(1, 1, 1, 1, 1));
  EXPECT_THAT(rates({1, 2, 3, 4, 5, 6}, false), ElementsAre(1, 1, 1, 0.5, 0.5, 0.25));
  EXPECT_THAT(rates({-1, -2, -3, -4, -5}, true), ElementsAre(1, 1, 1, 0.5, 0.5));
  EXPECT_THROW(ReduceLrOnPlateau({.factor = 2}), ArgumentError);
}

// With decay 0.5 the average of the weights 1, 2, 3, ... from 0 is 0.5, 1.25, 2.125, ...
TEST(AverageWeights, AreValidatedAndNotTrained) {
  class Watch : public Callback {
   public:
    void on_validation_end(Trainer&) override {}
    void on_epoch_end(Trainer& t, const EpochStats& stats) override {
      weights.push_back(t.net().parameters()[0].item());
      val_losses.push_back(stats.val_loss);
    }
    std::vector<double> weights, val_losses;
  };
  const double scale = 14.0 / 3;  // the loss is scale * (w - 1)^2
  auto watch = std::make_shared<Watch>();
  auto average = std::make_shared<AverageWeights>(AverageWeightsOptions{.decay = 0.5, .keep_at_end = true});
  ToyRun run({0, 0, 0}, {average, watch});
  run.fit();
  EXPECT_THAT(watch->weights, ElementsAre(1, 2, 3));
  ASSERT_EQ(watch->val_losses.size(), 3u);
  EXPECT_NEAR(watch->val_losses[0], scale * 0.25, 1e-6);
  EXPECT_NEAR(watch->val_losses[1], scale * 0.0625, 1e-6);
  EXPECT_NEAR(watch->val_losses[2], scale * 1.265625, 1e-5);
  EXPECT_EQ(run.weight(), 2.125);
  EXPECT_EQ(average->averages().at("0.weight").item(), 2.125);
}

TEST(AverageWeights, AreKeptWhenEarlyStoppingEndsTheRun) {
  auto average = std::make_shared<AverageWeights>(AverageWeightsOptions{.decay = 0.5, .keep_at_end = true});
  auto early = std::make_shared<EarlyStopping>(EarlyStoppingOptions{.monitor = "score", .patience = 1});
  ToyRun run({2, 1, 3}, {average, early});
  EXPECT_EQ(run.fit(), 2u);
  EXPECT_TRUE(run.trainer->complete());
  EXPECT_EQ(run.weight(), average->averages().begin()->tensor.item());
  EXPECT_NE(run.weight(), 2);
}

TEST(Trainer, SavesNothingDuringValidation) {
  const TemporaryFolder folder;
  class SaveThere : public Callback {
   public:
    SaveThere(std::string path, bool begin) : path_(std::move(path)), begin_(begin) {}
    void on_validation_begin(Trainer& trainer) override {
      if (begin_) trainer.save(path_);
    }
    void on_validation_end(Trainer& trainer) override { trainer.save(path_); }

   private:
    std::string path_;
    bool begin_;
  };
  for (const bool begin : {true, false}) {
    ToyRun run({1, 2}, {std::make_shared<SaveThere>(folder / "x", begin)});
    EXPECT_THAT([&] { run.fit(); },
                ThrowsMessage<ArgumentError>("trainer: save during validation, expected it in on_checkpoint: weights "
                                             "and metrics may be others"));
    run.trainer->save(folder / "x");
  }
}

TEST(AverageWeights, BeginLateAndResume) {
  const TemporaryFolder folder;
  const auto average = [] { return std::make_shared<AverageWeights>(AverageWeightsOptions{.decay = 0.5, .start = 2}); };
  auto whole = average(), first = average(), second = average();
  ToyRun({0, 0, 0, 0}, {whole}).fit();
  EXPECT_EQ(whole->averages().at("0.weight").item(), (2 * 0.5 + 3 * 0.5) * 0.5 + 4 * 0.5);
  ToyRun part({0, 0, 0}, {first});
  part.fit();
  part.trainer->save(folder / "x");
  ToyRun rest({0, 0, 0, 0}, {second});
  rest.trainer->resume(folder / "x");
  EXPECT_EQ(second->averages().at("0.weight").item(), 2.5);
  rest.fit();
  EXPECT_EQ(second->averages().at("0.weight").item(), whole->averages().at("0.weight").item());
}

TEST(AverageWeights, LeaveTheNetWhenValidationFails) {
  ToyRun run({0, 0}, {std::make_shared<AverageWeights>(AverageWeightsOptions{.decay = 0.5})});
  DataLoader wrong(TensorDataset(zeros({1, 3}), zeros({1, 3})));
  EXPECT_THROW(run.trainer->fit(run.loader, wrong), ShapeError);
  EXPECT_EQ(run.weight(), 1);
  EXPECT_THAT([] { AverageWeights({.decay = 1}); },
              ThrowsMessage<ArgumentError>("average_weights: decay is 1, expected a number in [0, 1)"));
  EXPECT_THAT([] { AverageWeights({.start = -1}); },
              ThrowsMessage<ArgumentError>("average_weights: start is -1, expected at least 0"));
  Sequential net(Linear(3, 2));
  Trainer trainer(net, SGD(net.parameters(), {}),
                  {.steps_per_launch = 2, .callbacks = {std::make_shared<AverageWeights>()}});
  EXPECT_THAT([&] { trainer.fit(wrong); },
              ThrowsMessage<ArgumentError>("average_weights: steps_per_launch of the trainer is 2, expected 1"));
}

}  // namespace
}  // namespace dnn
