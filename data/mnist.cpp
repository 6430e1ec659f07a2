// Finding the files of MNIST, checking what they hold, and the synthetic digits in their place.
#include "dnn/data/mnist.h"

#include <fmt/format.h>

#include <array>
#include <cstdlib>
#include <filesystem>
#include <optional>

#include "data/download.h"
#include "dnn/cache.h"
#include "dnn/data/idx.h"
#include "dnn/data/synthetic.h"
#include "dnn/error.h"

namespace dnn {

namespace {

constexpr int64_t side = 28;
constexpr int64_t classes = 10;

// One of the four published files.
struct File {
  const char* name;
  int64_t size;    // not compressed
  uint32_t crc32;  // of that
};
struct Files {
  File images, labels;
};

constexpr Files train_files{{"train-images-idx3-ubyte", 47040016, 0xe9f4d8b3},
                            {"train-labels-idx1-ubyte", 60008, 0xe0cb4ad2}};
constexpr Files test_files{{"t10k-images-idx3-ubyte", 7840016, 0x91373bdf},
                           {"t10k-labels-idx1-ubyte", 10008, 0x4ab9eff9}};
constexpr std::array mirrors{"https://ossci-datasets.s3.amazonaws.com/mnist/",
                             "https://storage.googleapis.com/cvdf-datasets/mnist/"};

const Files& files_of(Split split) { return split == Split::train ? train_files : test_files; }

// The file in a folder under one of its usual names: raw or .gz, with a dash or a dot before "idx".
std::optional<std::string> find(const std::string& folder, const std::string& name) {
  std::string dotted = name;
  dotted[dotted.find("-idx")] = '.';
  for (const std::string& candidate : {name, dotted, name + ".gz", dotted + ".gz"}) {
    std::error_code ignored;
    std::string path = folder + "/" + candidate;
    if (std::filesystem::exists(path, ignored)) return path;
  }
  return std::nullopt;
}

// The path of a file, downloaded if it is nowhere. Throws IoError.
std::string obtain(const File& file, bool may_download) {
  std::vector<std::string> folders;
  const char* data = std::getenv("DNN_DATA_DIR");
  if (data != nullptr && *data != '\0') folders.push_back(std::string(data) + "/mnist");
  const std::string cache = cache_folder();
  if (!cache.empty()) folders.push_back(cache + "/mnist");
  for (const std::string& folder : folders) {
    if (const auto path = find(folder, file.name)) return *path;
  }
  const std::string missing =
      folders.empty()
          ? fmt::format(
                "mnist: {} was not looked for: none of DNN_DATA_DIR, DNN_CACHE_DIR, XDG_CACHE_HOME, HOME is set",
                file.name)
          : fmt::format("mnist: {} is not in {}", file.name, fmt::join(folders, " or "));
  if (!may_download) throw IoError(missing + " (downloading is switched off)");
  if (cache.empty())
    throw IoError(missing + " (there is no cache to download to: none of DNN_CACHE_DIR, XDG_CACHE_HOME, HOME is set)");
  detail::RemoteFile remote{fmt::format("{}.gz", file.name), {}, file.size, file.crc32};
  for (const char* mirror : mirrors) remote.urls.push_back(mirror + remote.name);
  try {
    return detail::download(remote, cache + "/mnist");
  } catch (const IoError& error) {
    throw IoError(fmt::format("{} ({})", missing, error.what()));
  }
}

ImageDataset load(Split split, const MnistOptions& options) {
  const Files& files = files_of(split);
  const std::string images_path = obtain(files.images, options.download);
  const std::string labels_path = obtain(files.labels, options.download);
  const Tensor images = read_idx(images_path);
  const Tensor labels = read_idx(labels_path);
  const auto describe = [](const Tensor& t) { return fmt::format("{} {}", name_of(t.dtype()), t.shape().str()); };
  if (images.dtype() != DType::uint8 || images.rank() != 3 || images.size(1) != side || images.size(2) != side) {
    throw FormatError(
        fmt::format("mnist: {} holds {}, expected uint8 [n, {}, {}]", images_path, describe(images), side, side));
  }
  if (labels.dtype() != DType::uint8 || labels.rank() != 1) {
    throw FormatError(fmt::format("mnist: {} holds {}, expected uint8 [n]", labels_path, describe(labels)));
  }
  const int64_t count = images.size(0);
  if (labels.size(0) != count) {
    throw FormatError(fmt::format("mnist: {} holds {} images, but {} holds {} labels", images_path, count, labels_path,
                                  labels.size(0)));
  }
  const uint8_t* label = labels.data<uint8_t>();
  for (int64_t i = 0; i < count; ++i) {
    if (label[i] >= classes) {
      throw FormatError(
          fmt::format("mnist: {}: label {} is {}, expected 0 to {}", labels_path, i, label[i], classes - 1));
    }
  }
  ImageDataset result("mnist", images.reshape({count, 1, side, side}), labels.to(DType::int64),
                      {"0", "1", "2", "3", "4", "5", "6", "7", "8", "9"});
  if (options.normalize) result.normalize(Mnist::normalization());
  return result;
}

}  // namespace

Mnist::Mnist(Split split, const MnistOptions& options) : ImageDataset(load(split, options)) {}

std::string Mnist::why_unavailable(const MnistOptions& options) {
  try {
    for (const Split split : {Split::train, Split::test}) {
      const Files& files = files_of(split);
      for (const File& file : {files.images, files.labels}) obtain(file, options.download);
    }
  } catch (const IoError& error) {
    return error.what();
  }
  return "";
}

Digits digits(const DigitsOptions& options) {
  const MnistOptions mnist{.normalize = options.normalize, .download = options.download};
  const std::string reason = Mnist::why_unavailable(mnist);
  if (reason.empty()) return {Mnist(Split::train, mnist), Mnist(Split::test, mnist), ""};
  const SyntheticDigitsOptions synthetic{.normalize = options.normalize};
  return {SyntheticDigits(options.train_count, 1, synthetic), SyntheticDigits(options.test_count, 2, synthetic),
          reason};
}

}  // namespace dnn
