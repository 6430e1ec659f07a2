// Decoding pictures: every kind of PNG and JPEG against images.safetensors (made by images.py), files that are damaged
// or lie, and PNG files of our own.
#include "dnn/data/image.h"

#include <limits>

#include "dnn/interop/safetensors.h"
#include "tests/data/support.h"
#include "tests/harness/errors.h"

namespace dnn::test {
namespace {

const StateDict& vectors() {
  static const StateDict tensors = load_safetensors(DNN_TEST_IMAGES).tensors;
  return tensors;
}

// The bytes of a file of images.safetensors.
std::string file(const std::string& name) {
  const Tensor& bytes = vectors().at(name + "/file");
  return {reinterpret_cast<const char*>(bytes.data<uint8_t>()), static_cast<size_t>(bytes.numel())};
}

Tensor decode(const std::string& bytes, const ImageOptions& options = {}) {
  return decode_image(std::as_bytes(std::span(bytes)), options, "x");
}

void expect_equal(const Tensor& image, const Tensor& expected, const std::string& name) {
  EXPECT_EQ(image.dtype(), DType::uint8) << name;
  ASSERT_EQ(image.shape(), expected.shape()) << name;
  EXPECT_EQ(image.to_vector<uint8_t>(), expected.to_vector<uint8_t>()) << name;
}

Tensor ramp(Shape shape) { return arange(0, shape.numel()).to(DType::uint8).reshape(shape); }

void expect_format_error(const std::string& bytes, const std::string& text, const ImageOptions& options = {}) {
  EXPECT_ERROR(decode(bytes, options), FormatError, "decode_image: x " + text);
}

TEST(Image, IsReadAsItIsStored) {
  int cases = 0;
  for (const auto& [name, expected] : vectors()) {
    if (!name.ends_with("/stored")) continue;
    expect_equal(decode(file(name.substr(0, name.find('/')))), expected, name);
    ++cases;
  }
  EXPECT_EQ(cases, 47);
}

TEST(Image, IsReadWithTheChannelsAskedFor) {
  expect_equal(decode(file("png_luma"), {.channels = Channels::gray}), vectors().at("png_luma/gray"), "luma");
  for (const auto& [name, stored] : vectors()) {
    if (!name.ends_with("/stored")) continue;
    const std::string bytes = file(name.substr(0, name.find('/')));
    const bool colour = stored.size(0) >= 3;
    const Tensor rgb = decode(bytes, {.channels = Channels::rgb}), gray = decode(bytes, {.channels = Channels::gray});
    EXPECT_EQ(gray.shape(), stored.shape().with(0, 1).without(1)) << name;
    for (int64_t c = 0; c < 3; ++c) expect_equal(rgb[c], stored[colour ? c : 0], name);
    if (!colour) expect_equal(gray[0], stored[0], name);
  }
}

TEST(Image, OfJpegIsScaledToAMinimum) {
  const std::string bytes = file("jpeg_large");
  const auto shape = [&](int64_t min_size) { return decode(bytes, {.min_size = min_size}).shape(); };
  for (const auto& [min_size, name] : {std::pair{0, "1"}, {36, "2"}, {18, "4"}, {9, "8"}, {1, "8"}, {72, "1"}}) {
    expect_equal(decode(bytes, {.min_size = min_size}), vectors().at(std::string("jpeg_large/scaled") + name), name);
  }
  EXPECT_EQ(shape(1000), (Shape{3, 72, 104}));
  EXPECT_EQ(shape(37), (Shape{3, 45, 65}));  // 5/8
  expect_equal(decode(file("png_luma"), {.min_size = 1}), decode(file("png_luma")), "png");
}

TEST(Image, OfJpegIsTurnedOnRequest) {
  for (int i = 1; i <= 8; ++i) {
    const std::string name = "jpeg_turned" + std::to_string(i);
    expect_equal(decode(file(name), {.exif_orientation = true}), vectors().at(name + "/turned"), name);
  }
  EXPECT_EQ(decode(file("jpeg_turned6"), {.channels = Channels::gray, .exif_orientation = true}).shape(),
            (Shape{1, 12, 9}));
}

TEST(Image, WithAHostileExifBlockIsUpright) {
  const std::string good = file("jpeg_turned6");
  const size_t exif = good.find("Exif");
  ASSERT_NE(exif, std::string::npos);
  for (size_t at = exif; at < exif + 32; ++at) {
    for (const char value : {'\0', '\x7f', '\xff'}) {
      std::string bytes = good;
      bytes[at] = value;
      const Shape shape = decode(bytes, {.exif_orientation = true}).shape();
      EXPECT_TRUE(shape == (Shape{3, 12, 9}) || shape == (Shape{3, 9, 12})) << at;
    }
  }
}

TEST(Image, ThatIsNoneIsAFormatError) {
  expect_format_error("", "is neither a JPEG nor a PNG (0 bytes, beginning with nothing)");
  expect_format_error("GIF89a", "is neither a JPEG nor a PNG (6 bytes, beginning with 47 49 46 38 39 61)");
  expect_format_error("\xff\xd8\xff", "is no JPEG that can be read: Premature end of JPEG file");
  expect_format_error(file("png_rgb8").substr(0, 8), "is no PNG that can be read: it ends in the middle");
}

TEST(Image, ThatIsTruncatedIsAFormatError) {
  for (const char* name : {"jpeg_420", "jpeg_progressive", "jpeg_gray", "jpeg_cmyk", "png_rgb8", "png_gray1_interlaced",
                           "png_palette4", "png_with_gamma"}) {
    const std::string bytes = file(name);
    for (size_t length = 8; length < bytes.size(); ++length) {
      EXPECT_THROW(decode(bytes.substr(0, length)), FormatError) << name << " " << length;
    }
    EXPECT_NO_THROW(decode(bytes + "more")) << name;  // as cameras and editors append things
  }
}

TEST(Image, ThatIsDamagedIsAFormatError) {
  std::string bytes = file("png_rgb8");
  bytes[bytes.size() - 13] ^= 1;  // before the last chunk, which is 12 bytes long
  expect_format_error(bytes, "is no PNG that can be read: IDAT: CRC error");
  bytes = file("png_rgb8");
  bytes[16] = '\x7f';
  expect_format_error(bytes, "is no PNG that can be read: IHDR: CRC error");
  // The end marker in the middle of the pixels.
  bytes = file("jpeg_444");
  expect_format_error(bytes.substr(0, bytes.size() - 200) + "\xff\xd9",
                      "is no JPEG that can be read: Corrupt JPEG data: premature end of data segment");
}

TEST(Image, BeyondTheLimitIsAFormatError) {
  expect_format_error(file("jpeg_large"), "is a JPEG of 104 x 72 pixels, at most 7487 in all expected",
                      {.max_pixels = 7487});
  expect_format_error(file("png_rgb8"), "is a PNG of 11 x 7 pixels, at most 76 in all expected", {.max_pixels = 76});
  EXPECT_NO_THROW(decode(file("png_rgb8"), {.max_pixels = 77}));
}

// The size in the headers of these files is all they have.
TEST(Image, ThatLiesAboutItsSizeIsAFormatError) {
  std::string bytes = file("jpeg_gray");
  const size_t frame = bytes.find("\xff\xc0");
  ASSERT_NE(frame, std::string::npos);
  bytes.replace(frame + 5, 4, "\x1f\xff\x1f\xff");
  expect_format_error(bytes,
                      "is a JPEG of 8191 x 8191 pixels, more than " + std::to_string(bytes.size()) + " bytes can hold");
  bytes = file("png_rgb8");
  bytes.replace(16, 8, std::string("\0\0\x1f\xff\0\0\x1f\xff", 8));
  const auto sum = ::crc32(0, reinterpret_cast<const Bytef*>(&bytes[12]), 17);
  bytes.replace(29, 4, big_endian(static_cast<uint32_t>(sum)));
  expect_format_error(bytes, "is a PNG of 8191 x 8191 pixels of 24 bits, more than " + std::to_string(bytes.size()) +
                                 " bytes can hold");
}

TEST(Image, OptionsAreChecked) {
  EXPECT_ERROR(decode("", {.min_size = -1}), ArgumentError,
               "decode_image: min_size is -1 and max_pixels 134217728, expected 0 or more and 1 or more");
  EXPECT_ERROR(decode("", {.max_pixels = 0}), ArgumentError,
               "decode_image: min_size is 0 and max_pixels 0, expected 0 or more and 1 or more");
}

TEST(Image, IsLoadedFromAFile) {
  const TemporaryFolder folder;
  write_file(folder / "a.txt", file("jpeg_420"));  // the name does not matter
  expect_equal(load_image(folder / "a.txt"), vectors().at("jpeg_420/stored"), "a");
  write_file(folder / "b.jpg", "no picture");
  EXPECT_ERROR(load_image(folder / "b.jpg"), FormatError,
               "decode_image: " + (folder / "b.jpg") +
                   " is neither a JPEG nor a PNG (10 bytes, beginning with 6e 6f 20 70 69 63 74 75)");
  EXPECT_THAT([&] { load_image(folder / "c.jpg"); }, ThrowsMessage<IoError>(HasSubstr(folder / "c.jpg")));
}

TEST(Png, HoldsTheBytes) {
  for (const int64_t channels : {1, 2, 3, 4}) {
    const Tensor image = ramp({channels, 13, 7});
    const auto bytes = encode_png(image);
    expect_equal(decode_image(bytes), image, std::to_string(channels));
  }
  const Tensor view = ramp({3, 4, 10}).slice(2, 0, 10, 2);
  expect_equal(decode_image(encode_png(view)), view.contiguous(), "view");
}

TEST(Png, OfNumbersIsClampedAndRounded) {
  const float nan = std::numeric_limits<float>::quiet_NaN(), infinity = std::numeric_limits<float>::infinity();
  const std::vector<float> values{0, 1, 0.5f, -1, 2, nan, 0.3f / 255, 254.6f / 255, infinity, -infinity};
  const std::vector<uint8_t> expected{0, 255, 128, 0, 255, 0, 0, 255, 255, 0};
  const Tensor image = from_values(values, {1, 2, 5});
  for (const DType type : {DType::float32, DType::float64}) {
    EXPECT_EQ(decode_image(encode_png(image.to(type))).to_vector<uint8_t>(), expected);
  }
}

TEST(Png, IsWrittenAtomically) {
  const TemporaryFolder folder;
  save_png(folder / "a.png", zeros({3, 4, 5}));
  const std::string before = contents(folder / "a.png");
  EXPECT_EQ(load_image(folder / "a.png").shape(), (Shape{3, 4, 5}));
  for (int k = 0; k < 5; ++k) {  // create, write, sync, close, rename
    const FailingFileSystem failing(k);
    EXPECT_THROW(save_png(folder / "a.png", ones({1, 2, 2})), IoError);
    EXPECT_EQ(contents(folder / "a.png"), before);
    EXPECT_EQ(folder.count(), 1);
  }
}

TEST(Png, IsOnlyMadeOfPictures) {
  const auto text = [](const std::string& shape) {
    return "encode_png: image is " + shape + ", expected [c, h, w] with 1 to 4 channels and sides of 1 to 1000000";
  };
  EXPECT_ERROR(encode_png({}), ArgumentError, "encode_png: the image is undefined");
  EXPECT_ERROR(encode_png(zeros({4, 4})), ShapeError, text("[4, 4]"));
  EXPECT_ERROR(encode_png(zeros({5, 4, 4})), ShapeError, text("[5, 4, 4]"));
  EXPECT_ERROR(encode_png(zeros({0, 4, 4})), ShapeError, text("[0, 4, 4]"));
  EXPECT_ERROR(encode_png(zeros({1, 0, 4})), ShapeError, text("[1, 0, 4]"));
  EXPECT_ERROR(encode_png(zeros({1, 1, 1000001}, {.dtype = DType::uint8})), ShapeError, text("[1, 1, 1000001]"));
  EXPECT_ERROR(encode_png(zeros({1, 4, 4}, {.dtype = DType::int64})), DTypeError,
               "encode_png: image is int64, expected uint8 or floating-point numbers");
}

}  // namespace
}  // namespace dnn::test
