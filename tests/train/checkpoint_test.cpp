// Checkpoints: everything comes back, nothing is half loaded, nothing is half written.
#include "dnn/train/checkpoint.h"

#include <gmock/gmock.h>

#include <cmath>
#include <random>

#include "tests/core/failing_file_system.h"
#include "tests/train/toys.h"

namespace dnn {
namespace {

using namespace test;
using testing::AllOf;
using testing::HasSubstr;
using testing::StartsWith;
using testing::ThrowsMessage;

// A net and an optimizer that have trained a little.
struct Trained {
  explicit Trained(uint64_t seed) : net((manual_seed(seed), small_net())), optimizer(net.parameters()) {
    for (int i = 0; i < 2; ++i) {
      optimizer.zero_grad();
      cross_entropy(net(rand({4, 1, 8, 8})), zeros({4}, {.dtype = DType::int64})).backward();
      optimizer.step();
    }
  }
  // All that a checkpoint has to bring back or leave alone.
  std::vector<double> numbers() const {
    std::vector<double> all = test::numbers(net.state_dict());
    const std::vector<double> more = test::numbers(optimizer.state_dict());
    all.insert(all.end(), more.begin(), more.end());
    return all;
  }

  Sequential net;
  Adam optimizer;
};

TrainingState some_state() {
  TrainingState state{.epoch = 2, .batch = 7, .step = 107};
  state.generator.set_state(0xffffffffffffffffu, 1234567890123456789u);
  state.history = {{.epoch = 1, .loss = 0.5, .accuracy = 0.25, .metrics = {{"top5", 0.75}}},
                   {.epoch = 2, .loss = 0.1, .val_loss = 0.2, .val_metrics = {{"f1 \xc3\xbc", 1.0 / 3}}}};
  state.history[1].seconds = 12.5;
  state.history[1].samples_per_second = 1e6;
  state.metadata = {{"data", "mnist"}};
  return state;
}

TEST(Checkpoint, BringsEverythingBack) {
  const TemporaryFolder folder;
  const Trained saved(1);
  Trained loaded(2);
  const TrainingState state = some_state();
  save_checkpoint(folder / "x", saved.net, saved.optimizer, state);
  const TrainingState got = load_checkpoint(folder / "x", loaded.net, loaded.optimizer);
  EXPECT_EQ(loaded.numbers(), saved.numbers());
  EXPECT_EQ(got.epoch, 2);
  EXPECT_EQ(got.batch, 7);
  EXPECT_EQ(got.step, 107);
  EXPECT_EQ(got.generator.seed(), 0xffffffffffffffffu);
  EXPECT_EQ(got.generator.offset(), 1234567890123456789u);
  EXPECT_EQ(got.metadata, state.metadata);
  ASSERT_EQ(got.history.size(), 2u);
  EXPECT_EQ(got.history[0].epoch, 1);
  EXPECT_EQ(got.history[1].epoch, 2);
  EXPECT_EQ(got.history[0].loss, 0.5);
  EXPECT_EQ(got.history[0].accuracy, 0.25);
  EXPECT_TRUE(std::isnan(got.history[0].val_loss));
  EXPECT_EQ(got.history[1].val_loss, 0.2);
  EXPECT_EQ(got.history[1].seconds, 12.5);
  EXPECT_EQ(got.history[1].samples_per_second, 1e6);
  EXPECT_EQ(got.history[0].metrics.at("top5"), 0.75);
  EXPECT_TRUE(std::isnan(got.history[1].metrics.at("top5")));
  EXPECT_EQ(got.history[1].val_metrics.at("f1 \xc3\xbc"), 1.0 / 3);
}

TEST(Checkpoint, LoadsTheNetAlone) {
  const TemporaryFolder folder;
  const Trained saved(1);
  save_checkpoint(folder / "x", saved.net, saved.optimizer, {.epoch = 3});
  Sequential net = small_net();
  EXPECT_EQ(load_checkpoint(folder / "x", net).epoch, 3);
  EXPECT_EQ(numbers(net.state_dict()), numbers(saved.net.state_dict()));
}

TEST(Checkpoint, LoadsAnOptimizerThatHasNotStepped) {
  const TemporaryFolder folder;
  const Sequential fresh = small_net();
  save_checkpoint(folder / "x", fresh, Adam(fresh.parameters(), {.lr = 0.5}));
  Trained run(1);
  const TrainingState state = load_checkpoint(folder / "x", run.net, run.optimizer);
  EXPECT_EQ(run.optimizer.lr(), 0.5);
  EXPECT_EQ(state.epoch, 0);
  EXPECT_TRUE(state.history.empty());
}

TEST(Checkpoint, KeepsTheReservedNames) {
  const TemporaryFolder folder;
  const Trained run(1);
  EXPECT_THAT(
      [&] {
        save_checkpoint(folder / "x", run.net, run.optimizer, {.metadata = {{"dnn.epoch", "9"}}});
      },
      ThrowsMessage<ArgumentError>(
          "save_checkpoint: metadata is called 'dnn.epoch', names must not begin with 'dnn.'"));
}

// Whichever operation of the file system fails, the checkpoint before is intact.
TEST(Checkpoint, SurvivesAFullDisk) {
  const TemporaryFolder folder;
  const Trained before(1), after(2);
  save_checkpoint(folder / "x", before.net, before.optimizer);
  const std::string bytes = contents(folder / "x");
  int operations = 0;
  {
    FailingFileSystem counting(-1);
    save_checkpoint(folder / "x", before.net, before.optimizer);
    operations = counting.count();
  }
  EXPECT_GT(operations, 20);
  for (int k = 0; k + 1 < operations; ++k) {  // the last one is the sync of the folder
    FailingFileSystem failing(k);
    EXPECT_THROW(save_checkpoint(folder / "x", after.net, after.optimizer), IoError);
    ASSERT_EQ(contents(folder / "x"), bytes) << "operation " << k;
    ASSERT_EQ(folder.count(), 1) << "operation " << k;
  }
  EXPECT_THAT([&] { save_checkpoint(folder / "no/x", after.net, after.optimizer); },
              ThrowsMessage<IoError>("io: cannot create " + (folder / "no/x.tmp") + " (no such file or directory)"));
}

TEST(Checkpoint, LoadsNothingWhenReadingFails) {
  const TemporaryFolder folder;
  const Trained saved(1);
  save_checkpoint(folder / "x", saved.net, saved.optimizer);
  Trained run(2);
  const std::vector<double> before = run.numbers();
  for (int k = 0;; ++k) {
    FailingFileSystem failing(k);
    try {
      load_checkpoint(folder / "x", run.net, run.optimizer);
      EXPECT_GT(k, 10);
      break;
    } catch (const IoError&) {
      ASSERT_EQ(run.numbers(), before) << "operation " << k;
    }
  }
  EXPECT_EQ(run.numbers(), saved.numbers());
}

TEST(Checkpoint, LoadsNothingOfAnotherNet) {
  const TemporaryFolder folder;
  const Sequential other = lenet();
  save_checkpoint(folder / "x", other, Adam(other.parameters()));
  Trained run(1);
  const std::vector<double> before = run.numbers();
  const auto message =
      AllOf(StartsWith("load_checkpoint: " + (folder / "x") + ": net does not fit: "), HasSubstr("7.weight"));
  EXPECT_THAT([&] { load_checkpoint(folder / "x", run.net, run.optimizer); }, ThrowsMessage<ArgumentError>(message));
  EXPECT_THAT([&] { load_checkpoint(folder / "x", run.net); }, ThrowsMessage<ArgumentError>(message));
  EXPECT_EQ(run.numbers(), before);
}

// The net would fit; it must not be loaded when the optimizer does not.
TEST(Checkpoint, LoadsNothingOfAnotherOptimizer) {
  const TemporaryFolder folder;
  Trained saved(1), run(2);
  SGD sgd(saved.net.parameters(), {.lr = 0.1, .momentum = 0.9});
  sgd.step();
  save_checkpoint(folder / "x", saved.net, sgd);
  const std::vector<double> before = run.numbers();
  EXPECT_THAT(
      [&] { load_checkpoint(folder / "x", run.net, run.optimizer); },
      ThrowsMessage<ArgumentError>(StartsWith("load_checkpoint: " + (folder / "x") + ": optimizer does not fit: ")));
  EXPECT_EQ(run.numbers(), before);
}

class BadCheckpoint : public testing::Test {
 protected:
  // Changes a good checkpoint, expects that loading it fails so, and that nothing was loaded.
  void expect(const std::string& message, const std::function<void(Safetensors&)>& change) {
    save_checkpoint(folder_ / "x", saved_.net, saved_.optimizer, some_state());
    Safetensors file = load_safetensors(folder_ / "x");
    change(file);
    save_safetensors(folder_ / "x", file.tensors, file.metadata);
    const std::vector<double> before = run_.numbers();
    EXPECT_THAT([&] { load_checkpoint(folder_ / "x", run_.net, run_.optimizer); },
                ThrowsMessage<FormatError>("load_checkpoint: " + (folder_ / "x") + ": " + message));
    EXPECT_EQ(run_.numbers(), before);
  }
  void expect_text(const std::string& message, const std::string& name, const std::string& text) {
    expect(message, [&](Safetensors& file) { file.metadata[name] = text; });
  }
  static void replace(Safetensors& file, const std::string& name, const Tensor& tensor) {
    StateDict changed;
    for (const auto& entry : file.tensors)
      if (entry.name != name) changed.insert(entry.name, entry.tensor);
    if (tensor.defined()) changed.insert(name, tensor);
    file.tensors = changed;
  }

  TemporaryFolder folder_;
  Trained saved_{1}, run_{2};
};

TEST_F(BadCheckpoint, IsRefused) {
  expect("there is no dnn.format, so it is no checkpoint", [](Safetensors& file) { file.metadata.clear(); });
  expect("there is no dnn.step, so it is no checkpoint", [](Safetensors& file) { file.metadata.erase("dnn.step"); });
  expect_text("format is 'dnn checkpoint 2', expected 'dnn checkpoint 1'", "dnn.format", "dnn checkpoint 2");
  expect_text("format is '" + std::string(40, 'x') + "...', expected 'dnn checkpoint 1'", "dnn.format",
              std::string(1000, 'x'));
  expect_text("dnn.epoch is '', expected a number", "dnn.epoch", "");
  expect_text("dnn.epoch is '-1', expected a number", "dnn.epoch", "-1");
  expect_text("dnn.batch is '1x', expected a number", "dnn.batch", "1x");
  expect_text("dnn.step is ' 1', expected a number", "dnn.step", " 1");
  expect_text("dnn.random.seed is '18446744073709551616', expected a number", "dnn.random.seed",
              "18446744073709551616");
  expect_text("dnn.epoch is 9223372036854775808, expected at most 9223372036854775807", "dnn.epoch",
              "9223372036854775808");
  expect("there is no history.lr, so it is no checkpoint",
         [](Safetensors& file) { replace(file, "history.lr", Tensor()); });
  expect("history.lr is float64 [3], expected float64 [2]",
         [](Safetensors& file) { replace(file, "history.lr", zeros({3}, {.dtype = DType::float64})); });
  expect("history.loss is uint8 [9], expected float64 [9]",
         [](Safetensors& file) { replace(file, "history.loss", zeros({9}, {.dtype = DType::uint8})); });
  expect("history.loss is float64 [2, 1], expected float64 [2]", [](Safetensors& file) {
    replace(file, "history.loss", zeros({2, 1}, {.dtype = DType::float64}));
  });
  expect("history.metrics.top5 is float32 [2], expected float64 [2]",
         [](Safetensors& file) { replace(file, "history.metrics.top5", zeros({2})); });
}

TEST_F(BadCheckpoint, IsNoSafetensorsFile) {
  std::ofstream(folder_ / "x") << "PK\x03\x04 a zip, as PyTorch writes it";
  EXPECT_THAT([&] { load_checkpoint(folder_ / "x", run_.net); },
              ThrowsMessage<FormatError>(StartsWith("load_safetensors: " + (folder_ / "x") + ": it is a zip archive")));
  EXPECT_THAT([&] { load_checkpoint(folder_ / "none", run_.net); },
              ThrowsMessage<IoError>("io: cannot open " + (folder_ / "none") + " (no such file or directory)"));
}

// A file with a few wrong bytes loads as a whole or not at all.
TEST_F(BadCheckpoint, MutationsLoadAllOrNothing) {
  save_checkpoint(folder_ / "x", saved_.net, saved_.optimizer, some_state());
  const std::string good = contents(folder_ / "x");
  const size_t header = good.rfind('}') + 1;
  std::mt19937_64 random(1);
  const std::vector<double> before = run_.numbers();
  const StateDict net = run_.net.state_dict().clone(), optimizer = run_.optimizer.state_dict().clone();
  for (int round = 0; round < 500; ++round) {
    std::string bytes = good;
    for (int i = 0; i < 2; ++i) bytes[8 + random() % (header - 8)] = "{}[]\",:09-.eFm"[random() % 14];
    std::ofstream(folder_ / "x", std::ios::binary) << bytes;
    try {
      load_checkpoint(folder_ / "x", run_.net, run_.optimizer);
      run_.net.load_state_dict(net);
      run_.optimizer.load_state_dict(optimizer);
    } catch (const Error&) {
      ASSERT_EQ(run_.numbers(), before);
    }
  }
}

}  // namespace
}  // namespace dnn
