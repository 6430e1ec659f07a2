// Finding the files of CIFAR-10 and CIFAR-100, downloading their archives, and the names of the classes.
#include "dnn/data/cifar.h"

#include <fmt/format.h>

#include <algorithm>
#include <cstdlib>
#include <filesystem>
#include <vector>

#include "data/cifar_records.h"
#include "data/download.h"
#include "dnn/cache.h"
#include "dnn/error.h"
#include "dnn/io.h"
#include "dnn/ops/factory.h"

namespace dnn {

namespace {

using detail::CifarFormat;
using detail::RemoteArchive;
using Names = std::vector<std::string>;

// One of the two data sets as it is published.
struct Publication {
  std::string folder;  // ours
  Names train, test;   // the files
  RemoteArchive archive;
};

Publication publication(const std::string& folder, const Names& train, const Names& test, RemoteArchive archive) {
  archive.urls = {"https://www.cs.toronto.edu/~kriz/" + archive.name};
  archive.files = train;
  archive.files.insert(archive.files.end(), test.begin(), test.end());
  return {folder, train, test, archive};
}

const Publication& cifar10() {
  static const Publication result = publication(
      "cifar10", {"data_batch_1.bin", "data_batch_2.bin", "data_batch_3.bin", "data_batch_4.bin", "data_batch_5.bin"},
      {"test_batch.bin"},
      {.name = "cifar-10-binary.tar.gz",
       .urls = {},
       .size = 170052171,
       .md5 = "c32a1d4ab5d03f1284b67883e8d87530",
       .inside = "cifar-10-batches-bin",
       .files = {}});
  return result;
}

const Publication& cifar100() {
  static const Publication result = publication("cifar100", {"train.bin"}, {"test.bin"},
                                                {.name = "cifar-100-binary.tar.gz",
                                                 .urls = {},
                                                 .size = 168513733,
                                                 .md5 = "03b5dce01913d631647c71ecec9e9cb8",
                                                 .inside = "cifar-100-binary",
                                                 .files = {}});
  return result;
}

const Names& names10() {
  static const Names names{"airplane", "automobile", "bird", "cat", "deer", "dog", "frog", "horse", "ship", "truck"};
  return names;
}

const Names& names20() {
  static const Names names{"aquatic_mammals",
                           "fish",
                           "flowers",
                           "food_containers",
                           "fruit_and_vegetables",
                           "household_electrical_devices",
                           "household_furniture",
                           "insects",
                           "large_carnivores",
                           "large_man-made_outdoor_things",
                           "large_natural_outdoor_scenes",
                           "large_omnivores_and_herbivores",
                           "medium_mammals",
                           "non-insect_invertebrates",
                           "people",
                           "reptiles",
                           "small_mammals",
                           "trees",
                           "vehicles_1",
                           "vehicles_2"};
  return names;
}

const Names& names100() {
  static const Names names{
      "apple",      "aquarium_fish", "baby",         "bear",       "beaver",      "bed",         "bee",
      "beetle",     "bicycle",       "bottle",       "bowl",       "boy",         "bridge",      "bus",
      "butterfly",  "camel",         "can",          "castle",     "caterpillar", "cattle",      "chair",
      "chimpanzee", "clock",         "cloud",        "cockroach",  "couch",       "crab",        "crocodile",
      "cup",        "dinosaur",      "dolphin",      "elephant",   "flatfish",    "forest",      "fox",
      "girl",       "hamster",       "house",        "kangaroo",   "keyboard",    "lamp",        "lawn_mower",
      "leopard",    "lion",          "lizard",       "lobster",    "man",         "maple_tree",  "motorcycle",
      "mountain",   "mouse",         "mushroom",     "oak_tree",   "orange",      "orchid",      "otter",
      "palm_tree",  "pear",          "pickup_truck", "pine_tree",  "plain",       "plate",       "poppy",
      "porcupine",  "possum",        "rabbit",       "raccoon",    "ray",         "road",        "rocket",
      "rose",       "sea",           "seal",         "shark",      "shrew",       "skunk",       "skyscraper",
      "snail",      "snake",         "spider",       "squirrel",   "streetcar",   "sunflower",   "sweet_pepper",
      "table",      "tank",          "telephone",    "television", "tiger",       "tractor",     "train",
      "trout",      "tulip",         "turtle",       "wardrobe",   "whale",       "willow_tree", "wolf",
      "woman",      "worm"};
  return names;
}

// The folder that holds all those files, downloaded if there is none. Throws IoError.
std::string obtain(const Publication& published, const Names& names, bool may_download) {
  std::vector<std::string> roots;
  const char* data = std::getenv("DNN_DATA_DIR");
  if (data != nullptr && *data != '\0') roots.push_back(data);
  const std::string cache = cache_folder();
  if (!cache.empty()) roots.push_back(cache);
  for (const std::string& root : roots) {
    const std::string& inside = published.archive.inside;
    for (const std::string& folder : {published.folder, inside, published.folder + "/" + inside}) {
      std::error_code ignored;
      const std::string path = root + "/" + folder;
      if (std::ranges::all_of(names, [&](const auto& n) { return std::filesystem::exists(path + "/" + n, ignored); }))
        return path;
    }
  }
  const std::string files = names.size() > 1 ? fmt::format("{} to {}", names.front(), names.back()) : names.front();
  const std::string missing =
      roots.empty()
          ? fmt::format("{}: {} was not looked for: none of DNN_DATA_DIR, DNN_CACHE_DIR, XDG_CACHE_HOME, HOME is set",
                        published.folder, files)
          : fmt::format("{}: {} is not in {} or {} below {}", published.folder, files, published.folder,
                        published.archive.inside, fmt::join(roots, " or "));
  if (!may_download) throw IoError(missing + " (downloading is switched off)");
  if (cache.empty())
    throw IoError(missing + " (there is no cache to download to: none of DNN_CACHE_DIR, XDG_CACHE_HOME, HOME is set)");
  const std::string folder = cache + "/" + published.folder;
  try {
    detail::download(published.archive, folder);
  } catch (const IoError& error) {
    throw IoError(fmt::format("{} ({})", missing, error.what()));
  }
  return folder;
}

ImageDataset load(const Publication& published, Split split, bool may_download, const CifarFormat& format,
                  const Names& class_names) {
  const Names& names = split == Split::train ? published.train : published.test;
  const std::string folder = obtain(published, names, may_download);
  int64_t total = 0;
  for (const std::string& name : names) {
    const std::string path = folder + "/" + name;
    total += detail::count_cifar(file_system().open(path)->size(), format, path);
  }
  const Tensor images = empty({total, 3, detail::cifar_side, detail::cifar_side}, {.dtype = DType::uint8});
  const Tensor labels = empty({total}, {.dtype = DType::int64});
  int64_t first = 0;
  for (const std::string& name : names) {
    const std::string path = folder + "/" + name;
    const std::vector<std::byte> bytes = read_file(path);
    const int64_t count = detail::count_cifar(std::ssize(bytes), format, path);
    if (count > total - first) throw IoError(fmt::format("{}: {} changed while it was read", format.name, path));
    detail::decode_cifar(bytes, format, path, images.data<uint8_t>() + first * detail::cifar_pixels,
                         labels.data<int64_t>() + first);
    first += count;
  }
  if (first != total) throw IoError(fmt::format("{}: a file in {} changed while it was read", format.name, folder));
  return ImageDataset(format.name, images, labels, class_names);
}

std::string reason_missing(const Publication& published, bool may_download) {
  try {
    for (const Names& names : {published.train, published.test}) obtain(published, names, may_download);
  } catch (const IoError& error) {
    return error.what();
  }
  return "";
}

}  // namespace

Cifar10::Cifar10(Split split, const Cifar10Options& options)
    : ImageDataset(load(cifar10(), split, options.download, {"cifar10", {10}, 0}, names10())) {
  if (options.normalize) normalize(normalization());
}

std::string Cifar10::why_unavailable(const Cifar10Options& options) {
  return reason_missing(cifar10(), options.download);
}

Cifar100::Cifar100(Split split, const Cifar100Options& options)
    : ImageDataset(load(cifar100(), split, options.download, {"cifar100", {20, 100}, options.coarse ? 0u : 1u},
                        options.coarse ? names20() : names100())) {
  if (options.normalize) normalize(normalization());
}

std::string Cifar100::why_unavailable(const Cifar100Options& options) {
  return reason_missing(cifar100(), options.download);
}

}  // namespace dnn
