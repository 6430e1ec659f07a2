// Trains a network on a data set, with everything that a real run wants: augmentation, a schedule, checkpoints, logs.
//
//   train --recipe examples/recipes/resnet20.json --out runs/resnet20
//   train --data my-photos --size 64 --model resnet20 --out runs/photos
//   train --recipe examples/recipes/resnet20.json --out runs/resnet20 --resume runs/resnet20/last.safetensors
//
// A recipe is a JSON file of options by their long names; what the command line says has precedence. Ctrl-C ends after
// the running step; `--resume` then gives the very run that was interrupted. The checkpoint says what it is a network
// of, so `predict` needs nothing beside it.
#include <dnn/dnn.h>

#include <CLI/CLI.hpp>
#include <cstdio>
#include <iostream>
#include <nlohmann/json.hpp>

using namespace dnn;
using nlohmann::json;

struct Settings {
  std::string data = "mnist", model = "lenet5", device = Device::best().str(), out = "", resume = "", init = "";
  int64_t epochs = 12, batch = 128, steps_per_launch = 1;
  std::string optimizer = "sgd", schedule = "one-cycle", precision = "float32";
  std::vector<int64_t> milestones;
  double lr = 0.02, momentum = 0.9, weight_decay = 0, label_smoothing = 0, clip_norm = 0;
  int64_t size = 0, width = 0, crop = 0, cutout = 0;
  bool nesterov = false, flip = false;
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
  const ImageFolderOptions options{.min_size = set.size, .exif_orientation = true};
  const ImageFolder train(set.data + "/train", options), test(set.data + "/test", options);
  if (test.class_names() != train.class_names())
    throw ArgumentError("the folders in " + test.name() + " differ from those in " + train.name() +
                        ", expected the same classes");
  if (set.size == 0) throw ArgumentError("pictures of a folder have any size, expected --size, which makes them alike");
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

// A network for images of that shape [c, h, w]; it is tried on one, so that a wrong size is not found out later.
std::unique_ptr<Layer> build(const Settings& set, const Shape& image, int64_t classes) {
  std::unique_ptr<Layer> net =
      create_model(set.model, {.classes = classes, .channels = image[0], .size = image[1], .width = set.width});
  std::string problem, hint;
  try {
    summary(*net, image);
    return net;
  } catch (const ShapeError& error) {
    problem = error.what();
  } catch (const ArgumentError& error) {
    problem = error.what();
  }
  for (const ModelInfo& info : models())
    if (info.name == set.model) hint = ", as " + std::to_string(info.input[1]) + " is the network's own";
  throw ArgumentError(set.model + " does not take images " + image.str() + ", expected another --size" + hint + " (" +
                      problem + ")");
}

// Weights to begin with. The last layer may be one for other classes, and begins anew then.
void initialize(Layer& net, const std::string& file) {
  const LoadReport report = load_weights(file, net, {.skip_misshaped = true});
  std::cout << file << ": " << report.str() << "\n";
  const auto layer_of = [](const std::string& name) { return name.substr(0, name.rfind('.')); };
  std::string last;
  for (const auto& [name, parameter] : net.named_parameters()) last = layer_of(name);
  for (const LoadReport::Row& row : report.misshaped)
    if (layer_of(row.name) != last)
      throw ArgumentError(file + " is of another network: " + row.name +
                          " has another shape, expected that of the last layer alone, " + last);
}

std::shared_ptr<Optimizer> optimizer_for(const Settings& set, const std::vector<Tensor>& parameters) {
  if (set.optimizer == "adamw")
    return std::make_shared<AdamW>(parameters, AdamWOptions{.lr = set.lr, .weight_decay = set.weight_decay});
  return std::make_shared<SGD>(
      parameters,
      SgdOptions{.lr = set.lr, .momentum = set.momentum, .weight_decay = set.weight_decay, .nesterov = set.nesterov});
}

LrSchedule schedule_for(const Settings& set, int64_t steps) {
  if (set.schedule == "one-cycle") return OneCycle{.steps = steps};
  if (set.schedule == "cosine") return CosineDecay{.steps = steps};
  if (set.schedule == "step" && set.milestones.empty()) return MultiStepDecay{.milestones = {steps / 2, steps * 3 / 4}};
  if (set.schedule == "step") return MultiStepDecay{.milestones = set.milestones};
  return {};
}

// What `predict` has to know to use the weights: the network, the names of its classes, and what images it has seen.
std::string description(const Settings& set, const Data& data, const Shape& image) {
  return json{{"model", set.model},
              {"width", set.width},
              {"channels", image[0]},
              {"size", image[1]},
              {"mean", data.normalization.mean},
              {"deviation", data.normalization.deviation},
              {"classes", data.train->class_names()}}
      .dump(-1, ' ', false, json::error_handler_t::replace);  // folders may have names that are not UTF-8
}

// The exit status of the program.
int train(const Settings& set) {
  const Device device(set.device);
  const Arithmetic precision = arithmetic_of(set.precision);
  check_precision(precision, device);
  empty({1}, {.device = device});  // says at once why there is none
  const Data data = load(set);
  const TransformedDataset augmented(data.train, transforms(set, data, true));
  const TransformedDataset plain(data.test, transforms(set, data, false));
  std::cout << "device: " << device.str() << "\ndata: " << data.train->name() << ", " << data.train->size()
            << " images to learn from, " << data.test->size() << " to test with\n";

  manual_seed(set.seed);
  const Shape image = plain.get(0, {}).input.shape();
  const auto classes = static_cast<int64_t>(data.train->class_names().size());
  const std::unique_ptr<Layer> net = build(set, image, classes);
  if (!set.init.empty()) initialize(*net, set.init);
  std::cout << net->str() << "\n" << net->parameter_count() << " parameters\n";

  if (data.train->size() < set.batch)
    throw ArgumentError("there are " + std::to_string(data.train->size()) +
                        " images to learn from, expected at least --batch, which is " + std::to_string(set.batch));
  DataLoader train(
      augmented,
      {.batch_size = set.batch, .shuffle = true, .seed = set.seed, .threads = set.threads, .drop_last = true});
  DataLoader test(plain, {.batch_size = 500, .threads = set.threads});

  TrainerOptions options{.epochs = set.epochs,
                         .device = device,
                         .lr_schedule = schedule_for(set, set.epochs * train.size()),
                         .steps_per_launch = set.steps_per_launch,
                         .clip_norm = set.clip_norm,
                         .precision = precision,
                         .metadata = {{"classifier", description(set, data, image)}},
                         .handle_signals = true};
  options.loss = [&](const Tensor& output, const Tensor& target) {
    return cross_entropy(output, target, {.label_smoothing = set.label_smoothing});
  };
  // A step that is looked into is not captured: on a GPU one in a hundred is.
  options.callbacks.push_back(std::make_shared<StopOnNaN>(StopOnNaNOptions{.every = device.is_cuda() ? 100 : 1}));
  if (!set.out.empty()) {
    options.checkpoint = set.out + "/last.safetensors";
    options.callbacks.push_back(std::make_shared<CsvLog>(set.out + "/log.csv"));
    options.callbacks.push_back(std::make_shared<CurvesSvg>(set.out + "/curves.svg"));
  }
  Trainer trainer(*net, optimizer_for(set, net->parameters()), options);
  if (!set.resume.empty()) trainer.resume(set.resume);
  trainer.fit(train, test);
  if (trainer.interrupted()) {
    if (!set.out.empty()) std::cout << "go on with the same options and --resume " << options.checkpoint << "\n";
    return 130;  // as shells have it for Ctrl-C
  }
  std::printf("test accuracy: %.2f %% (%s, %ld images)\n", 100 * trainer.evaluate(test).accuracy,
              data.test->name().c_str(), long(data.test->size()));
  return 0;
}

// Recipes: CLI11 reads the options of a file through this.
struct Json : CLI::Config {
  static std::string text(const json& value) { return value.is_string() ? value.get<std::string>() : value.dump(); }
  std::string to_config(const CLI::App*, bool, bool, std::string) const override { return ""; }
  std::vector<CLI::ConfigItem> from_config(std::istream& file) const override {
    std::vector<CLI::ConfigItem> items;
    const json recipe = json::parse(file);
    for (const auto& [name, value] : recipe.items()) {
      items.push_back({{}, name, {}});
      if (!value.is_array()) items.back().inputs = {text(value)};
      if (value.is_array())
        for (const json& element : value) items.back().inputs.push_back(text(element));
    }
    return items;
  }
};

int main(int argc, char** argv) try {
  Settings set;
  CLI::App app("Trains a network on a data set of images");
  app.option_defaults()->always_capture_default();
  app.add_option("--data", set.data, "mnist, cifar10, cifar100, or a folder that holds train/CLASS/*.jpg and test/...");
  app.add_option("--model", set.model, "A network by its name: lenet5, alexnet, resnet20, ...");
  app.add_option("--size", set.size, "Side that pictures are resized and cut to, in pixels; 0: as they are")
      ->check(CLI::Range(0, 4096));
  app.add_option("--width", set.width, "Channels of the first convolution, all others in proportion; 0: its own")
      ->check(CLI::Range(0, 8192));
  app.add_option("--init", set.init, "Weights to begin with: a checkpoint, or a state dict of PyTorch as safetensors");
  app.add_option("--epochs", set.epochs, "Passes over the training images")->check(CLI::Range(0, 1'000'000));
  app.add_option("--batch", set.batch, "Images per step");
  app.add_option("--optimizer", set.optimizer)->check(CLI::IsMember({"sgd", "adamw"}));
  app.add_option("--lr", set.lr, "The largest learning rate");
  app.add_option("--schedule", set.schedule, "Of the learning rate")
      ->check(CLI::IsMember({"constant", "one-cycle", "cosine", "step"}));
  app.add_option("--milestones", set.milestones,
                 "Steps at which `step` divides by ten, as 100,150; none: at 1/2 and 3/4")
      ->delimiter(',')
      ->allow_extra_args(false);
  app.add_option("--momentum", set.momentum, "Of sgd");
  app.add_option("--nesterov", set.nesterov, "Whether the momentum is Nesterov's");
  app.add_option("--weight-decay", set.weight_decay);
  app.add_option("--label-smoothing", set.label_smoothing);
  app.add_option("--clip-norm", set.clip_norm, "Largest norm of the gradient; 0: any");
  app.add_option("--crop", set.crop, "Random crops after padding by so many pixels; 0: none");
  app.add_option("--flip", set.flip, "Mirror every second image");
  app.add_option("--cutout", set.cutout, "Erase a square of so many pixels; 0: none");
  app.add_option("--precision", set.precision, "float32, or on a GPU tf32 in all products, bf16 or fp16");
  app.add_option("--steps-per-launch", set.steps_per_launch, "Steps that a GPU is given at once; more for small nets")
      ->check(CLI::Range(1, 1'000));
  app.add_option("--seed", set.seed, "Of the first weights, the order of the images and all other chance");
  app.add_option("--device", set.device, "Where to compute: cpu or cuda");
  app.add_option("--threads", set.threads, "Threads that load images");
  app.add_option("--out", set.out, "Folder for checkpoint, log and curves");
  app.add_option("--resume", set.resume, "Checkpoint to go on from");
  app.config_formatter(std::make_shared<Json>());
  app.allow_config_extras(CLI::config_extras_mode::error);
  app.set_config("--recipe", "", "JSON file of options");
  CLI11_PARSE(app, argc, argv);
  return train(set);
} catch (const std::exception& error) {
  std::cerr << "train: " << error.what() << "\n";
  return 1;
}
