// Trains a network on a data set, with everything that a real run wants: augmentation, a schedule, checkpoints, logs.
//
//   train --data cifar10 --model resnet20 --recipe examples/recipes/cifar10.json --out runs/resnet20
//   train --data my-photos --model resnet8 --resume runs/resnet8/last.safetensors ...
//
// A recipe is a JSON file of options by their long names; what the command line says has precedence. Ctrl-C ends after
// the running step; `--resume` then gives the very run that was interrupted.
#include <dnn/dnn.h>

#include <CLI/CLI.hpp>
#include <filesystem>
#include <fstream>
#include <iostream>
#include <nlohmann/json.hpp>
#include <sstream>

using namespace dnn;

struct Settings {
  std::string data = "mnist", model = "lenet5", device = Device::best().str(), out = "", resume = "";
  int64_t epochs = 12, batch = 128;
  std::string optimizer = "sgd", schedule = "one-cycle";
  double lr = 0.02, momentum = 0.9, weight_decay = 0, label_smoothing = 0, clip_norm = 0;
  int64_t size = 0, width = 16, crop = 0, cutout = 0;
  bool flip = false;
  uint64_t seed = 1;
  int threads = 1;
};

// The training and the test half of a data set, and what normalises its pixels.
struct Data {
  SharedDataset train, test;
  Normalization normalization;
};

Data load(const Settings& set) {
  if (set.data == "mnist") return {Mnist(Split::train), Mnist(Split::test), Mnist::normalization()};
  if (set.data == "cifar10") return {Cifar10(Split::train), Cifar10(Split::test), Cifar10::normalization()};
  if (set.data == "cifar100") return {Cifar100(Split::train), Cifar100(Split::test), Cifar100::normalization()};
  const ImageFolder train(set.data + "/train", {.min_size = set.size}),
      test(set.data + "/test", {.min_size = set.size});
  return {train, test, channel_statistics(train)};
}

// Pictures of any size become squares, those of the training half are changed by chance.
std::vector<Transform> transforms(const Settings& set, const Data& data, bool augment) {
  std::vector<Transform> list;
  if (set.size > 0) list = {Resize(set.size), CenterCrop(set.size)};
  list.push_back(Normalize(data.normalization));
  if (augment && set.crop > 0) {
    const int64_t side = set.size > 0 ? set.size : data.train->get(0, {}).input.size(1);
    list.push_back(RandomCrop(side, {.padding = set.crop}));
  }
  if (augment && set.flip) list.push_back(RandomHorizontalFlip());
  if (augment && set.cutout > 0) list.push_back(Cutout(set.cutout));
  return list;
}

// One network for images of that shape [c, h, w].
std::unique_ptr<Layer> build(const Settings& set, const Shape& image, int64_t classes) {
  const int64_t channels = image[0];
  if (set.model == "lenet5") return std::make_unique<Sequential>(lenet5({.classes = classes, .channels = channels}));
  if (set.model == "mlp")
    return std::make_unique<Sequential>(Flatten(), Linear(image.numel(), 128), ReLU(), Dropout(0.2),
                                        Linear(128, classes));
  int64_t depth = 0;
  if (set.model.starts_with("resnet") && std::istringstream(set.model.substr(6)) >> depth)
    return std::make_unique<ResNetCifar>(
        resnet_cifar(depth, {.classes = classes, .channels = channels, .width = set.width}));
  throw ArgumentError("there is no model " + set.model + ", expected mlp, lenet5 or resnetN");
}

std::shared_ptr<Optimizer> optimizer_for(const Settings& set, const std::vector<Tensor>& parameters) {
  if (set.optimizer == "adamw")
    return std::make_shared<AdamW>(parameters, AdamWOptions{.lr = set.lr, .weight_decay = set.weight_decay});
  return std::make_shared<SGD>(
      parameters,
      SgdOptions{
          .lr = set.lr, .momentum = set.momentum, .weight_decay = set.weight_decay, .nesterov = set.momentum > 0});
}

LrSchedule schedule_for(const Settings& set, int64_t steps) {
  if (set.schedule == "one-cycle") return OneCycle{.steps = steps};
  if (set.schedule == "cosine") return CosineDecay{.steps = steps};
  if (set.schedule == "step") return MultiStepDecay{.milestones = {steps / 2, steps * 3 / 4}};
  return {};
}

void train(const Settings& set) {
  const Device device(set.device);
  const Data data = load(set);
  const TransformedDataset augmented(data.train, transforms(set, data, true));
  const TransformedDataset plain(data.test, transforms(set, data, false));
  DataLoader train(
      augmented,
      {.batch_size = set.batch, .shuffle = true, .seed = set.seed, .threads = set.threads, .drop_last = true});
  DataLoader test(plain, {.batch_size = 500, .threads = set.threads});
  std::cout << "device: " << device.str() << "\ndata: " << data.train->name() << ", " << data.train->size()
            << " images to learn from, " << data.test->size() << " to test with\n";

  manual_seed(set.seed);
  const auto classes = static_cast<int64_t>(data.train->class_names().size());
  const std::unique_ptr<Layer> net = build(set, plain.get(0, {}).input.shape(), classes);
  std::cout << net->str() << "\n" << net->parameter_count() << " parameters\n";

  TrainerOptions options{.epochs = set.epochs,
                         .device = device,
                         .lr_schedule = schedule_for(set, set.epochs * train.size()),
                         .clip_norm = set.clip_norm,
                         .handle_signals = true};
  options.loss = [&](const Tensor& output, const Tensor& target) {
    return cross_entropy(output, target, {.label_smoothing = set.label_smoothing});
  };
  options.callbacks.push_back(std::make_shared<StopOnNaN>());
  if (!set.out.empty()) {
    options.checkpoint = set.out + "/last.safetensors";
    options.callbacks.push_back(std::make_shared<CsvLog>(set.out + "/log.csv"));
    options.callbacks.push_back(std::make_shared<CurvesSvg>(set.out + "/curves.svg"));
  }
  Trainer trainer(*net, optimizer_for(set, net->parameters()), options);
  if (!set.resume.empty()) trainer.resume(set.resume);
  trainer.fit(train, test);
  if (trainer.interrupted()) {
    if (!set.out.empty()) std::cout << "go on with --resume " << options.checkpoint << "\n";
    return;
  }
  std::printf("test accuracy: %.2f %% (%s, %ld images)\n", 100 * trainer.evaluate(test).accuracy,
              data.test->name().c_str(), long(data.test->size()));
}

// Recipes: CLI11 reads the options of a file through this.
struct Json : CLI::Config {
  std::string to_config(const CLI::App*, bool, bool, std::string) const override { return ""; }
  std::vector<CLI::ConfigItem> from_config(std::istream& file) const override {
    const nlohmann::json recipe = nlohmann::json::parse(file);
    std::vector<CLI::ConfigItem> items;
    for (const auto& [name, value] : recipe.items())
      items.push_back({{}, name, {value.is_string() ? value.get<std::string>() : value.dump()}});
    return items;
  }
};

int main(int argc, char** argv) try {
  Settings set;
  CLI::App app("Trains a network on a data set of images");
  app.option_defaults()->always_capture_default();
  app.add_option("--data", set.data, "mnist, cifar10, cifar100, or a folder that holds train/CLASS/*.jpg and test/...");
  app.add_option("--model", set.model, "mlp, lenet5, or resnetN for small images: resnet8, resnet20, ...");
  app.add_option("--size", set.size, "Side that pictures are resized and cut to, in pixels; 0: as they are");
  app.add_option("--width", set.width, "Channels of a resnet's first stage");
  app.add_option("--epochs", set.epochs, "Passes over the training images");
  app.add_option("--batch", set.batch, "Images per step");
  app.add_option("--optimizer", set.optimizer)->check(CLI::IsMember({"sgd", "adamw"}));
  app.add_option("--lr", set.lr, "The largest learning rate");
  app.add_option("--schedule", set.schedule, "Of the learning rate")
      ->check(CLI::IsMember({"constant", "one-cycle", "cosine", "step"}));
  app.add_option("--momentum", set.momentum, "Of sgd, Nesterov's");
  app.add_option("--weight-decay", set.weight_decay);
  app.add_option("--label-smoothing", set.label_smoothing);
  app.add_option("--clip-norm", set.clip_norm, "Largest norm of the gradient; 0: any");
  app.add_option("--crop", set.crop, "Random crops after padding by so many pixels; 0: none");
  app.add_option("--flip", set.flip, "Mirror every second image");
  app.add_option("--cutout", set.cutout, "Erase a square of so many pixels; 0: none");
  app.add_option("--seed", set.seed, "Of the first weights, the order of the images and all other chance");
  app.add_option("--device", set.device, "Where to compute: cpu or cuda");
  app.add_option("--threads", set.threads, "Threads that load images");
  app.add_option("--out", set.out, "Folder for checkpoint, log and curves");
  app.add_option("--resume", set.resume, "Checkpoint to go on from");
  app.config_formatter(std::make_shared<Json>());
  app.allow_config_extras(CLI::config_extras_mode::error);
  app.set_config("--recipe", "", "JSON file of options");
  CLI11_PARSE(app, argc, argv);
  train(set);
} catch (const std::exception& error) {
  std::cerr << "train: " << error.what() << "\n";
  return 1;
}
