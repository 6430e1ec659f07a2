// MNIST: where its files are found, what is wrong with wrong ones, downloading with a curl command of our own.
#include "dnn/data/mnist.h"

#include <filesystem>

#include "data/download.h"
#include "tests/data/support.h"

namespace dnn::test {
namespace {

constexpr const char* train_images = "train-images-idx3-ubyte";
constexpr const char* train_labels = "train-labels-idx1-ubyte";
constexpr const char* test_images = "t10k-images-idx3-ubyte";
constexpr const char* test_labels = "t10k-labels-idx1-ubyte";

std::string images_file(uint32_t count, char fill = 'x') {
  return idx(0x08, {count, 28, 28}, std::string(count * 784, fill));
}
std::string labels_file(uint32_t count, char label = 3) { return idx(0x08, {count}, std::string(count, label)); }

class MnistFiles : public BareMachine {
 protected:
  MnistFiles() {
    for (const std::string& folder : {data_, cache_}) std::filesystem::create_directories(folder);
  }

  void write_split(const std::string& folder) {
    write_file(folder + "/" + train_images, images_file(3));
    write_file(folder + "/" + train_labels, labels_file(3));
  }

  const std::string data_ = folder_ / "data/mnist", cache_ = folder_ / "cache/dnn/mnist";
};

TEST_F(MnistFiles, AreFoundUnderTheirUsualNames) {
  write_file(data_ + "/train-images.idx3-ubyte", images_file(3, '\xff'));
  write_file(data_ + "/" + train_labels + ".gz", gzip(labels_file(3)));
  write_file(data_ + "/" + test_images + ".gz", gzip(images_file(2)));
  write_file(data_ + "/t10k-labels.idx1-ubyte.gz", gzip(labels_file(2)));
  const Mnist train(Split::train), test(Split::test);
  EXPECT_EQ(train.name(), "mnist");
  EXPECT_EQ(train.images().shape(), (Shape{3, 1, 28, 28}));
  EXPECT_EQ(train.labels().to_vector<int64_t>(), (std::vector<int64_t>{3, 3, 3}));
  EXPECT_EQ(train.get(0).input.to_vector<float>()[0], 1.0f);
  EXPECT_EQ(test.size(), 2);
  EXPECT_EQ(test.class_names()[9], "9");
  EXPECT_EQ(Mnist::why_unavailable(), "");
  EXPECT_EQ(Mnist(Split::train, {.normalize = true}).get(0).input.to_vector<float>()[0], (1.0f - 0.1307f) / 0.3081f);
}

TEST_F(MnistFiles, AreFoundInTheCache) {
  write_split(cache_);
  EXPECT_EQ(Mnist(Split::train).size(), 3);
  const Variable no_data("DNN_DATA_DIR", std::nullopt);
  EXPECT_EQ(Mnist(Split::train).size(), 3);
  const Variable no_cache("XDG_CACHE_HOME", std::nullopt), home("HOME", folder_ / "home");
  std::filesystem::create_directories(folder_ / "home/.cache");
  std::filesystem::create_directory_symlink(folder_ / "cache/dnn", folder_ / "home/.cache/dnn");
  EXPECT_EQ(Mnist(Split::train).size(), 3);
  write_file(data_ + "/" + train_images, images_file(4));
  EXPECT_EQ(Mnist(Split::train).size(), 3);  // nobody looks at the data folder while the variable is gone
}

TEST_F(MnistFiles, ThatAreNowhereAreAnIoError) {
  EXPECT_THAT([] { Mnist(Split::train, {.download = false}); },
              ThrowsMessage<IoError>(AllOf(HasSubstr("mnist: train-images-idx3-ubyte is not in"), HasSubstr(data_),
                                           HasSubstr(cache_), HasSubstr("(downloading is switched off)"))));
  EXPECT_THAT([] { Mnist(Split::train); }, ThrowsMessage<IoError>(HasSubstr("there is no curl command")));
  const Variable no_data("DNN_DATA_DIR", std::nullopt), no_cache("XDG_CACHE_HOME", ""), no_home("HOME", std::nullopt);
  EXPECT_THAT([] { Mnist(Split::train); },
              ThrowsMessage<IoError>(HasSubstr("none of DNN_DATA_DIR, DNN_CACHE_DIR, XDG_CACHE_HOME, HOME is set")));
  const Variable data("DNN_DATA_DIR", folder_ / "data");
  EXPECT_THAT([] { Mnist(Split::train); }, ThrowsMessage<IoError>(HasSubstr("there is no cache to download to")));
}

TEST_F(MnistFiles, ThatAreWrongAreAFormatError) {
  const auto expect_error = [&](const std::string& images, const std::string& labels, const std::string& text) {
    write_file(data_ + "/" + train_images, images);
    write_file(data_ + "/" + train_labels, labels);
    EXPECT_THAT([] { Mnist(Split::train); }, ThrowsMessage<FormatError>(AllOf(HasSubstr(data_), HasSubstr(text))));
    EXPECT_THAT([] { Mnist(Split::train, {.download = false}); }, ThrowsMessage<FormatError>(HasSubstr(text)));
  };
  expect_error(images_file(3), labels_file(4), "holds 3 images, but");
  expect_error(images_file(3), labels_file(4), "holds 4 labels");
  expect_error(images_file(3), labels_file(3, 10), "label 0 is 10, expected 0 to 9");
  expect_error(idx(0x08, {2, 28, 27}, std::string(2 * 28 * 27, 'x')), labels_file(2),
               "holds uint8 [2, 28, 27], expected uint8 [n, 28, 28]");
  expect_error(idx(0x0d, {1, 28, 28}, std::string(4 * 784, 'x')), labels_file(1), "holds float32 [1, 28, 28]");
  expect_error(images_file(3), idx(0x08, {3, 1}, "abc"), "holds uint8 [3, 1], expected uint8 [n]");
  expect_error(images_file(3).substr(0, 1000), labels_file(3), "read_idx");
  expect_error(gzip(images_file(3)).substr(0, 15), labels_file(3), "ends in the middle of its compressed data");
}

TEST_F(MnistFiles, AreReplacedByDigitsThatSayWhy) {
  write_curl("echo 'curl: (6) Could not resolve host' >&2; exit 6");
  const Digits found = digits({.train_count = 30, .test_count = 20});
  EXPECT_EQ(found.train.name(), "synthetic digits");
  EXPECT_EQ(found.train.size(), 30);
  EXPECT_EQ(found.test.size(), 20);
  EXPECT_NE(found.train.get(0).input.to_vector<float>(), found.test.get(0).input.to_vector<float>());
  EXPECT_THAT(found.why_synthetic, AllOf(HasSubstr("train-images-idx3-ubyte"), HasSubstr("Could not resolve host")));
}

TEST_F(MnistFiles, AreNotReplacedWhenTheyAreThere) {
  write_split(data_);
  EXPECT_EQ(digits({.download = false, .train_count = 3, .test_count = 2}).train.name(), "synthetic digits");
  write_file(data_ + "/" + test_images, images_file(2));
  write_file(data_ + "/" + test_labels, labels_file(2));
  const Digits found = digits({.normalize = true});
  EXPECT_EQ(found.why_synthetic, "");
  EXPECT_EQ(found.train.name(), "mnist");
  EXPECT_EQ(found.test.size(), 2);
  EXPECT_NEAR(found.test.get(0).input.to_vector<float>()[0], ('x' / 255.0 - 0.1307) / 0.3081, 1e-5);
  write_file(data_ + "/" + test_labels, "damaged");
  EXPECT_THROW(digits(), FormatError);
}

// Downloads of a small file.
class Download : public MnistFiles {
 protected:
  std::string run() { return detail::download(file_, cache_); }
  void expect_failure(const std::string& text) {
    EXPECT_THAT([&] { run(); }, ThrowsMessage<IoError>(AllOf(HasSubstr("download: small.gz was not downloaded"),
                                                             HasSubstr("https://one/small.gz: "), HasSubstr(text))));
    EXPECT_EQ(contents(log_), "https://one/small.gz\nhttps://two/small.gz\n");
    EXPECT_TRUE(std::filesystem::is_empty(cache_));
    std::filesystem::remove(log_);
  }
  std::string serve(const std::string& bytes) {
    write_file(folder_ / "served", bytes);
    return "cat " + (folder_ / "served") + " > $out";
  }

  const std::string contents_ = std::string(5000, 'd') + "end";
  const detail::RemoteFile file_{"small.gz",
                                 {"https://one/small.gz", "https://two/small.gz"},
                                 5003,
                                 static_cast<uint32_t>(::crc32(0, reinterpret_cast<const Bytef*>(contents_.data()),
                                                               static_cast<uInt>(contents_.size())))};
};

TEST_F(Download, LeavesTheFileUnderItsName) {
  write_curl(serve(gzip(contents_)));
  std::filesystem::remove_all(folder_ / "cache");
  EXPECT_EQ(run(), cache_ + "/small.gz");
  EXPECT_EQ(contents(cache_ + "/small.gz"), gzip(contents_));
  EXPECT_EQ(contents(log_), "https://one/small.gz\n");
  EXPECT_EQ(std::distance(std::filesystem::directory_iterator(cache_), {}), 1);
}

TEST_F(Download, TriesTheNextAddress) {
  write_curl("case $url in *one*) echo half > $out; exit 18;; esac\n" + serve(gzip(contents_)));
  EXPECT_EQ(run(), cache_ + "/small.gz");
  EXPECT_EQ(contents(log_), "https://one/small.gz\nhttps://two/small.gz\n");
  EXPECT_EQ(std::distance(std::filesystem::directory_iterator(cache_), {}), 1);
}

TEST_F(Download, LeavesNothingWhenCurlFails) {
  write_curl("echo 'curl: (22) The requested URL\nreturned error: 404' >&2; echo page > $out; exit 22");
  expect_failure("curl: (22) The requested URL returned error: 404; https://two/small.gz: curl: (22)");
  write_curl("exit 35");
  expect_failure("curl ended with exit status 35");
  write_curl("kill -9 $$");
  expect_failure("curl was ended by signal 9");
  write_curl("yes no | head -c 1000000 >&2; exit 1");
  expect_failure("no no");
  write_curl("");
  expect_failure("small.gz");  // curl says that all is well and there is no file
}

TEST_F(Download, LeavesNothingWhenTheFileIsWrong) {
  write_curl(serve(gzip(contents_).substr(0, 20)));
  expect_failure("ends in the middle of its compressed data");
  write_curl(serve(gzip(std::string(5003, 'e'))));
  expect_failure("it holds 5003 bytes with checksum");
  write_curl(serve(gzip("short")));
  expect_failure("it holds 5 bytes with checksum");
  write_curl(serve(gzip(std::string(200000, 'l'))));
  expect_failure("it holds more than 5003 bytes");
  write_curl(serve("<html>sign in to this network</html>"));
  expect_failure("it holds 36 bytes with checksum");
}

TEST_F(Download, NeedsAFolderThatCanBeWritten) {
  write_curl(serve(gzip(contents_)));
  write_file(folder_ / "occupied", "");
  EXPECT_THROW(detail::download(file_, folder_ / "occupied/cache"), IoError);
  const Variable cache("XDG_CACHE_HOME", folder_ / "occupied");
  const Digits found = digits({.train_count = 1, .test_count = 1});
  EXPECT_THAT(found.why_synthetic, HasSubstr(folder_ / "occupied"));
  std::filesystem::permissions(cache_, std::filesystem::perms::owner_read | std::filesystem::perms::owner_exec);
  if (::access(cache_.c_str(), W_OK) != 0) {  // root may write anywhere
    EXPECT_THROW(run(), IoError);
  }
  std::filesystem::permissions(cache_, std::filesystem::perms::owner_all);
}

TEST_F(Download, SurvivesEveryFailureOfTheFileSystem) {
  write_curl(serve(gzip(contents_)));
  int operations = 0;
  {
    const FailingFileSystem files(-1);
    run();
    operations = files.count();
  }
  std::filesystem::remove(cache_ + "/small.gz");
  for (int i = 0; i < operations; ++i) {
    {
      const FailingFileSystem files(i);
      try {
        run();
      } catch (const IoError&) {
      }
    }
    for (const auto& entry : std::filesystem::directory_iterator(cache_)) {
      EXPECT_EQ(entry.path().filename(), "small.gz") << i;
      EXPECT_EQ(contents(entry.path()), gzip(contents_)) << i;
    }
    std::filesystem::remove(cache_ + "/small.gz");
  }
}

}  // namespace
}  // namespace dnn::test
