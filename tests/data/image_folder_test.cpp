// ImageFolder: which files it finds and in which order, what a sample holds, errors, decoding on several threads.
#include "dnn/data/image_folder.h"

#include <filesystem>

#include "tests/data/support.h"
#include "tests/harness/errors.h"

namespace dnn::test {
namespace {

class Folder : public testing::Test {
 protected:
  // A picture of one colour.
  void write(const std::string& name, uint8_t value, const Shape& shape = {3, 2, 4}) {
    make(std::filesystem::path(name).parent_path().string());
    save_png(folder_ / name, full(shape, value, {.dtype = DType::uint8}));
  }
  void make(const std::string& name) { std::filesystem::create_directories(folder_ / name); }
  std::vector<std::string> names(const ImageFolder& pictures) {
    std::vector<std::string> names;
    for (const auto& [path, label] : pictures.samples()) {
      names.push_back(std::to_string(label) + path.substr(folder_.path().string().size()));
    }
    return names;
  }

  TemporaryFolder folder_;
  const std::string root_ = folder_.path().string();
};

TEST_F(Folder, IsListedInTheOrderOfNames) {
  for (const char* name : {"dog/b.png", "dog/a.jpg", "dog/sub/c.JPEG", "dog-house/1.png", "Cat/10.png", "Cat/9.PNG",
                           "dog/sub/deep/0.png", "dog/sub-1/0.png"}) {
    write(name, 1);
  }
  write_file(folder_ / "dog/readme.txt", "no picture");
  write_file(folder_ / "not_a_class.png", "no class");
  std::filesystem::create_symlink("nowhere.png", folder_ / "dog/z.png");
  const ImageFolder pictures(root_);
  EXPECT_EQ(pictures.class_names(), (std::vector<std::string>{"Cat", "dog", "dog-house"}));
  EXPECT_EQ(names(pictures),
            (std::vector<std::string>{"0/Cat/10.png", "0/Cat/9.PNG", "1/dog/a.jpg", "1/dog/b.png", "1/dog/sub/c.JPEG",
                                      "1/dog/sub-1/0.png", "1/dog/sub/deep/0.png", "2/dog-house/1.png"}))
      << "torchvision's order: folders as texts, where '-' comes before '/'";
  EXPECT_EQ(pictures.size(), 8);
  EXPECT_EQ(pictures.name(), root_);
  EXPECT_EQ(ImageFolder(root_, {.extensions = {"0.png", "1.png", ".jpg"}}).size(), 5);
}

TEST_F(Folder, FollowsLinks) {
  write("real/class/1.png", 1);
  write("train/a/1.png", 2);
  std::filesystem::create_directory_symlink(folder_ / "real/class", folder_ / "train/b");
  std::filesystem::create_directory_symlink(folder_ / "real/class", folder_ / "train/a/inner");
  EXPECT_EQ(names(ImageFolder(folder_ / "train")),
            (std::vector<std::string>{"0/train/a/1.png", "0/train/a/inner/1.png", "1/train/b/1.png"}));
  std::filesystem::create_directory_symlink("..", folder_ / "train/a/loop");
  EXPECT_ERROR(ImageFolder(folder_ / "train"), ArgumentError,
               "ImageFolder: " + (folder_ / "train/a/loop/a") + " is a link to " + (folder_ / "train/a") +
                   ", which contains it");
}

TEST_F(Folder, HoldsPicturesAsNumbers) {
  write("a/1.png", 51);
  write("b/1.png", 255, {1, 5, 3});
  const ImageFolder pictures(root_);
  const Sample first = pictures.get(0), second = pictures.get(1);
  EXPECT_EQ(first.input.dtype(), DType::float32);
  EXPECT_EQ(first.input.shape(), (Shape{3, 2, 4}));
  EXPECT_EQ(first.input.to_vector<float>(), std::vector<float>(24, 0.2f));
  EXPECT_EQ(first.target.item(), 0);
  EXPECT_EQ(first.target.dtype(), DType::int64);
  EXPECT_EQ(second.input.shape(), (Shape{3, 5, 3}));
  EXPECT_EQ(second.input.to_vector<float>(), std::vector<float>(45, 1.0f));
  EXPECT_EQ(second.target.item(), 1);
  EXPECT_EQ(ImageFolder(root_, {.channels = Channels::stored}).get(1).input.shape(), (Shape{1, 5, 3}));
  EXPECT_EQ(ImageFolder(root_, {.channels = Channels::gray}).get(0).input.shape(), (Shape{1, 2, 4}));
  EXPECT_ERROR(pictures.get(2), IndexError, root_ + ": there is no sample 2 (2 samples)");
  EXPECT_ERROR(pictures.batch(std::vector<int64_t>{0, 1}), ShapeError,
               root_ + ": the input of sample 1 is [3, 5, 3], in a batch of [2, 3, 2, 4]");
}

TEST_F(Folder, ThatHoldsNoClassesOrPicturesIsAnArgumentError) {
  EXPECT_ERROR(ImageFolder{root_}, ArgumentError,
               "ImageFolder: there is no folder in " + root_ + ", expected one for each class");
  write("a/1.png", 1);
  make("b");
  EXPECT_ERROR(ImageFolder{root_}, ArgumentError,
               "ImageFolder: there is no picture below " + (folder_ / "b") + " (extensions .jpg .jpeg .png)");
  EXPECT_ERROR(ImageFolder(root_, {.min_size = -1}), ArgumentError,
               "ImageFolder: min_size is -1 and max_pixels 134217728, expected 0 or more and 1 or more");
  EXPECT_ERROR(ImageFolder(root_, {.max_pixels = 0}), ArgumentError,
               "ImageFolder: min_size is 0 and max_pixels 0, expected 0 or more and 1 or more");
  EXPECT_ERROR(ImageFolder(folder_ / "missing"), IoError,
               "ImageFolder: cannot read folder " + (folder_ / "missing") + " (No such file or directory)");
}

TEST_F(Folder, NamesTheFileThatCannotBeRead) {
  write("a/1.png", 1);
  write("a/2.png", 1, {3, 20, 20});
  write_file(folder_ / "a/3.jpg", "no picture");
  const ImageFolder pictures(root_, {.max_pixels = 100});
  EXPECT_ERROR(pictures.get(1), FormatError,
               "decode_image: " + (folder_ / "a/2.png") + " is a PNG of 20 x 20 pixels, at most 100 in all expected");
  EXPECT_THAT([&] { pictures.get(2); }, ThrowsMessage<FormatError>(HasSubstr(folder_ / "a/3.jpg")));
  std::filesystem::remove(folder_ / "a/1.png");
  EXPECT_THAT([&] { pictures.get(0); }, ThrowsMessage<IoError>(HasSubstr(folder_ / "a/1.png")));
  DataLoader loader(pictures, {.batch_size = 1, .threads = 2});
  EXPECT_THROW(loader.begin(), IoError);
}

TEST_F(Folder, IsDecodedTheSameOnAnyNumberOfThreads) {
  for (int i = 0; i < 40; ++i) {
    write((i % 2 == 0 ? "a/" : "b/") + std::to_string(i) + ".png", static_cast<uint8_t>(6 * i));
  }
  const auto run = [&](int threads) {
    std::vector<float> seen;
    DataLoader loader(ImageFolder(root_), {.batch_size = 3, .shuffle = true, .seed = 5, .threads = threads});
    for (Batch& batch : loader) {
      for (float value : batch.input.to_vector<float>()) seen.push_back(value);
      for (int64_t label : batch.target.to_vector<int64_t>()) seen.push_back(static_cast<float>(label));
    }
    return seen;
  };
  const auto expected = run(0);
  EXPECT_EQ(expected.size(), 40u * 25);
  EXPECT_EQ(run(1), expected);
  EXPECT_EQ(run(4), expected);
}

}  // namespace
}  // namespace dnn::test
