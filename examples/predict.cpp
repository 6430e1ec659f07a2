// Says what is on pictures: classifies image files with a checkpoint that `train` wrote, or with weights from
// elsewhere.
//
//   predict --checkpoint runs/lenet5/last.safetensors digit.png photo.jpg
//   predict --weights resnet18.safetensors --model resnet18 --labels imagenet.txt photo.jpg
//
// The checkpoint says what network it is of, what its classes are called and how images were normalised; for other
// weights the options say it. Where a network was trained does not matter.
#include <dnn/dnn.h>

#include <CLI/CLI.hpp>
#include <algorithm>
#include <cmath>
#include <cstdio>
#include <fstream>
#include <iostream>
#include <limits>
#include <nlohmann/json.hpp>

using namespace dnn;
using nlohmann::json;

// A network and what it wants to see.
struct Classifier {
  std::unique_ptr<Layer> net = {};
  std::vector<std::string> classes = {};  // empty where nobody named them
  int64_t channels = 3;
  std::vector<Transform> transforms = {};  // of a picture
};

struct Settings {
  std::vector<std::string> files;
  std::string weights, model, labels, device = Device::best().str();
  int64_t channels = 0, size = 0, width = 0, resize = 0, top = 3, batch = 32;
  std::vector<double> mean, deviation;
  bool invert = false;
};

// The lines of a file.
std::vector<std::string> lines_of(const std::string& path) {
  std::ifstream file(path);
  if (!file) throw IoError("--labels: cannot open " + path);
  std::vector<std::string> lines;
  for (std::string line; std::getline(file, line);) {
    if (line.ends_with('\r')) line.pop_back();
    lines.push_back(line);
  }
  return lines;
}

// A whole number of a description, which may say anything.
int64_t whole(const json& about, const char* key, int64_t least, int64_t most) {
  const json& value = about.at(key);
  if (value.is_number_integer() && value >= least && value <= most) return value;
  throw FormatError(std::string(key) + " is " + (value.is_number() ? value.dump() : value.type_name()) +
                    ", expected a whole number from " + std::to_string(least) + " to " + std::to_string(most));
}

// One number for each channel.
std::vector<float> of_channels(const char* name, const std::vector<double>& values, int64_t channels) {
  const auto finite = [](double value) { return std::abs(value) <= std::numeric_limits<float>::max(); };
  if (std::ssize(values) != channels || !std::ranges::all_of(values, finite))
    throw ArgumentError(std::string(name) + " has " + std::to_string(values.size()) + " numbers, expected " +
                        std::to_string(channels) + ", a finite one for each channel");
  return {values.begin(), values.end()};
}

// A picture's shorter side becomes `resize`, then the middle is cut out.
std::vector<Transform> transforms(int64_t resize, int64_t size, const Normalization& normalization) {
  return {Resize(resize), CenterCrop(size), Normalize(normalization)};
}

// From what `train` wrote beside the weights.
Classifier described(const Weights& weights) try {
  const json about = json::parse(weights.metadata.at("classifier"));
  Classifier classifier{.classes = about.at("classes"), .channels = whole(about, "channels", 1, 3)};
  if (classifier.classes.empty()) throw FormatError("there are no classes, expected at least one");
  if (classifier.channels == 2) throw FormatError("channels is 2, expected 1 or 3");
  const int64_t size = whole(about, "size", 1, 4096);
  classifier.transforms = transforms(size, size,
                                     {of_channels("mean", about.at("mean"), classifier.channels),
                                      of_channels("deviation", about.at("deviation"), classifier.channels)});
  int64_t numbers = 0;
  for (const auto& [name, tensor] : weights.state) numbers += tensor.numel();
  const NoInit no_init(numbers);  // all weights are in the file, and it can ask for no more than are there
  classifier.net = create_model(about.at("model"), {.classes = std::ssize(classifier.classes),
                                                    .channels = classifier.channels,
                                                    .size = size,
                                                    .width = whole(about, "width", 0, 8192)});
  return classifier;
} catch (const std::exception& error) {
  throw FormatError(weights.path + ": its description of the network is damaged (" + error.what() + ")");
}

// From the options, as far as the network does not say it. Nets for ImageNet see the middle 7/8 of a picture.
Classifier told(const Settings& set) {
  const ModelInfo* info = nullptr;
  for (const ModelInfo& known : models())
    if (known.name == set.model) info = &known;
  const Shape input = info ? info->input : Shape{3, 32, 32};
  Classifier classifier{.channels = set.channels > 0 ? set.channels : input[0]};
  if (!set.labels.empty()) classifier.classes = lines_of(set.labels);
  const NoInit no_init;  // all weights are in the file
  classifier.net = create_model(
      set.model,
      {.classes = std::ssize(classifier.classes), .channels = set.channels, .size = set.size, .width = set.width});
  const int64_t size = set.size > 0 ? set.size : input[1];
  const int64_t resize = set.resize > 0 ? set.resize : size >= 224 ? size * 8 / 7 : size;
  if (resize < size)
    throw ArgumentError("--resize is " + std::to_string(resize) + ", expected at least " + std::to_string(size) +
                        ", the side of the network's images");
  Normalization normalization{{0.485f, 0.456f, 0.406f}, {0.229f, 0.224f, 0.225f}};  // of ImageNet
  if (!set.mean.empty() || !set.deviation.empty())
    normalization = {of_channels("--mean", set.mean, classifier.channels),
                     of_channels("--deviation", set.deviation, classifier.channels)};
  else if (input[1] < 224 || classifier.channels != 3)
    throw ArgumentError("--mean and --deviation are missing: how the images were normalised");
  classifier.transforms = transforms(resize, size, normalization);
  return classifier;
}

Classifier load(const Settings& set) {
  const Weights weights = load_weights(set.weights);
  const bool is_described = weights.metadata.contains("classifier");
  const bool is_told = !set.model.empty() || !set.labels.empty() || set.channels > 0 || set.size > 0 || set.width > 0 ||
                       set.resize > 0 || !set.mean.empty() || !set.deviation.empty();
  if (is_described && is_told)
    throw ArgumentError(set.weights +
                        " says itself what it is, expected no --model, --labels, --size, --resize, "
                        "--channels, --width, --mean, --deviation");
  if (!is_described && set.model.empty())
    throw ArgumentError(set.weights +
                        " does not say what network it is of, expected --model, and --labels for the "
                        "names of its classes");
  Classifier classifier = is_described ? described(weights) : told(set);
  load_weights(weights, *classifier.net);
  classifier.net->to(Device(set.device));
  classifier.net->eval();
  return classifier;
}

// A picture as the network wants it, [c, h, w].
Tensor load_picture(const Settings& set, const Classifier& classifier, const std::string& file) {
  const Tensor bytes = load_image(
      file, {.channels = classifier.channels == 1 ? Channels::gray : Channels::rgb, .exif_orientation = true});
  const auto [shorter, longer] = std::minmax({bytes.size(1), bytes.size(2)});
  if (longer > 100 * shorter)  // the longer one would stay so much longer, whatever it is resized to
    throw FormatError("the picture has the shape " + bytes.shape().str() + ", expected sides of at most 1 to 100");
  Sample sample{bytes.to(DType::float32) / 255.0, {}};
  if (set.invert) sample.input = 1.0 - sample.input;
  Generator chance;
  for (const Transform& transform : classifier.transforms) transform(sample, chance);
  return sample.input;
}

void print(const std::string& file, const Tensor& scores, const Classifier& classifier, int64_t top) {
  const auto [shares, classes] = topk(softmax(scores, 0), std::min(top, scores.numel()));
  std::printf("%s\n", file.c_str());
  for (int64_t i = 0; i < shares.numel(); ++i) {
    const auto number = static_cast<size_t>(classes[i].item());
    const bool named = number < classifier.classes.size();
    std::printf("  %6.2f %%  %s\n", 100 * shares[i].item(),
                named ? classifier.classes[number].c_str() : ("class " + std::to_string(number)).c_str());
  }
}

// Classifies the files, many at a time; whether all of them could be read.
bool predict(const Settings& set) {
  Classifier classifier = load(set);
  bool all = true;
  std::vector<std::string> names;
  std::vector<Tensor> pictures;
  const auto flush = [&] {
    if (pictures.empty()) return;
    const Tensor scores =
        predict(*classifier.net, stack(pictures).to(Device(set.device))).to(Device::cpu()).to(DType::float32);
    for (size_t i = 0; i < names.size(); ++i) print(names[i], scores[int64_t(i)], classifier, set.top);
    names.clear(), pictures.clear();
  };
  for (const std::string& file : set.files) {
    try {
      pictures.push_back(load_picture(set, classifier, file));
      names.push_back(file);
    } catch (const Error& error) {  // the others are classified all the same
      std::cerr << "predict: " << file << ": " << error.what() << "\n";
      all = false;
    }
    if (std::ssize(pictures) == set.batch) flush();
  }
  flush();
  return all;
}

int main(int argc, char** argv) try {
  Settings set;
  CLI::App app("Classifies JPEG and PNG files; ends with 1 when one of them cannot be read");
  app.option_defaults()->always_capture_default();
  app.add_option("files", set.files, "Pictures")->required();
  app.add_option("--checkpoint,--weights", set.weights, "Checkpoint of train, or weights as safetensors")->required();
  app.add_option("--top", set.top, "Classes to name for each picture")->check(CLI::PositiveNumber);
  app.add_flag("--invert", set.invert, "Exchange dark and light: ink on paper for a net that learnt from MNIST");
  app.add_option("--batch", set.batch, "Pictures at a time")->check(CLI::PositiveNumber);
  app.add_option("--device", set.device, "Where to compute: cpu or cuda");
  const std::string other = "For weights that train did not write";
  app.add_option("--model", set.model, "The network, by its name")->group(other);
  app.add_option("--labels", set.labels, "File with the name of one class in each line")->group(other);
  app.add_option("--channels", set.channels, "Of its images; 0: the network's own")
      ->check(CLI::IsMember({0, 1, 3}))
      ->group(other);
  for (auto& [name, value, most, what] :
       {std::tuple("--size", &set.size, 4096, "Side of its images in pixels; 0: the network's own"),
        std::tuple("--width", &set.width, 8192, "Channels of its first convolution; 0: the network's own"),
        std::tuple("--resize", &set.resize, 8192, "A picture's shorter side before the middle is cut out")})
    app.add_option(name, *value, what)->check(CLI::Range(0, most))->group(other);
  for (auto& [name, values] : {std::pair("--mean", &set.mean), std::pair("--deviation", &set.deviation)})
    app.add_option(name, *values, "Of each channel, for pixels in [0, 1], as 0.48,0.46,0.41; none: ImageNet's")
        ->delimiter(',')
        ->allow_extra_args(false)
        ->group(other);
  CLI11_PARSE(app, argc, argv);
  return predict(set) ? 0 : 1;
} catch (const std::exception& error) {
  std::cerr << "predict: " << error.what() << "\n";
  return 1;
}
