// JPEG: libjpeg warns of damaged data and goes on with gray; here such a warning is an error.
#include "data/jpeg.h"

#include <fmt/format.h>

#include <algorithm>
#include <array>
#include <cstdio>  // jpeglib.h needs it
#include <cstring>

#include "dnn/error.h"

// clang-format off
#include <jpeglib.h>
#include <jerror.h>  // its numbers depend on what jpeglib.h configures
// clang-format on

namespace dnn::detail {

namespace {

// A block of 8 x 8 pixels takes at least a bit in each component; half of that for good measure.
constexpr int64_t most_pixels_per_byte = 1024;
// Each scan goes over the whole picture, and costs a few bytes to whoever makes a file to keep us busy.
constexpr int most_scans = 100;
constexpr int exif_marker = JPEG_APP0 + 1;

// Warnings that mean that pixels are missing or wrong. Others, such as superfluous bytes between two markers, are
// common and harmless.
bool means_damage(int code) {
  constexpr std::array damage{JWRN_ARITH_BAD_CODE, JWRN_BOGUS_PROGRESSION, JWRN_HIT_MARKER,
                              JWRN_HUFF_BAD_CODE,  JWRN_JPEG_EOF,          JWRN_MUST_RESYNC};
  return std::ranges::find(damage, code) != damage.end();
}

// libjpeg's structures, and its callbacks.
struct Decoder {
  Decoder() {
    info.err = jpeg_std_error(&errors);
    errors.error_exit = fail;
    errors.emit_message = warn;
    errors.output_message = [](j_common_ptr) {};
    info.client_data = this;
    progress.progress_monitor = count_scans;
  }
  ~Decoder() { jpeg_destroy_decompress(&info); }
  Decoder(const Decoder&) = delete;
  Decoder& operator=(const Decoder&) = delete;

  static void fail(j_common_ptr info) {
    auto* decoder = static_cast<Decoder*>(info->client_data);
    info->err->format_message(info, decoder->message.data());
    std::longjmp(decoder->jump, 1);
  }
  static void warn(j_common_ptr info, int level) {
    if (level < 0 && means_damage(info->err->msg_code)) fail(info);
  }
  static void count_scans(j_common_ptr info) {
    auto* decoder = static_cast<Decoder*>(info->client_data);
    if (decoder->info.input_scan_number <= most_scans) return;
    std::strcpy(decoder->message.data(), "it has too many scans");
    std::longjmp(decoder->jump, 1);
  }

  jpeg_decompress_struct info{};
  jpeg_error_mgr errors{};
  jpeg_progress_mgr progress{};
  std::jmp_buf jump;
  std::array<char, JMSG_LENGTH_MAX> message{};
};

// The orientation that an APP1 marker's EXIF block tells; 1, upright, when it tells none.
int exif_orientation(std::span<const uint8_t> marker) {
  constexpr std::array<uint8_t, 6> name{'E', 'x', 'i', 'f', 0, 0};
  constexpr uint16_t orientation_tag = 0x0112;
  if (marker.size() < name.size() + 8 || !std::ranges::equal(marker.first(name.size()), name)) return 1;
  const auto tiff = marker.subspan(name.size());
  const bool little = tiff[0] == 'I';
  const auto word = [&](size_t at, size_t bytes) -> uint64_t {  // a number of 2 or 4 bytes; 0 beyond the end
    if (at > tiff.size() || tiff.size() - at < bytes) return 0;
    uint64_t value = 0;
    for (size_t i = 0; i < bytes; ++i) value = value << 8 | tiff[at + (little ? bytes - 1 - i : i)];
    return value;
  };
  const uint64_t directory = word(4, 4), entries = word(directory, 2);
  for (uint64_t i = 0; i < entries; ++i) {
    const uint64_t entry = directory + 2 + 12 * i;
    if (word(entry, 2) != orientation_tag) continue;
    const uint64_t value = word(entry + 8, 2);
    return value >= 1 && value <= 8 ? static_cast<int>(value) : 1;
  }
  return 1;
}

// CMYK to RGB in place; Adobe's files hold the share of light that each ink lets through.
void convert_cmyk(Pixels& pixels, bool inverted) {
  const size_t count = pixels.bytes.size() / 4;
  for (size_t i = 0; i < count; ++i) {
    const uint8_t* cmyk = &pixels.bytes[4 * i];
    std::array<int, 4> light;
    for (size_t c = 0; c < 4; ++c) light[c] = inverted ? cmyk[c] : 255 - cmyk[c];
    for (size_t c = 0; c < 3; ++c) {
      pixels.bytes[3 * i + c] = static_cast<uint8_t>((light[c] * light[3] + 127) / 255);
    }
  }
  pixels.channels = 3;
  pixels.bytes.resize(3 * count);
}

}  // namespace

bool is_jpeg(std::span<const std::byte> bytes) {
  return bytes.size() >= 3 && bytes[0] == std::byte{0xff} && bytes[1] == std::byte{0xd8} && bytes[2] == std::byte{0xff};
}

Pixels decode_jpeg(std::span<const std::byte> bytes, const ImageOptions& options, const std::string& name) {
  Decoder decoder;
  jpeg_decompress_struct& info = decoder.info;
  const auto check = [&](bool done) {
    if (done) return;
    if (decoder.errors.msg_code == JERR_OUT_OF_MEMORY)
      throw OutOfMemory(fmt::format("{}: no memory to decode it", name));
    throw FormatError(fmt::format("{} is no JPEG that can be read: {}", name, decoder.message.data()));
  };
  check(guarded(decoder.jump, [&] {
    jpeg_create_decompress(&info);
    info.progress = &decoder.progress;
    jpeg_mem_src(&info, reinterpret_cast<const unsigned char*>(bytes.data()), bytes.size());
    if (options.exif_orientation) jpeg_save_markers(&info, exif_marker, 0xffff);
    jpeg_read_header(&info, TRUE);
  }));

  const int64_t width = info.image_width, height = info.image_height, total = width * height;
  if (total > options.max_pixels) {
    throw FormatError(fmt::format("{} is a JPEG of {} x {} pixels, at most {} in all expected", name, width, height,
                                  options.max_pixels));
  }
  if (total > std::ssize(bytes) * most_pixels_per_byte) {
    throw FormatError(
        fmt::format("{} is a JPEG of {} x {} pixels, more than {} bytes can hold", name, width, height, bytes.size()));
  }
  Pixels pixels;
  for (const jpeg_marker_struct* marker = info.marker_list; marker != nullptr; marker = marker->next) {
    if (pixels.orientation == 1) pixels.orientation = exif_orientation({marker->data, marker->data_length});
  }

  const bool ink = info.jpeg_color_space == JCS_CMYK || info.jpeg_color_space == JCS_YCCK;
  const bool gray = info.jpeg_color_space == JCS_GRAYSCALE ||
                    (info.jpeg_color_space == JCS_YCbCr && options.channels == Channels::gray);
  check(guarded(decoder.jump, [&] {
    info.out_color_space = ink ? JCS_CMYK : gray ? JCS_GRAYSCALE : JCS_RGB;
    info.scale_denom = 8;
    for (info.scale_num = 1; info.scale_num < 8; ++info.scale_num) {
      jpeg_calc_output_dimensions(&info);
      if (options.min_size > 0 && std::min<int64_t>(info.output_width, info.output_height) >= options.min_size) break;
    }
    jpeg_start_decompress(&info);
  }));
  pixels.channels = info.output_components;
  pixels.height = info.output_height;
  pixels.width = info.output_width;
  const auto row_bytes = static_cast<size_t>(pixels.channels * pixels.width);
  pixels.bytes.resize(row_bytes * static_cast<size_t>(pixels.height));
  check(guarded(decoder.jump, [&] {
    while (info.output_scanline < info.output_height) {
      JSAMPROW row = pixels.bytes.data() + info.output_scanline * row_bytes;
      jpeg_read_scanlines(&info, &row, 1);
    }
    jpeg_finish_decompress(&info);
  }));
  if (ink) convert_cmyk(pixels, info.saw_Adobe_marker != 0);
  return pixels;
}

}  // namespace dnn::detail
