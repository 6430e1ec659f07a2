// Handwritten digits: trains a network on MNIST and tells how many of the 10,000 test images it gets right.
#include <dnn/dnn.h>

#include <CLI/CLI.hpp>
#include <cstdio>
#include <iostream>

using namespace dnn;

int main(int argc, char** argv) try {
  std::string model = "lenet5", where = Device::best().str();
  int64_t epochs = 5, batch = 64;
  double lr = 4e-3;
  uint64_t seed = 1;
  int threads = 1;
  CLI::App app("Trains a network on the handwritten digits of MNIST");
  app.option_defaults()->always_capture_default();
  app.add_option("--model", model, "The network")->check(CLI::IsMember({"lenet5", "mlp"}));
  app.add_option("--epochs", epochs, "Passes over the training images");
  app.add_option("--batch", batch, "Images per step");
  app.add_option("--lr", lr, "Learning rate at the beginning; it falls to 0 at the end");
  app.add_option("--seed", seed, "Of the first weights, the order of the images and dropout");
  app.add_option("--device", where, "Where to compute: cpu or cuda");
  app.add_option("--threads", threads, "Threads that load images");
  CLI11_PARSE(app, argc, argv);

  const Device device(where);
  const Digits data = digits();
  if (!data.why_synthetic.empty()) std::cout << data.why_synthetic << "\nDrawing digits instead.\n";
  const bool resident = !device.is_cpu();  // the digits fit into any GPU
  DataLoader train(
      data.train,
      {.batch_size = batch, .shuffle = true, .seed = seed, .threads = threads, .device = device, .resident = resident});
  DataLoader test(data.test, {.batch_size = 500, .threads = threads, .device = device, .resident = resident});
  std::cout << "device: " << device.str() << "\ndata: " << data.train.name() << ", " << data.train.size()
            << " images to learn from, " << data.test.size() << " to test with\n";

  manual_seed(seed);
  Sequential net = model == "mlp" ? mlp() : lenet5();
  std::cout << net.str() << "\n" << net.parameter_count() << " parameters\n";
  Trainer trainer(net, Adam(net.parameters(), {.lr = lr}),
                  {.epochs = epochs,
                   .device = device,
                   .lr_schedule = [](double done) { return 1 - done; },
                   .handle_signals = true});
  trainer.fit(train, test);
  if (trainer.interrupted()) return 130;  // as shells have it for Ctrl-C
  const double percent = 100 * trainer.evaluate(test).accuracy;
  std::printf("test accuracy: %.2f %% (%s, %ld images)\n", percent, data.test.name().c_str(), long(data.test.size()));
} catch (const std::exception& error) {
  std::cerr << "mnist: " << error.what() << "\n";
  return 1;
}
