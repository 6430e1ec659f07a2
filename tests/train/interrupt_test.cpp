// Ctrl-C, and processes that die while they write checkpoints: with real signals to child processes.
#include "dnn/train/interrupt.h"

#include <fcntl.h>
#include <gmock/gmock.h>
#include <signal.h>
#include <spawn.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <unistd.h>

#include <algorithm>
#include <chrono>
#include <cstdlib>
#include <random>
#include <thread>

#include "tests/core/failing_file_system.h"
#include "tests/train/toys.h"

extern char** environ;

namespace dnn {
namespace {

using namespace test;

// Runs dnn_train_child; its output is read through a pipe.
class Child {
 public:
  explicit Child(std::vector<std::string> arguments) {
    int ends[2];
    if (::pipe2(ends, O_CLOEXEC) != 0) throw IoError("test: no pipe");
    posix_spawnattr_t attributes;  // a shell may have started the tests with SIGINT ignored
    sigset_t signals;
    ::sigemptyset(&signals);
    for (const int signal : {SIGINT, SIGTERM}) ::sigaddset(&signals, signal);
    ::posix_spawnattr_init(&attributes);
    ::posix_spawnattr_setsigdefault(&attributes, &signals);
    ::posix_spawnattr_setflags(&attributes, POSIX_SPAWN_SETSIGDEF);
    posix_spawn_file_actions_t actions;
    ::posix_spawn_file_actions_init(&actions);
    ::posix_spawn_file_actions_adddup2(&actions, ends[1], STDOUT_FILENO);
    std::string program = DNN_TRAIN_CHILD;
    std::vector<char*> pointers{program.data()};
    for (std::string& argument : arguments) pointers.push_back(argument.data());
    pointers.push_back(nullptr);
    const int error = ::posix_spawn(&id_, program.c_str(), &actions, &attributes, pointers.data(), environ);
    ::posix_spawn_file_actions_destroy(&actions);
    ::posix_spawnattr_destroy(&attributes);
    ::close(ends[1]);
    output_ = ends[0];
    if (error != 0) throw IoError("test: cannot start " + program);
  }
  ~Child() {
    if (id_ > 0) kill(SIGKILL), wait();
    ::close(output_);
  }

  void kill(int signal) { ::kill(id_, signal); }

  // The next line that it says, empty at the end.
  std::string line() {
    std::string text;
    for (char c; ::read(output_, &c, 1) == 1 && c != '\n';) text += c;
    return text;
  }
  // Reads until that line, which must come.
  void wait_for(const std::string& expected) {
    for (std::string text = line(); text != expected; text = line()) ASSERT_NE(text, "") << expected << " did not come";
  }
  // The last line that it says.
  std::string last_line() {
    std::string last;
    for (std::string text = line(); !text.empty(); text = line()) last = text;
    return last;
  }
  // How it ended, as waitpid says.
  int wait() {
    int status = 0;
    ::waitpid(id_, &status, 0);
    id_ = 0;
    return status;
  }

 private:
  pid_t id_ = 0;
  int output_ = -1;
};

bool killed_by(int status, int signal) { return WIFSIGNALED(status) && WTERMSIG(status) == signal; }

// All that a checkpoint of the child's `fit` holds, times aside.
std::vector<double> checkpoint_numbers(const std::string& path) {
  std::vector<double> all;
  for (const auto& [name, tensor] : load_safetensors(path).tensors) {
    if (name.find("seconds") != std::string::npos || name.find("per_second") != std::string::npos) continue;
    const std::vector<double> values = tensor.to(DType::float64).to_vector<double>();
    all.insert(all.end(), values.begin(), values.end());
  }
  return all;
}

TEST(Interrupt, OnCtrlCFitEndsAfterTheStepAndResumesExactly) {
  const TemporaryFolder folder;
  Child whole({"fit", folder / "whole"});
  EXPECT_EQ(whole.last_line(), "done");
  EXPECT_TRUE(killed_by(whole.wait(), SIGINT));  // the old handler is back
  for (const auto& [signal, step] : {std::pair{SIGINT, 2}, {SIGTERM, 9}}) {
    {
      Child child({"fit", folder / "cut", std::to_string(step)});
      child.wait_for("step " + std::to_string(step));
      child.kill(signal);
      EXPECT_EQ(child.last_line(), "interrupted");
      EXPECT_TRUE(killed_by(child.wait(), SIGINT));
    }
    Sequential net = small_net();
    EXPECT_EQ(load_checkpoint(folder / "cut", net).step, step);
  }
  Child rest({"fit", folder / "cut"});
  EXPECT_EQ(rest.last_line(), "done");
  EXPECT_EQ(checkpoint_numbers(folder / "cut"), checkpoint_numbers(folder / "whole"));
}

TEST(Interrupt, TheSecondCtrlCKills) {
  const TemporaryFolder folder;
  for (const int signal : {SIGINT, SIGTERM}) {
    Child child({"fit", folder / "x", "1", "hang"});
    child.wait_for("step 1");
    child.kill(SIGINT);
    child.wait_for("signal");
    child.kill(signal);
    EXPECT_TRUE(killed_by(child.wait(), signal));
    EXPECT_EQ(folder.count(), 0);
  }
}

int handled = 0;
void count_signal(int) { ++handled; }

TEST(Interrupt, TakesOneSignalAndGivesTheHandlersBack) {
  const SignalScope scope(SIGTERM, count_signal);
  handled = 0;
  {
    const Interrupt interrupt;
    EXPECT_FALSE(interrupt.requested());
    {
      const Interrupt inner;
      ::raise(SIGTERM);
      EXPECT_TRUE(inner.requested());
    }
    EXPECT_TRUE(interrupt.requested());
    EXPECT_EQ(handled, 0);
    ::raise(SIGTERM);
    EXPECT_EQ(handled, 1);
  }
  ::raise(SIGTERM);
  EXPECT_EQ(handled, 2);
  { EXPECT_FALSE(Interrupt().requested()); }
  ::raise(SIGTERM);
  EXPECT_EQ(handled, 3);
  ::signal(SIGTERM, SIG_IGN);
  {
    const Interrupt interrupt;
    ::raise(SIGTERM);
    EXPECT_FALSE(interrupt.requested());
  }
}

#if defined(__x86_64__)
// Sends a signal to this thread while its stack pointer is `stack`, as it is inside the products of oneDNN.
__attribute__((noinline)) void raise_with_stack_pointer(void* stack, int signal) {
  long result = SYS_tgkill;
  asm volatile("mov %%rsp, %%r12\n\tmov %[stack], %%rsp\n\tsyscall\n\tmov %%r12, %%rsp"
               : "+a"(result)
               : "D"(long(::getpid())), "S"(long(::gettid())), "d"(long(signal)), [stack] "r"(stack)
               : "r12", "rcx", "r11", "memory");
}

TEST(Interrupt, LeavesTheHeapAloneWhereTheStackPointerIsInIt) {
  std::vector<unsigned char> heap(64 * 1024, 0xa5);
  {
    const Interrupt interrupt;
    raise_with_stack_pointer(heap.data() + 48 * 1024, SIGINT);
    EXPECT_TRUE(interrupt.requested());
  }
  EXPECT_EQ(std::ranges::count(heap, 0xa5), std::ssize(heap));
}
#endif

// A signal in the middle of validation: the epoch is complete only when its validation is, in the next `fit`.
TEST(Interrupt, CutsAValidationShort) {
  const SignalScope scope(SIGINT, SIG_DFL);
  class Raise : public Callback {
   public:
    void on_validation_begin(Trainer&) override {
      if (++validations == 1) ::raise(SIGINT);
    }
    int validations = 0;
  };
  const auto fit = [](bool interrupt) {
    Sequential net = line_net(0.5);
    DataLoader loader(line_data(), {.batch_size = 2});
    auto raise = std::make_shared<Raise>();
    Trainer trainer(net, SGD(net.parameters(), {.lr = 0.1}),
                    {.loss = squared_error, .progress = Progress::off, .handle_signals = true, .callbacks = {raise}});
    if (!interrupt) raise->validations = 1;
    History history = trainer.fit(loader, loader);
    EXPECT_EQ(trainer.interrupted(), interrupt);
    if (interrupt) {
      EXPECT_TRUE(history.empty());
      history = trainer.fit(loader, loader);
      EXPECT_FALSE(trainer.interrupted());
    }
    return std::vector<double>{history.at(0).loss, history.at(0).val_loss, net.parameters()[0].item()};
  };
  EXPECT_EQ(fit(true), fit(false));
}

// A signal while the last epoch ends is told too.
TEST(Interrupt, IsToldAfterTheLastEpoch) {
  const SignalScope scope(SIGTERM, SIG_DFL);
  class Raise : public Callback {
    void on_epoch_end(Trainer&, const EpochStats&) override { ::raise(SIGTERM); }
  };
  Sequential net = line_net(0.5);
  DataLoader loader(line_data());
  Trainer trainer(net, SGD(net.parameters(), {.lr = 0.1}),
                  {.loss = squared_error,
                   .progress = Progress::off,
                   .handle_signals = true,
                   .callbacks = {std::make_shared<Raise>()}});
  EXPECT_EQ(trainer.fit(loader).size(), 1u);
  EXPECT_TRUE(trainer.interrupted());
}

TEST(Interrupt, IsOffByDefault) {
  const SignalScope scope(SIGINT, count_signal);
  handled = 0;
  Sequential net = line_net(0.5);
  DataLoader loader(line_data());
  auto raise = std::make_shared<AfterStep>([](Trainer&) { ::raise(SIGINT); });
  Trainer trainer(net, SGD(net.parameters(), {.lr = 0.1}),
                  {.epochs = 2, .loss = squared_error, .progress = Progress::off, .callbacks = {raise}});
  trainer.fit(loader);
  EXPECT_EQ(handled, 2);
  EXPECT_FALSE(trainer.interrupted());
  EXPECT_EQ(trainer.epoch(), 2);
}

// Few rounds by default; all of them with DNN_FULL_ROUNDS=1.
TEST(Checkpoint, SurvivesProcessesThatAreKilledWhileTheyWrite) {
  const TemporaryFolder folder;
  const char* full = std::getenv("DNN_FULL_ROUNDS");
  const int rounds = full && std::string(full) == "1" ? 50 : 5;
  std::mt19937_64 random(std::random_device{}());
  int64_t written = 0;
  int left_over = 0;
  for (int round = 0; round < rounds; ++round) {
    Child child({"save", folder / "x"});
    child.wait_for("ready");
    std::this_thread::sleep_for(std::chrono::microseconds(random() % 100000));
    child.kill(SIGKILL);
    ASSERT_TRUE(killed_by(child.wait(), SIGKILL));
    left_over += std::filesystem::exists(folder / "x.tmp");
    if (!std::filesystem::exists(folder / "x")) continue;  // killed during the first one
    Sequential net = lenet();
    Adam adam(net.parameters());
    ASSERT_NO_THROW(written += load_checkpoint(folder / "x", net, adam).step + 1) << "round " << round;
  }
  std::printf("%d processes killed after %ld checkpoints in all, %d left a file half written\n", rounds, long(written),
              left_over);
  EXPECT_GT(written, 0);

  // What they left does not stand in the way of the next run.
  std::ofstream(folder / "x.tmp") << "half a checkpoint";
  const Sequential net = lenet();
  save_checkpoint(folder / "x", net, Adam(net.parameters()));
  EXPECT_EQ(folder.count(), 1);
}

}  // namespace
}  // namespace dnn
