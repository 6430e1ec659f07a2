// AlexNet from its definition to its accuracy: on CIFAR-10 with the pictures resized to 64 x 64, or on a folder of
// pictures that holds train/CLASS/*.jpg and test/CLASS/*.jpg.
#include <dnn/dnn.h>

#include <CLI/CLI.hpp>
#include <cstdio>
#include <iostream>

using namespace dnn;

// Krizhevsky, Sutskever and Hinton, "ImageNet classification with deep convolutional neural networks", NIPS 2012, in
// the form for one GPU (Krizhevsky, "One weird trick for parallelizing convolutional neural networks", 2014), where w
// is 64: [n, 3, 224, 224] -> [n, classes], 61 million parameters for 1000 classes.
// clang-format off
Sequential alexnet(int64_t classes, int64_t w = 64) {
  return Sequential(
      Conv2d(3, w, {.kernel = 11, .stride = 4, .padding = 2}), ReLU(),
      MaxPool2d({.kernel = 3, .stride = 2}),
      Conv2d(w, 3 * w, {.kernel = 5, .padding = 2}), ReLU(),
      MaxPool2d({.kernel = 3, .stride = 2}),
      Conv2d(3 * w, 6 * w, {.kernel = 3, .padding = 1}), ReLU(),
      Conv2d(6 * w, 4 * w, {.kernel = 3, .padding = 1}), ReLU(),
      Conv2d(4 * w, 4 * w, {.kernel = 3, .padding = 1}), ReLU(),
      MaxPool2d({.kernel = 3, .stride = 2}),
      AdaptiveAvgPool2d(6), Flatten(),
      Dropout(0.5), Linear(4 * w * 6 * 6, 64 * w), ReLU(),
      Dropout(0.5), Linear(64 * w, 64 * w), ReLU(),
      Linear(64 * w, classes));
}
// clang-format on

SharedDataset images(const std::string& data, Split split, int64_t size) {
  if (data == "cifar10") return Cifar10(split);
  return ImageFolder(data + (split == Split::train ? "/train" : "/test"), {.min_size = size, .exif_orientation = true});
}

int main(int argc, char** argv) try {
  std::string data = "cifar10", where = Device::best().str();
  int64_t epochs = 10, batch = 128, size = 64, width = 32;
  double lr = 1e-3;
  CLI::App app("Trains AlexNet on CIFAR-10 or on a folder of pictures");
  app.option_defaults()->always_capture_default();
  app.add_option("--data", data, "cifar10, or a folder that holds train/CLASS/*.jpg and test/...");
  app.add_option("--epochs", epochs, "Passes over the training images");
  app.add_option("--batch", batch, "Images per step");
  app.add_option("--lr", lr, "The largest learning rate");
  app.add_option("--size", size, "Side of the images in pixels; 224 in the paper");
  app.add_option("--width", width, "Channels of the first convolution; 64 in the paper");
  app.add_option("--device", where, "Where to compute: cpu or cuda");
  CLI11_PARSE(app, argc, argv);

  const SharedDataset all = images(data, Split::train, size), tests = images(data, Split::test, size);
  if (all->size() < batch)
    throw ArgumentError("there are " + std::to_string(all->size()) +
                        " images to learn from, expected at least --batch, which is " + std::to_string(batch));
  const Normalize normalize(data == "cifar10" ? Cifar10::normalization() : channel_statistics(all));
  DataLoader train(TransformedDataset(all, {Resize(size), RandomCrop(size, {.padding = size / 16}),
                                            RandomHorizontalFlip(), normalize}),
                   {.batch_size = batch, .shuffle = true, .drop_last = true});
  DataLoader test(TransformedDataset(tests, {Resize(size), CenterCrop(size), normalize}), {.batch_size = 500});

  manual_seed(1);
  Sequential net = alexnet(std::ssize(all->class_names()), width);
  std::cout << summary(net, {3, size, size}) << "\n";
  Trainer trainer(net, AdamW(net.parameters(), {.lr = lr}),
                  {.epochs = epochs,
                   .device = Device(where),
                   .lr_schedule = OneCycle{.steps = epochs * train.size()},
                   .handle_signals = true});
  trainer.fit(train, test);
  if (trainer.interrupted()) return 130;  // as shells have it for Ctrl-C
  std::printf("test accuracy: %.2f %% (%s, %ld images)\n", 100 * trainer.evaluate(test).accuracy, tests->name().c_str(),
              long(tests->size()));
} catch (const std::exception& error) {
  std::cerr << "alexnet: " << error.what() << "\n";
  return 1;
}
