// ImageFolder: pictures in folders, one folder for each class.
//
//   ImageFolder photos("photos/train", {.min_size = 256});   // photos/train/cat/1.jpg, photos/train/dog/2.png, ...
//   TransformedDataset train(photos, {...a transform that makes them all one size...});
//   DataLoader loader(train, {.shuffle = true, .threads = 8});   // decodes 8 pictures at a time
#pragma once

#include <string>
#include <vector>

#include "dnn/data/dataset.h"
#include "dnn/data/image.h"

namespace dnn {

/// Options of `ImageFolder`.
struct ImageFolderOptions {
  Channels channels = Channels::rgb;      ///< As in ImageOptions; `stored` makes pictures differ in their channels.
  int64_t min_size = 0;                   ///< As in ImageOptions: the least size that transforms want to see of a JPEG.
  bool exif_orientation = false;          ///< As in ImageOptions.
  int64_t max_pixels = int64_t{1} << 27;  ///< As in ImageOptions.
  /// The files that count, by the ends of their names in lower case; upper case is the same.
  std::vector<std::string> extensions = {".jpg", ".jpeg", ".png"};
};

/// JPEG and PNG files below a folder, as torchvision's ImageFolder finds and orders them: each folder in it is a class,
/// in the order of their names (by bytes), and so are the files of a class, at whatever depth. Samples are float32
/// [c, h, w] in [0, 1] of whatever size the pictures have, with the class as int64 []; a batch wants them alike. The
/// files are read whenever a sample is asked for.
class ImageFolder : public Dataset {
 public:
  /// A file and its class.
  struct File {
    std::string path;
    int64_t label;
  };

  /// Lists the files. Throws ArgumentError when there is no class, or a class without a file; IoError when a folder
  /// cannot be read.
  explicit ImageFolder(const std::string& folder, const ImageFolderOptions& options = {});

  int64_t size() const override { return std::ssize(files_); }
  std::string name() const override { return folder_; }
  std::vector<std::string> class_names() const override { return class_names_; }
  /// Reads a file; throws FormatError and IoError that name it.
  Sample get(int64_t index, const Pass& pass = {}) const override;

  /// The files in the order of their indices.
  const std::vector<File>& samples() const { return files_; }

 private:
  std::string folder_;
  ImageOptions options_;
  std::vector<std::string> class_names_;
  std::vector<File> files_;
};

}  // namespace dnn
