// CIFAR: where its files are found, what they hold, what is wrong with wrong ones, and downloading an archive with a
// curl command of our own.
#include "dnn/data/cifar.h"

#include <cstdio>
#include <filesystem>
#include <numeric>

#include "data/download.h"
#include "tests/data/support.h"

namespace dnn::test {
namespace {

// Image i of a file has the labels given and pixels i, i + 1, i + 2 ... modulo 256.
std::string records(const std::vector<std::string>& labels) {
  std::string bytes;
  for (size_t i = 0; i < labels.size(); ++i) {
    std::string pixels(3072, '\0');
    std::iota(pixels.begin(), pixels.end(), static_cast<char>(i));
    bytes += labels[i] + pixels;
  }
  return bytes;
}

class CifarFiles : public BareMachine {
 protected:
  void write(const std::string& name, const std::string& bytes) {
    std::filesystem::create_directories(std::filesystem::path(folder_ / name).parent_path());
    write_file(folder_ / name, bytes);
  }
  // Five batches of one image, of class 0 to 4, and two test images of class 9.
  void write_cifar10(const std::string& folder) {
    for (int i = 0; i < 5; ++i) {
      write(folder + "/data_batch_" + std::to_string(i + 1) + ".bin", records({std::string(1, static_cast<char>(i))}));
    }
    write(folder + "/test_batch.bin", records({"\x09", "\x09"}));
  }
};

TEST_F(CifarFiles, HoldImagesInTheOrderOfTheBatches) {
  write_cifar10("data/cifar10");
  const Cifar10 train(Split::train), test(Split::test);
  EXPECT_EQ(train.name(), "cifar10");
  EXPECT_EQ(train.images().shape(), (Shape{5, 3, 32, 32}));
  EXPECT_EQ(train.labels().to_vector<int64_t>(), (std::vector<int64_t>{0, 1, 2, 3, 4}));
  EXPECT_EQ(test.images().shape(), (Shape{2, 3, 32, 32}));
  const std::vector<uint8_t> pixels = test.images()[1].to_vector<uint8_t>();
  EXPECT_EQ(pixels[0], 1);
  EXPECT_EQ(pixels[3071], (3071 + 1) % 256);
  EXPECT_EQ(test.get(0).input.to_vector<float>()[255], 1.0f);
  EXPECT_EQ(test.class_names().size(), 10u);
  EXPECT_EQ(test.class_names()[9], "truck");
  const Cifar10 normalized(Split::test, {.normalize = true});
  EXPECT_EQ(normalized.get(0).input.to_vector<float>()[1024], (0.0f - 0.4822f) / 0.2435f);
  EXPECT_EQ(Cifar10::why_unavailable(), "");
}

TEST_F(CifarFiles, AreFoundInTheirUsualFolders) {
  for (const char* folder : {"data/cifar10", "data/cifar-10-batches-bin", "data/cifar10/cifar-10-batches-bin",
                             "cache/dnn/cifar10", "cache/dnn/cifar-10-batches-bin"}) {
    EXPECT_NE(Cifar10::why_unavailable({.download = false}), "");
    write_cifar10(folder);
    EXPECT_EQ(Cifar10::why_unavailable({.download = false}), "") << folder;
    std::filesystem::remove_all(folder_ / folder);
  }
  write_cifar10("data/cifar10");
  std::filesystem::remove(folder_ / "data/cifar10/data_batch_3.bin");
  EXPECT_EQ(Cifar10(Split::test).size(), 2);
  EXPECT_THROW(Cifar10(Split::train, {.download = false}), IoError);
  write_cifar10("cache/dnn/cifar10");
  EXPECT_EQ(Cifar10(Split::train).size(), 5);
}

TEST_F(CifarFiles, OfCifar100HaveTwoLabels) {
  write("data/cifar-100-binary/train.bin", records({{"\x13\x63"}, std::string("\0\x04", 2)}));
  write("data/cifar-100-binary/test.bin", records({{"\x01\x01"}}));
  const Cifar100 fine(Split::train), coarse(Split::train, {.coarse = true});
  EXPECT_EQ(fine.name(), "cifar100");
  EXPECT_EQ(fine.labels().to_vector<int64_t>(), (std::vector<int64_t>{99, 4}));
  EXPECT_EQ(coarse.labels().to_vector<int64_t>(), (std::vector<int64_t>{19, 0}));
  ASSERT_EQ(fine.class_names().size(), 100u);
  ASSERT_EQ(coarse.class_names().size(), 20u);
  EXPECT_TRUE(std::ranges::is_sorted(fine.class_names()));
  EXPECT_TRUE(std::ranges::is_sorted(coarse.class_names()));
  EXPECT_EQ(fine.class_names()[99], "worm");
  EXPECT_EQ(coarse.class_names()[0], "aquatic_mammals");
  EXPECT_EQ(fine.images()[1].to_vector<uint8_t>()[0], 1);
  const Cifar100 normalized(Split::test, {.normalize = true});
  EXPECT_EQ(normalized.get(0).input.to_vector<float>()[0], (0.0f - 0.5071f) / 0.2673f);
  EXPECT_EQ(Cifar100::why_unavailable(), "");
}

TEST_F(CifarFiles, ThatAreNowhereAreAnIoError) {
  EXPECT_THAT(
      [] { Cifar10(Split::train, {.download = false}); },
      ThrowsMessage<IoError>("cifar10: data_batch_1.bin to data_batch_5.bin is not in cifar10 or "
                             "cifar-10-batches-bin below " +
                             (folder_ / "data") + " or " + (folder_ / "cache/dnn") + " (downloading is switched off)"));
  EXPECT_THAT([] { Cifar100(Split::test); },
              ThrowsMessage<IoError>(AllOf(HasSubstr("cifar100: test.bin is not in"),
                                           HasSubstr("cifar-100-binary.tar.gz was not downloaded"),
                                           HasSubstr("there is no curl command"))));
  const Variable no_data("DNN_DATA_DIR", std::nullopt), no_cache("XDG_CACHE_HOME", ""), no_home("HOME", std::nullopt);
  EXPECT_THAT(
      [] { Cifar10(Split::test); },
      ThrowsMessage<IoError>("cifar10: test_batch.bin was not looked for: none of DNN_DATA_DIR, DNN_CACHE_DIR, "
                             "XDG_CACHE_HOME, HOME is set (there is no cache to download to: none of DNN_CACHE_DIR, "
                             "XDG_CACHE_HOME, HOME is set)"));
}

TEST_F(CifarFiles, ThatAreWrongAreAFormatError) {
  const auto expect_error = [&](const std::string& bytes, const std::string& text) {
    write("data/cifar10/test_batch.bin", bytes);
    EXPECT_THAT([] { Cifar10(Split::test, {.download = false}); },
                ThrowsMessage<FormatError>("cifar10: " + (folder_ / "data/cifar10/test_batch.bin") + text));
  };
  const std::string good = records({"a", "b"});
  expect_error("", " holds 0 bytes, expected images of 3073 bytes (1 for labels, 3072 pixels)");
  expect_error(good.substr(1), " holds 6145 bytes, expected images of 3073 bytes (1 for labels, 3072 pixels)");
  expect_error(records({"\x03", "\x0a"}), ": the label of image 1 is 10, expected 0 to 9");
  write("data/cifar100/test.bin", records({"\x14\x01"}));
  EXPECT_THAT([] { Cifar100(Split::test); },
              ThrowsMessage<FormatError>(HasSubstr(": the coarse label of image 0 is 20, expected 0 to 19")));
  write("data/cifar100/test.bin", records({"\x13\x64"}));
  EXPECT_THAT([] { Cifar100(Split::test, {.coarse = true}); },
              ThrowsMessage<FormatError>(HasSubstr(": the label of image 0 is 100, expected 0 to 99")));
}

// Downloads of a small archive: two files in a folder, and one that nobody asks for.
class DownloadArchive : public CifarFiles {
 protected:
  DownloadArchive() {
    for (const char* program : {"tar", "gzip", "md5sum"}) {
      std::filesystem::create_symlink(std::string("/usr/bin/") + program, programs_ + "/" + program);
    }
    write("source/inside/a.bin", "first");
    write("source/inside/b.bin", "second");
    write("source/inside/readme", "unwanted");
    archive_.size = pack();
  }

  // Makes the archive from the folder `source` and serves it; returns its size.
  int64_t pack() {
    const std::string path = folder_ / "served";
    const std::string command = "PATH=/usr/bin:/bin; tar -C " + (folder_ / "source") + " -czf " + path +
                                " . && md5sum " + path + " > " + (folder_ / "sum");
    EXPECT_EQ(std::system(command.c_str()), 0);
    archive_.md5 = contents(folder_ / "sum").substr(0, 32);
    write_curl("cat " + path + " > $out");
    return static_cast<int64_t>(std::filesystem::file_size(path));
  }
  void run() { detail::download(archive_, cache_); }
  void expect_failure(const std::string& text) {
    EXPECT_THAT([&] { run(); },
                ThrowsMessage<IoError>(AllOf(HasSubstr("download: a.tar.gz was not downloaded (https://one/a.tar.gz: "),
                                             HasSubstr(text))));
    EXPECT_TRUE(std::filesystem::is_empty(cache_));
  }

  const std::string cache_ = folder_ / "cache/dnn/archive";
  detail::RemoteArchive archive_{"a.tar.gz", {"https://one/a.tar.gz"}, 0, "", "./inside", {"a.bin", "b.bin"}};
};

TEST_F(DownloadArchive, LeavesTheFilesThatAreWanted) {
  run();
  EXPECT_EQ(contents(cache_ + "/a.bin"), "first");
  EXPECT_EQ(contents(cache_ + "/b.bin"), "second");
  EXPECT_EQ(std::distance(std::filesystem::directory_iterator(cache_), {}), 2);
}

TEST_F(DownloadArchive, LeavesNothingWhenItIsWrong) {
  archive_.size += 1;
  expect_failure("bytes, expected " + std::to_string(archive_.size));
  archive_.size -= 1;
  const std::string right = std::exchange(archive_.md5, std::string(32, '0'));
  expect_failure("its MD5 checksum is " + right + ", expected 00000000000000000000000000000000");
  archive_.md5 = right;
  archive_.files.push_back("c.bin");
  expect_failure("c.bin");
  archive_.files.pop_back();
  std::filesystem::remove(programs_ + "/tar");
  expect_failure("there is no tar command");
  std::filesystem::remove(programs_ + "/md5sum");
  expect_failure("there is no md5sum command");
  write_curl("exit 6");
  expect_failure("curl ended with exit status 6");
}

TEST_F(DownloadArchive, SurvivesEveryFailureOfTheFileSystem) {
  int operations = 0;
  {
    const FailingFileSystem files(-1);
    run();
    operations = files.count();
  }
  EXPECT_GE(operations, 6);
  for (int i = 0; i < operations; ++i) {
    std::filesystem::remove_all(cache_);
    {
      const FailingFileSystem files(i);
      try {
        run();
      } catch (const IoError&) {
      }
    }
    if (!std::filesystem::exists(cache_)) continue;
    for (const auto& entry : std::filesystem::directory_iterator(cache_)) {
      EXPECT_THAT(entry.path().filename(), testing::AnyOf("a.bin", "b.bin")) << i;
      EXPECT_THAT(contents(entry.path()), testing::AnyOf("first", "second")) << i;
    }
  }
}

}  // namespace
}  // namespace dnn::test
