// The published MNIST, where it is: below DNN_DATA_DIR.
#include <filesystem>

#include "data/download.h"
#include "dnn/data/mnist.h"
#include "tests/data/support.h"

namespace dnn::test {
namespace {

class RealMnist : public testing::Test {
 protected:
  void SetUp() override {
    const Variable no_cache("XDG_CACHE_HOME", "/nonexistent");
    const std::string missing = Mnist::why_unavailable({.download = false});
    if (missing.empty()) return;
    const char* required = std::getenv("DNN_REQUIRE_DATA");
    if (required != nullptr && std::string(required) == "1") FAIL() << missing;
    GTEST_SKIP() << missing;
  }
};

TEST_F(RealMnist, IsWhatWasPublished) {
  const Mnist train(Split::train), test(Split::test);
  EXPECT_EQ(train.size(), 60000);
  EXPECT_EQ(test.size(), 10000);
  EXPECT_EQ(train.labels().slice(0, 0, 9).to_vector<int64_t>(), (std::vector<int64_t>{5, 0, 4, 1, 9, 2, 1, 3, 1}));
  EXPECT_EQ(test.labels().slice(0, 0, 5).to_vector<int64_t>(), (std::vector<int64_t>{7, 2, 1, 0, 4}));
  const int64_t pixels = train.images().numel();
  const uint8_t* bytes = train.images().data<uint8_t>();
  int64_t sum = 0, squares = 0;
  for (int64_t i = 0; i < pixels; ++i) sum += bytes[i], squares += bytes[i] * bytes[i];
  const double mean = static_cast<double>(sum) / static_cast<double>(pixels) / 255;
  EXPECT_NEAR(mean, Mnist::normalization().mean[0], 5e-5);
  EXPECT_NEAR(std::sqrt(static_cast<double>(squares) / static_cast<double>(pixels) / (255.0 * 255.0) - mean * mean),
              Mnist::normalization().deviation[0], 5e-5);
}

TEST_F(RealMnist, LoadsTheSameWithAnyNumberOfThreads) {
  const Mnist data(Split::test, {.normalize = true});
  const auto run = [&](int threads) {
    std::vector<int64_t> labels;
    double sum = 0;
    DataLoader loader(data, {.batch_size = 256, .shuffle = true, .seed = 1, .threads = threads});
    for (Batch& batch : loader) {
      for (int64_t label : batch.target.to_vector<int64_t>()) labels.push_back(label);
      for (float value : batch.input.to_vector<float>()) sum += value;
    }
    labels.push_back(static_cast<int64_t>(sum * 1000));
    return labels;
  };
  const auto expected = run(0);
  EXPECT_EQ(expected.size(), 10001);
  EXPECT_EQ(run(1), expected);
  EXPECT_EQ(run(2), expected);
}

// Downloaded by a curl command that takes the files from the data folder instead of the network.
TEST_F(RealMnist, IsAcceptedAsADownload) {
  const std::string source = std::string(std::getenv("DNN_DATA_DIR")) + "/mnist";
  if (!std::filesystem::exists(source + "/t10k-labels-idx1-ubyte.gz")) GTEST_SKIP() << "needs the .gz files";
  const TemporaryFolder folder;
  write_file(folder / "curl",
             "#!/bin/sh\nPATH=/usr/bin:/bin\n"
             "while [ $# -gt 0 ]; do case $1 in --output) out=$2;; --url) url=$2;; esac; shift; done\n"
             "cat " +
                 source + "/${url##*/} > $out\n");
  std::filesystem::permissions(folder / "curl", std::filesystem::perms::owner_all);
  const Variable path("PATH", folder.path()), data("DNN_DATA_DIR", std::nullopt),
      cache("XDG_CACHE_HOME", folder.path());
  EXPECT_EQ(Mnist::why_unavailable(), "");
  EXPECT_EQ(Mnist(Split::test, {.download = false}).size(), 10000);
}

}  // namespace
}  // namespace dnn::test
