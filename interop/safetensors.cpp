// Reading checks in three steps before a tensor is made: the header's length against the file, every value of the JSON
// as it streams by (no document is built, so a hostile header costs no more memory than its own bytes), then that the
// tensors tile the rest of the file without gap or overlap.
#include "dnn/interop/safetensors.h"

#include <fmt/format.h>

#include <algorithm>
#include <array>
#include <bit>
#include <cstring>
#include <nlohmann/json.hpp>
#include <optional>
#include <set>
#include <tuple>
#include <utility>
#include <vector>

#include "dnn/error.h"
#include "dnn/io.h"
#include "dnn/ops/factory.h"

namespace dnn {
namespace {

using nlohmann::json;

static_assert(std::endian::native == std::endian::little, "the elements are copied as they are");

constexpr int64_t max_header = 100'000'000;  // the reference implementation's limit
constexpr const char* metadata_key = "__metadata__";

// In the order in which a file holds them: falling alignment, so that each tensor is aligned for its elements.
constexpr std::array<std::pair<DType, const char*>, 8> dtypes{{{DType::int64, "I64"},
                                                               {DType::float64, "F64"},
                                                               {DType::float32, "F32"},
                                                               {DType::int32, "I32"},
                                                               {DType::bfloat16, "BF16"},
                                                               {DType::float16, "F16"},
                                                               {DType::uint8, "U8"},
                                                               {DType::boolean, "BOOL"}}};

// Bytes of a contiguous tensor on the CPU.
std::span<std::byte> bytes_of(const Tensor& t) {
  const auto span = [&]<class T>(T* data) {
    return std::as_writable_bytes(std::span(data, static_cast<size_t>(t.numel())));
  };
  switch (t.dtype()) {
    case DType::float64: return span(t.data<double>());
    case DType::float32: return span(t.data<float>());
    case DType::float16: return span(t.data<float16>());
    case DType::bfloat16: return span(t.data<bfloat16>());
    case DType::int64: return span(t.data<int64_t>());
    case DType::int32: return span(t.data<int32_t>());
    case DType::uint8: return span(t.data<uint8_t>());
    case DType::boolean: return span(t.data<bool>());
  }
  return {};
}

// A text of the file in an error message: quoted, escaped, short.
std::string in_quotes(const std::string& text) {
  constexpr size_t longest = 80;
  const std::string shown = text.size() > longest ? text.substr(0, longest) + "..." : text;
  return json(shown).dump(-1, ' ', true, json::error_handler_t::replace);
}

template <class... Args>
[[noreturn]] void fail(const std::string& path, fmt::format_string<Args...> format, Args&&... args) {
  throw FormatError(fmt::format("load_safetensors: {}: {}", path, fmt::format(format, std::forward<Args>(args)...)));
}

// One tensor as the header describes it; its bytes are [begin, end) behind the header.
struct Entry {
  std::string name;
  std::optional<DType> dtype{};
  std::optional<Shape> shape{};
  std::vector<int64_t> offsets{};

  int64_t begin() const { return offsets[0]; }
  int64_t end() const { return offsets[1]; }
};

// Receives the header's JSON token by token and lets nothing pass that does not belong there.
class HeaderReader : public nlohmann::json_sax<json> {
 public:
  explicit HeaderReader(const std::string& path) : path_(path) {}

  std::vector<Entry> entries;
  std::map<std::string, std::string> metadata;

  bool start_object(size_t) override {
    switch (place_) {
      case Place::start: place_ = Place::header; return true;
      case Place::header:
        place_ = key_ == metadata_key ? Place::metadata : Place::entry;
        if (place_ == Place::entry) entries.push_back({.name = key_});
        return true;
      default: unexpected("an object");
    }
  }

  bool key(std::string& key) override {
    key_ = key;
    if (place_ == Place::header && !names_.insert(key).second)
      fail(path_, "{} stands twice in the header", in_quotes(key));
    if (place_ == Place::metadata && metadata.count(key))
      fail(path_, "{} stands twice in the metadata", in_quotes(key));
    return true;
  }

  bool string(std::string& value) override {
    if (place_ == Place::metadata) {
      metadata[key_] = value;
      return true;
    }
    if (place_ != Place::entry || key_ != "dtype") unexpected("a text");
    Entry& entry = entries.back();
    if (entry.dtype) fail(path_, "tensor {} has two dtypes", in_quotes(entry.name));
    for (const auto& [dtype, name] : dtypes)
      if (value == name) entry.dtype = dtype;
    if (!entry.dtype)
      fail(path_, "tensor {} has dtype {}, expected F64, F32, F16, BF16, I64, I32, U8 or BOOL", in_quotes(entry.name),
           in_quotes(value));
    return true;
  }

  bool start_array(size_t) override {
    if (place_ != Place::entry) unexpected("an array");
    Entry& entry = entries.back();
    if (key_ == "shape") {
      if (entry.shape) fail(path_, "tensor {} has two shapes", in_quotes(entry.name));
      entry.shape.emplace();
      place_ = Place::shape;
    } else if (key_ == "data_offsets") {
      if (!entry.offsets.empty()) fail(path_, "tensor {} has two data_offsets", in_quotes(entry.name));
      place_ = Place::offsets;
    } else {
      unexpected("an array");
    }
    return true;
  }

  bool number_unsigned(uint64_t value) override {
    if (place_ != Place::shape && place_ != Place::offsets) unexpected("a number");
    Entry& entry = entries.back();
    if (value > uint64_t{INT64_MAX}) fail(path_, "tensor {} has a {} of {}", in_quotes(entry.name), key_, value);
    if (place_ == Place::offsets) {
      if (entry.offsets.size() == 2) fail(path_, "tensor {} has more than 2 data_offsets", in_quotes(entry.name));
      entry.offsets.push_back(static_cast<int64_t>(value));
    } else {
      if (entry.shape->rank() == Shape::max_rank)
        fail(path_, "tensor {} has more than {} dimensions", in_quotes(entry.name), Shape::max_rank);
      entry.shape->push_back(static_cast<int64_t>(value));
    }
    return true;
  }

  bool end_array() override {
    const Entry& entry = entries.back();
    if (place_ == Place::offsets && entry.offsets.size() != 2)
      fail(path_, "tensor {} has {} data_offsets, expected 2", in_quotes(entry.name), entry.offsets.size());
    place_ = Place::entry;
    return true;
  }

  bool end_object() override {
    if (place_ == Place::entry) {
      const Entry& entry = entries.back();
      if (!entry.dtype || !entry.shape || entry.offsets.empty())
        fail(path_, "tensor {} has no {}", in_quotes(entry.name),
             !entry.dtype   ? "dtype"
             : !entry.shape ? "shape"
                            : "data_offsets");
    }
    place_ = place_ == Place::header ? Place::start : Place::header;
    return true;
  }

  bool null() override { unexpected("null"); }
  bool boolean(bool) override { unexpected("a bool"); }
  bool number_integer(int64_t) override { unexpected("a negative number"); }
  bool number_float(double, const std::string&) override { unexpected("a fraction or a number beyond 64 bits"); }
  bool binary(binary_t&) override { unexpected("binary data"); }
  bool parse_error(size_t position, const std::string&, const nlohmann::detail::exception&) override {
    fail(path_, "header is no valid JSON (at byte {} of it)", position);
  }

 private:
  enum class Place { start, header, metadata, entry, shape, offsets };

  [[noreturn]] void unexpected(const char* what) const {
    switch (place_) {
      case Place::start: fail(path_, "header is {}, expected an object", what);
      case Place::header: fail(path_, "{} is {}, expected an object", in_quotes(key_), what);
      case Place::metadata: fail(path_, "metadata {} is {}, expected a text", in_quotes(key_), what);
      default:
        fail(path_, "tensor {} has {} in {}, expected dtype (a text), shape and data_offsets (arrays of sizes)",
             in_quotes(entries.back().name), what, in_quotes(key_));
    }
  }

  const std::string& path_;
  Place place_ = Place::start;
  std::string key_;
  std::set<std::string> names_;
};

// Checks that every tensor has the bytes that its shape asks for, and that all together they are `total` bytes, each
// belonging to one tensor. Sorts by position.
void check_tiling(std::vector<Entry>& entries, int64_t total, const std::string& path) {
  std::sort(entries.begin(), entries.end(), [](const Entry& a, const Entry& b) { return a.offsets < b.offsets; });
  int64_t position = 0;
  for (const Entry& entry : entries) {
    int64_t bytes = static_cast<int64_t>(size_of(*entry.dtype));
    bool empty = false, overflow = false;
    for (const int64_t size : *entry.shape) {
      empty |= size == 0;
      overflow |= __builtin_mul_overflow(bytes, std::max<int64_t>(size, 1), &bytes);
    }
    if (overflow) fail(path, "tensor {} of shape {} is too large", in_quotes(entry.name), entry.shape->str());
    if (empty) bytes = 0;
    if (entry.begin() != position)
      fail(path, "tensor {} begins at byte {}, expected {} (there must be no gap and no overlap)",
           in_quotes(entry.name), entry.begin(), position);
    if (entry.end() < entry.begin() || entry.end() - entry.begin() != bytes)
      fail(path, "tensor {} has data_offsets [{}, {}], expected {} bytes ({} {})", in_quotes(entry.name), entry.begin(),
           entry.end(), bytes, name_of(*entry.dtype), entry.shape->str());
    position = entry.end();
  }
  if (position != total) fail(path, "tensors take {} bytes, {} follow the header", position, total);
}

Tensor read_tensor(const InputFile& file, int64_t data_start, const Entry& entry, const std::string& path) {
  Tensor t = empty(*entry.shape, {.dtype = *entry.dtype});
  const std::span<std::byte> bytes = bytes_of(t);
  file.read(data_start + entry.begin(), bytes);
  if (*entry.dtype == DType::boolean)
    for (const std::byte b : bytes)
      if (b > std::byte{1})
        fail(path, "tensor {} has a bool of value {}", in_quotes(entry.name), std::to_integer<int>(b));
  return t;
}

// A file of PyTorch's own begins as a zip archive, an older one as a pickle of protocol 2; read as lengths, both are
// far beyond any header.
void refuse_torch_file(uint64_t first_bytes, const std::string& path) {
  const bool zip = (first_bytes & 0xffffffff) == 0x04034b50, pickle = (first_bytes & 0xffff) == 0x0280;
  if (!zip && !pickle) return;
  fail(path,
       "it is {}, as torch.save writes it, expected safetensors; to convert the file of a state dict: "
       "python3 -c \"import torch, safetensors.torch as s; s.save_file({{k: v.contiguous().clone() for k, v in "
       "torch.load('FILE.pt', map_location='cpu').items()}}, 'FILE.safetensors')\"",
       zip ? "a zip archive" : "a pickle");
}

Safetensors read(const InputFile& file, const std::string& path, Device device) {
  if (file.size() < 8) fail(path, "file has {} bytes, too short for a header", file.size());
  uint64_t length = 0;
  file.read(0, std::as_writable_bytes(std::span(&length, 1)));
  if (length > static_cast<uint64_t>(std::min(max_header, file.size() - 8))) {
    refuse_torch_file(length, path);
    fail(path, "header claims {} bytes (the file has {}, a header at most {})", length, file.size(), max_header);
  }
  std::string text(length, '\0');
  file.read(8, std::as_writable_bytes(std::span(text)));
  if (text.empty() || text[0] != '{') fail(path, "header does not begin with '{{'");
  if (text.find('\0') != std::string::npos) fail(path, "header has a zero byte");  // the parser would stop there

  HeaderReader header(path);
  json::sax_parse(text, &header);
  const int64_t data_start = 8 + static_cast<int64_t>(length);
  check_tiling(header.entries, file.size() - data_start, path);
  Safetensors result{.tensors = {}, .metadata = std::move(header.metadata)};
  for (const Entry& entry : header.entries)
    result.tensors.insert(entry.name, read_tensor(file, data_start, entry, path).to(device));
  return result;
}

std::string json_text(const std::string& text) {
  try {
    return json(text).dump();
  } catch (const json::type_error&) {
    throw ArgumentError(fmt::format("save_safetensors: {} is not UTF-8", in_quotes(text)));
  }
}

size_t rank_of(DType dtype) {
  return static_cast<size_t>(std::find_if(dtypes.begin(), dtypes.end(), [&](auto& d) { return d.first == dtype; }) -
                             dtypes.begin());
}

// The tensors in the order of the file: by element type, then by name.
std::vector<StateDict::Entry> file_order(const StateDict& tensors) {
  std::vector<StateDict::Entry> ordered;
  for (const auto& [name, t] : tensors) {
    if (!t.defined()) throw ArgumentError(fmt::format("save_safetensors: tensor {} is undefined", in_quotes(name)));
    if (name == metadata_key) throw ArgumentError("save_safetensors: no tensor can be called \"__metadata__\"");
    ordered.push_back({name, t.detach()});
  }
  std::sort(ordered.begin(), ordered.end(), [](const auto& a, const auto& b) {
    return std::pair(rank_of(a.tensor.dtype()), a.name) < std::pair(rank_of(b.tensor.dtype()), b.name);
  });
  return ordered;
}

std::string header_text(const std::vector<StateDict::Entry>& tensors,
                        const std::map<std::string, std::string>& metadata) {
  std::vector<std::string> items, texts;
  for (const auto& [key, value] : metadata) texts.push_back(json_text(key) + ":" + json_text(value));
  if (!texts.empty()) items.push_back(fmt::format("\"{}\":{{{}}}", metadata_key, fmt::join(texts, ",")));
  int64_t position = 0;
  for (const auto& [name, t] : tensors) {
    const int64_t end = position + t.numel() * static_cast<int64_t>(size_of(t.dtype()));
    items.push_back(fmt::format(R"({}:{{"dtype":"{}","shape":[{}],"data_offsets":[{},{}]}})", json_text(name),
                                dtypes[rank_of(t.dtype())].second, fmt::join(t.shape(), ","), position, end));
    position = end;
  }
  std::string text = fmt::format("{{{}}}", fmt::join(items, ","));
  text.resize((text.size() + 7) / 8 * 8, ' ');
  if (static_cast<int64_t>(text.size()) > max_header)
    throw ArgumentError(
        fmt::format("save_safetensors: header has {} bytes, at most {} expected", text.size(), max_header));
  return text;
}

}  // namespace

void save_safetensors(const std::string& path, const StateDict& tensors,
                      const std::map<std::string, std::string>& metadata) {
  const auto ordered = file_order(tensors);
  const std::string header = header_text(ordered, metadata);
  write_atomically(path, [&](OutputFile& file) {
    const uint64_t length = header.size();
    file.write(std::as_bytes(std::span(&length, 1)));
    file.write(header);
    for (const auto& [name, t] : ordered) file.write(bytes_of(t.to(Device::cpu()).contiguous()));
  });
}

Safetensors load_safetensors(const std::string& path, Device device) {
  return read(*file_system().open(path), path, device);
}

Safetensors parse_safetensors(std::span<const std::byte> bytes, const std::string& name, Device device) {
  return read(MemoryFile(bytes), name, device);
}

}  // namespace dnn
