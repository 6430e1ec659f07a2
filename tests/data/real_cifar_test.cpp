// The published CIFAR-10, where it is: below DNN_DATA_DIR.
#include <algorithm>
#include <filesystem>
#include <functional>

#include "dnn/data/cifar.h"
#include "tests/data/support.h"

namespace dnn::test {
namespace {

class RealCifar : public testing::Test {
 protected:
  void SetUp() override {
    const Variable no_cache("XDG_CACHE_HOME", "/nonexistent");
    const std::string missing = Cifar10::why_unavailable({.download = false});
    if (missing.empty()) return;
    const char* required = std::getenv("DNN_REQUIRE_DATA");
    if (required != nullptr && std::string(required) == "1") FAIL() << missing;
    GTEST_SKIP() << missing;
  }
};

TEST_F(RealCifar, IsWhatWasPublished) {
  const Cifar10 train(Split::train), test(Split::test);
  EXPECT_EQ(train.size(), 50000);
  EXPECT_EQ(test.size(), 10000);
  for (const Cifar10* part : {&train, &test}) {
    std::vector<int64_t> count(10);
    for (int64_t label : part->labels().to_vector<int64_t>()) ++count[static_cast<size_t>(label)];
    EXPECT_EQ(count, std::vector<int64_t>(10, part->size() / 10));
  }
  const uint8_t* bytes = train.images().data<uint8_t>();
  std::array<int64_t, 3> sum{}, squares{};
  for (int64_t i = 0; i < train.size(); ++i) {
    for (size_t c = 0; c < 3; ++c, bytes += 1024) {
      for (int k = 0; k < 1024; ++k) sum[c] += bytes[k], squares[c] += bytes[k] * bytes[k];
    }
  }
  // Wide enough for images that went through JPEG once.
  for (size_t c = 0; c < 3; ++c) {
    const double pixels = 50000.0 * 1024 * 255, mean = static_cast<double>(sum[c]) / pixels;
    EXPECT_NEAR(mean, Cifar10::normalization().mean[c], 1e-3) << c;
    EXPECT_NEAR(std::sqrt(static_cast<double>(squares[c]) / (pixels * 255) - mean * mean),
                Cifar10::normalization().deviation[c], 3e-3)
        << c;
  }
}

// The test images as 10,000 JPEG files, cifar10/test/<class>/<number>.jpg, of which the binary file was made.
TEST_F(RealCifar, IsWhatAFolderOfItsPicturesHolds) {
  const std::string folder = std::string(std::getenv("DNN_DATA_DIR")) + "/cifar10/test";
  if (!std::filesystem::exists(folder)) GTEST_SKIP() << "needs " << folder;
  const Cifar10 binary(Split::test);
  const ImageFolder pictures(folder);
  EXPECT_EQ(pictures.class_names(), binary.class_names());
  const auto contents_of = [](SharedDataset dataset) {
    std::vector<size_t> hashes;
    DataLoader loader(std::move(dataset), {.batch_size = 100, .threads = 2});
    for (Batch& batch : loader) {
      for (int64_t i = 0; i < batch.target.numel(); ++i) {
        const Tensor image = batch.input[i];
        const std::string_view bytes(reinterpret_cast<const char*>(image.data<float>()), sizeof(float) * 3072);
        hashes.push_back(std::hash<std::string_view>()(bytes) * 10 + static_cast<size_t>(batch.target[i].item()));
      }
    }
    std::ranges::sort(hashes);
    return hashes;
  };
  EXPECT_EQ(contents_of(pictures), contents_of(binary));
}

}  // namespace
}  // namespace dnn::test
