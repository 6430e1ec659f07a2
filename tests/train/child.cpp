// The child process of interrupt_test.cpp: what is done to it, signals and kills, needs a process of its own.
//
//   dnn_train_child save <checkpoint>   writes checkpoints one after the other until it is killed
//   dnn_train_child fit <checkpoint> [<step> [hang]]
//                                       trains, resuming when the checkpoint is there; waits for a signal in that step,
//                                       with "hang" for another one too; says "step <n>" after each step, "signal" for
//                                       the first signal if it hangs, and at the end "interrupted" or "done"
#include <chrono>
#include <csignal>
#include <cstdio>
#include <filesystem>
#include <string>
#include <thread>

#include "tests/train/toys.h"

using namespace dnn;

namespace {

void say(const std::string& line) {
  std::printf("%s\n", line.c_str());
  std::fflush(stdout);
}

int save(const std::string& path) {
  manual_seed(1);
  const Sequential net = test::lenet();
  Adam adam(net.parameters());
  say("ready");
  for (int64_t step = 0;; ++step) save_checkpoint(path, net, adam, {.step = step});
}

int fit(const std::string& path, int64_t wait_in, bool hang) {
  manual_seed(1);
  Sequential net = test::small_net();
  DataLoader train(test::random_images(60, 8), {.batch_size = 10, .shuffle = true, .threads = 2});
  DataLoader validation(test::random_images(30, 8, 6), {.batch_size = 10});
  auto report = std::make_shared<test::AfterStep>([&](Trainer& trainer) {
    say("step " + std::to_string(trainer.step()));
    if (trainer.step() != wait_in) return;
    const auto moment = std::chrono::milliseconds(1);
    const Interrupt interrupt;  // inside that of `fit`
    while (!interrupt.requested()) std::this_thread::sleep_for(moment);
    if (hang) say("signal");
    while (hang) std::this_thread::sleep_for(moment);
  });
  Trainer trainer(
      net, Adam(net.parameters()),
      {.epochs = 3, .progress = Progress::off, .checkpoint = path, .handle_signals = true, .callbacks = {report}});
  if (std::filesystem::exists(path)) trainer.resume(path);
  trainer.fit(train, validation);
  say(trainer.interrupted() ? "interrupted" : "done");
  std::raise(SIGINT);  // the handler from before is back, so this ends the process
  return 1;
}

}  // namespace

int main(int argc, char** argv) {
  if (argc < 3) return 2;
  if (argv[1] == std::string("save")) return save(argv[2]);
  return fit(argv[2], argc > 3 ? std::stoi(argv[3]) : 0, argc > 4);
}
