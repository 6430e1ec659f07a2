// PNG: what there is of a picture is read into 8 bits a channel by libpng's own transformations. Chunks that do not
// change pixels (texts, profiles) are passed over unread, so a compressed text of gigabytes is never unpacked.
#include "data/png.h"

#include <fmt/format.h>
#include <png.h>

#include <algorithm>
#include <array>
#include <cstring>

#include "dnn/error.h"

namespace dnn::detail {

namespace {

// Deflate codes at best 258 bytes in 2 bits.
constexpr int64_t best_deflate_ratio = 1032;

// What libpng's callbacks know.
struct Context {
  std::jmp_buf jump{};
  std::array<char, 120> message{};
  std::span<const std::byte> unread{};
  std::vector<std::byte>* written = nullptr;

  // Called by libpng, which then must not go on.
  static void fail(png_structp png, png_const_charp message) {
    auto* context = static_cast<Context*>(png_get_error_ptr(png));
    std::strncpy(context->message.data(), message, context->message.size() - 1);
    std::longjmp(context->jump, 1);
  }
  static void ignore(png_structp, png_const_charp) {}
  static void read(png_structp png, png_bytep bytes, size_t count) {
    std::span<const std::byte>& unread = static_cast<Context*>(png_get_io_ptr(png))->unread;
    if (count > unread.size()) png_error(png, "it ends in the middle");
    std::memcpy(bytes, unread.data(), count);
    unread = unread.subspan(count);
  }
  static void write(png_structp png, png_bytep bytes, size_t count) {
    auto& written = *static_cast<Context*>(png_get_io_ptr(png))->written;
    bool full = false;
    try {
      const auto* begin = reinterpret_cast<const std::byte*>(bytes);
      written.insert(written.end(), begin, begin + count);
    } catch (const std::exception&) {
      full = true;
    }
    if (full) png_error(png, "no memory");
  }
  static void flush(png_structp) {}
};

// libpng's two structures; without memory for them the pointers are null.
struct Reader {
  explicit Reader(Context& context)
      : png(png_create_read_struct(PNG_LIBPNG_VER_STRING, &context, Context::fail, Context::ignore)),
        info(png != nullptr ? png_create_info_struct(png) : nullptr) {}
  ~Reader() { png_destroy_read_struct(&png, &info, nullptr); }
  Reader(const Reader&) = delete;
  Reader& operator=(const Reader&) = delete;

  png_structp png;
  png_infop info;
};

struct Writer {
  explicit Writer(Context& context)
      : png(png_create_write_struct(PNG_LIBPNG_VER_STRING, &context, Context::fail, Context::ignore)),
        info(png != nullptr ? png_create_info_struct(png) : nullptr) {}
  ~Writer() { png_destroy_write_struct(&png, &info); }
  Writer(const Writer&) = delete;
  Writer& operator=(const Writer&) = delete;

  png_structp png;
  png_infop info;
};

}  // namespace

bool is_png(std::span<const std::byte> bytes) {
  constexpr std::array<uint8_t, 8> signature{0x89, 'P', 'N', 'G', '\r', '\n', 0x1a, '\n'};
  return bytes.size() >= signature.size() && std::memcmp(bytes.data(), signature.data(), signature.size()) == 0;
}

Pixels decode_png(std::span<const std::byte> bytes, const ImageOptions& options, const std::string& name) {
  Context context;
  context.unread = bytes;
  Reader reader(context);
  png_structp png = reader.png;
  png_infop info = reader.info;
  if (info == nullptr) throw OutOfMemory("decode_image: no memory for decompressing");
  const auto check = [&](bool done) {
    if (!done) throw FormatError(fmt::format("{} is no PNG that can be read: {}", name, context.message.data()));
  };
  int depth = 0;
  check(guarded(context.jump, [&] {
    png_set_read_fn(png, &context, Context::read);
    png_set_keep_unknown_chunks(png, PNG_HANDLE_CHUNK_NEVER, nullptr, -1);
    png_read_info(png, info);
    depth = png_get_bit_depth(png, info);
    png_set_scale_16(png);
    png_set_expand(png);  // palettes, fewer than 8 bits, a transparent colour
    png_set_interlace_handling(png);
  }));

  Pixels pixels{.height = png_get_image_height(png, info), .width = png_get_image_width(png, info), .bytes = {}};
  if (pixels.height * pixels.width > options.max_pixels) {
    throw FormatError(fmt::format("{} is a PNG of {} x {} pixels, at most {} in all expected", name, pixels.width,
                                  pixels.height, options.max_pixels));
  }
  const int64_t bits = int64_t{depth} * png_get_channels(png, info);
  if (pixels.height * ((pixels.width * bits + 7) / 8) > std::ssize(bytes) * best_deflate_ratio) {
    throw FormatError(fmt::format("{} is a PNG of {} x {} pixels of {} bits, more than {} bytes can hold", name,
                                  pixels.width, pixels.height, bits, bytes.size()));
  }
  check(guarded(context.jump, [&] { png_read_update_info(png, info); }));
  pixels.channels = png_get_channels(png, info);
  const int64_t row_bytes = pixels.channels * pixels.width;
  pixels.bytes.resize(static_cast<size_t>(row_bytes * pixels.height));
  std::vector<png_bytep> rows(static_cast<size_t>(pixels.height));
  for (size_t y = 0; y < rows.size(); ++y) rows[y] = pixels.bytes.data() + y * static_cast<size_t>(row_bytes);
  check(guarded(context.jump, [&] {
    png_read_image(png, rows.data());
    png_read_end(png, nullptr);
  }));
  return pixels;
}

std::vector<std::byte> encode_png(const Pixels& pixels) {
  constexpr std::array types{PNG_COLOR_TYPE_GRAY, PNG_COLOR_TYPE_GRAY_ALPHA, PNG_COLOR_TYPE_RGB, PNG_COLOR_TYPE_RGBA};
  std::vector<std::byte> written;
  Context context;
  context.written = &written;
  Writer writer(context);
  png_structp png = writer.png;
  png_infop info = writer.info;
  if (info == nullptr) throw OutOfMemory("encode_png: no memory for compressing");
  const bool done = guarded(context.jump, [&] {
    png_set_write_fn(png, &context, Context::write, Context::flush);
    png_set_IHDR(png, info, static_cast<png_uint_32>(pixels.width), static_cast<png_uint_32>(pixels.height), 8,
                 types[static_cast<size_t>(pixels.channels - 1)], PNG_INTERLACE_NONE, PNG_COMPRESSION_TYPE_DEFAULT,
                 PNG_FILTER_TYPE_DEFAULT);
    png_write_info(png, info);
    const uint8_t* row = pixels.bytes.data();
    for (int64_t y = 0; y < pixels.height; ++y, row += pixels.width * pixels.channels) png_write_row(png, row);
    png_write_end(png, info);
  });
  if (!done) throw OutOfMemory(fmt::format("encode_png: {}", context.message.data()));
  return written;
}

}  // namespace dnn::detail
