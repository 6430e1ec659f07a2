// Listing the pictures of a folder, and reading one.
#include "dnn/data/image_folder.h"

#include <fmt/format.h>

#include <algorithm>
#include <cctype>
#include <filesystem>
#include <system_error>

#include "dnn/error.h"
#include "dnn/ops/factory.h"

namespace dnn {

namespace {

namespace fs = std::filesystem;

struct Listing {
  std::vector<std::string> folders, files;  // names in order
};

Listing list(const std::string& folder) {
  Listing listing;
  std::error_code error;
  fs::directory_iterator entries(folder, error);
  for (; !error && entries != fs::directory_iterator(); entries.increment(error)) {
    std::error_code ignored;  // a link to nowhere is neither
    const std::string name = entries->path().filename().string();
    if (entries->is_directory(ignored)) listing.folders.push_back(name);
    if (entries->is_regular_file(ignored)) listing.files.push_back(name);
  }
  if (error) throw IoError(fmt::format("ImageFolder: cannot read folder {} ({})", folder, error.message()));
  std::ranges::sort(listing.folders);
  std::ranges::sort(listing.files);
  return listing;
}

// All folders at or below one, links followed; `above` are those that lead there.
void add_folders(const std::string& folder, std::vector<fs::path>& above, std::vector<std::string>& folders) {
  std::error_code error;
  const fs::path real = fs::canonical(folder, error);
  if (error) throw IoError(fmt::format("ImageFolder: cannot read folder {} ({})", folder, error.message()));
  if (std::ranges::find(above, real) != above.end()) {
    throw ArgumentError(fmt::format("ImageFolder: {} is a link to {}, which contains it", folder, real.string()));
  }
  above.push_back(real);
  folders.push_back(folder);
  for (const std::string& name : list(folder).folders) add_folders(folder + "/" + name, above, folders);
  above.pop_back();
}

bool has_extension(const std::string& name, const std::vector<std::string>& extensions) {
  std::string lower = name;
  std::ranges::transform(lower, lower.begin(), [](unsigned char c) { return static_cast<char>(std::tolower(c)); });
  return std::ranges::any_of(extensions, [&](const std::string& extension) { return lower.ends_with(extension); });
}

}  // namespace

ImageFolder::ImageFolder(const std::string& folder, const ImageFolderOptions& options)
    : folder_(folder),
      options_{options.channels, options.min_size, options.exif_orientation, options.max_pixels},
      class_names_(list(folder).folders) {
  if (options.min_size < 0 || options.max_pixels < 1) {
    throw ArgumentError(fmt::format("ImageFolder: min_size is {} and max_pixels {}, expected 0 or more and 1 or more",
                                    options.min_size, options.max_pixels));
  }
  if (class_names_.empty()) {
    throw ArgumentError(fmt::format("ImageFolder: there is no folder in {}, expected one for each class", folder));
  }
  for (int64_t label = 0; label < std::ssize(class_names_); ++label) {
    const std::string top = folder + "/" + class_names_[static_cast<size_t>(label)];
    const int64_t before = size();
    std::vector<fs::path> above;
    std::vector<std::string> folders;
    add_folders(top, above, folders);
    std::ranges::sort(folders);
    for (const std::string& inner : folders) {
      for (const std::string& name : list(inner).files) {
        if (has_extension(name, options.extensions)) files_.push_back({inner + "/" + name, label});
      }
    }
    if (size() == before) {
      throw ArgumentError(fmt::format("ImageFolder: there is no picture below {} (extensions {})", top,
                                      fmt::join(options.extensions, " ")));
    }
  }
}

Sample ImageFolder::get(int64_t index, const Pass&) const {
  check_index(index);
  const File& file = files_[static_cast<size_t>(index)];
  const Tensor bytes = load_image(file.path, options_);
  const Sample sample{empty(bytes.shape()), empty({}, {.dtype = DType::int64})};
  const uint8_t* from = bytes.data<uint8_t>();
  std::transform(from, from + bytes.numel(), sample.input.data<float>(),
                 [](uint8_t byte) { return static_cast<float>(byte) / 255.0f; });
  *sample.target.data<int64_t>() = file.label;
  return sample;
}

}  // namespace dnn
