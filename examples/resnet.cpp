// A residual network from its definition to its accuracy on CIFAR-10: He et al., "Deep residual learning for image
// recognition", CVPR 2016, the network of section 4.2 with the projections of section 3.3 as shortcuts where the shape
// changes; trained in fewer epochs than there, with Nesterov's momentum, a weight decay of 5e-4 and a one-cycle
// schedule.
#include <dnn/dnn.h>

#include <CLI/CLI.hpp>
#include <cstdio>
#include <iostream>

using namespace dnn;

ConvLayerOptions conv3x3(int64_t stride = 1) { return {.kernel = 3, .stride = stride, .padding = 1, .bias = false}; }

// relu(bn(conv(relu(bn(conv(x))))) + x): the block learns what to add to its input.
class Block : public Layer {
 public:
  Conv2d conv1, conv2;
  BatchNorm2d bn1, bn2;
  Sequential downsample;  // empty, and the identity, unless the block changes the shape
  DNN_MODULE(conv1, bn1, conv2, bn2, downsample)

  Block(int64_t in, int64_t out, int64_t stride)
      : conv1(in, out, conv3x3(stride)), conv2(out, out, conv3x3()), bn1(out), bn2(out) {
    if (stride != 1 || in != out)
      downsample = Sequential(Conv2d(in, out, {.kernel = 1, .stride = stride, .bias = false}), BatchNorm2d(out));
  }
  Tensor forward(Tensor x) override {
    const Tensor y = bn1(conv1(x), {.relu = true});
    return bn2(conv2(y), {.add = downsample(x), .relu = true});
  }
};

// Three stages of n blocks, 6 n + 2 layers: [n, 3, 32, 32] -> [n, classes].
Sequential resnet(int64_t n, int64_t classes) {
  Sequential net(Conv2d(3, 16, conv3x3()), BatchNorm2d(16), ReLU());
  for (int64_t in = 16; const int64_t out : {16, 32, 64})
    for (int64_t i = 0; i < n; ++i, in = out) net.append(Block(in, out, in == out ? 1 : 2));
  net.append(AdaptiveAvgPool2d(1)).append(Flatten()).append(Linear(64, classes));
  return net;
}

int main(int argc, char** argv) try {
  std::string where = Device::best().str();
  int64_t blocks = 3, epochs = 12, batch = 128;
  double lr = 0.2;
  CLI::App app("Trains a residual network on CIFAR-10");
  app.option_defaults()->always_capture_default();
  app.add_option("--blocks", blocks, "Blocks in each of the three stages; 3 make a ResNet-20")
      ->check(CLI::PositiveNumber);
  app.add_option("--epochs", epochs, "Passes over the training images");
  app.add_option("--batch", batch, "Images per step");
  app.add_option("--lr", lr, "The largest learning rate");
  app.add_option("--device", where, "Where to compute: cpu or cuda");
  CLI11_PARSE(app, argc, argv);

  const Cifar10 images(Split::train), tests(Split::test, {.normalize = true});
  const TransformedDataset augmented(
      images, {RandomCrop(32, {.padding = 4}), RandomHorizontalFlip(), Normalize(Cifar10::normalization())});
  DataLoader train(augmented, {.batch_size = batch, .shuffle = true, .drop_last = true});
  DataLoader test(tests, {.batch_size = 500});

  manual_seed(1);
  Sequential net = resnet(blocks, 10);
  std::cout << summary(net, {3, 32, 32}) << "\n";
  Trainer trainer(net, SGD(net.parameters(), {.lr = lr, .momentum = 0.9, .weight_decay = 5e-4, .nesterov = true}),
                  {.epochs = epochs,
                   .device = Device(where),
                   .lr_schedule = OneCycle{.steps = epochs * train.size()},
                   .handle_signals = true});
  trainer.fit(train, test);
  if (trainer.interrupted()) return 130;  // as shells have it for Ctrl-C
  std::printf("test accuracy: %.2f %% (%s, %ld images)\n", 100 * trainer.evaluate(test).accuracy, tests.name().c_str(),
              long(tests.size()));
} catch (const std::exception& error) {
  std::cerr << "resnet: " << error.what() << "\n";
  return 1;
}
