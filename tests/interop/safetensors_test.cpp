// The safetensors format: byte for byte the reference implementation's files, and no harm from any other bytes.
#include "dnn/interop/safetensors.h"

#include <gmock/gmock.h>

#include <cstring>
#include <limits>
#include <random>

#include "dnn/ops/factory.h"
#include "tests/core/failing_file_system.h"

namespace dnn {
namespace {

using test::contents;
using test::FailingFileSystem;
using test::TemporaryFolder;
using testing::HasSubstr;
using testing::ThrowsMessage;

// What safetensors_reference.py prints.
constexpr std::string_view reference_header =
    R"({"__metadata__":{"format":"pt"},"step":{"dtype":"I64","shape":[],"data_offsets":[0,8]},)"
    R"("dbl":{"dtype":"F64","shape":[1,1],"data_offsets":[8,16]},)"
    R"("b.weight":{"dtype":"F32","shape":[2,3],"data_offsets":[16,40]},)"
    R"("none":{"dtype":"F32","shape":[0,5],"data_offsets":[40,40]},)"
    "\"quote\\\"\\\\\xc3\xbc\\n\\u0001\":{\"dtype\":\"F32\",\"shape\":[1],\"data_offsets\":[40,44]},"
    R"("idx":{"dtype":"I32","shape":[2],"data_offsets":[44,52]},)"
    R"("brain":{"dtype":"BF16","shape":[1],"data_offsets":[52,54]},)"
    R"("half":{"dtype":"F16","shape":[2],"data_offsets":[54,58]},)"
    R"("bytes":{"dtype":"U8","shape":[4],"data_offsets":[58,62]},)"
    R"("a.flag":{"dtype":"BOOL","shape":[3],"data_offsets":[62,65]}}    )";
constexpr std::string_view reference_data =
    "f9ffffffffffffff9a9999999999b93f0000803f0000004000004040000080c00000003f0000c0400000104103000000fdffffff803f003c00"
    "c00001feff010001";

std::string from_hex(std::string_view hex) {
  std::string bytes;
  for (size_t i = 0; i < hex.size(); i += 2)
    bytes += static_cast<char>(std::stoi(std::string(hex.substr(i, 2)), nullptr, 16));
  return bytes;
}

// A file with that header and those elements; `length` replaces the true length of the header.
std::string file_of(std::string_view header, std::string_view data = {}, int64_t length = -1) {
  const uint64_t claimed = length < 0 ? header.size() : static_cast<uint64_t>(length);
  std::string bytes(8, '\0');
  std::memcpy(bytes.data(), &claimed, 8);
  bytes += header;
  return bytes.append(data);
}

Safetensors parse(const std::string& bytes) { return parse_safetensors(std::as_bytes(std::span(bytes)), "x"); }

StateDict reference_tensors() {
  return {{"b.weight", tensor({1, 2, 3, -4, 0.5, 6}, {2, 3})},
          {"a.flag", tensor({1, 0, 1}, {3}, {.dtype = DType::boolean})},
          {"half", tensor({1, -2}, {2}, {.dtype = DType::float16})},
          {"brain", tensor({1}, {1}, {.dtype = DType::bfloat16})},
          {"step", tensor({-7}, {}, {.dtype = DType::int64})},
          {"idx", tensor({3, -3}, {2}, {.dtype = DType::int32})},
          {"bytes", tensor({0, 1, 254, 255}, {4}, {.dtype = DType::uint8})},
          {"dbl", tensor({0.1}, {1, 1}, {.dtype = DType::float64})},
          {"none", zeros({0, 5})},
          {"quote\"\\\xc3\xbc\n\x01", tensor({9})}};
}

TEST(Safetensors, WritesTheReferenceFile) {
  const TemporaryFolder folder;
  save_safetensors(folder / "x", reference_tensors(), {{"format", "pt"}});
  EXPECT_EQ(contents(folder / "x"), file_of(reference_header, from_hex(reference_data)));
  EXPECT_EQ(folder.count(), 1);
}

TEST(Safetensors, ReadsTheReferenceFile) {
  const Safetensors file = parse(file_of(reference_header, from_hex(reference_data)));
  const StateDict expected = reference_tensors();
  ASSERT_EQ(file.tensors.size(), expected.size());
  for (const auto& [name, t] : expected) {
    const Tensor& got = file.tensors.at(name);
    EXPECT_EQ(got.dtype(), t.dtype()) << name;
    EXPECT_EQ(got.shape(), t.shape()) << name;
    EXPECT_EQ(got.to(DType::float64).to_vector<double>(), t.to(DType::float64).to_vector<double>()) << name;
  }
  EXPECT_EQ(file.metadata, (std::map<std::string, std::string>{{"format", "pt"}}));
}

TEST(Safetensors, RoundTripKeepsEveryByte) {
  const TemporaryFolder folder;
  const float nan = std::numeric_limits<float>::quiet_NaN();
  const StateDict tensors{{"nan", from_values<float>({nan, -0.0f, 1e-45f, INFINITY}, {4})},
                          {"view", tensor({1, 2, 3, 4, 5, 6}, {2, 3}).t()},
                          {"part", arange(0, 10).slice(0, 1, 9, 3)},
                          {"grad", tensor({1, 2}).set_requires_grad()}};
  save_safetensors(folder / "a", tensors, {{"b", "2"}, {"a", "\xe2\x82\xac"}, {"", ""}});
  const Safetensors file = load_safetensors(folder / "a");
  EXPECT_EQ(file.tensors.at("view").to_vector<float>(), (std::vector<float>{1, 4, 2, 5, 3, 6}));
  EXPECT_EQ(file.tensors.at("part").to_vector<int64_t>(), (std::vector<int64_t>{1, 4, 7}));
  EXPECT_FALSE(file.tensors.at("grad").requires_grad());
  save_safetensors(folder / "b", file.tensors, file.metadata);
  EXPECT_EQ(contents(folder / "a"), contents(folder / "b"));
}

TEST(Safetensors, WritesAnEmptyFile) {
  const TemporaryFolder folder;
  save_safetensors(folder / "x", {});
  EXPECT_EQ(contents(folder / "x"), file_of("{}      "));  // as the reference implementation does
  EXPECT_TRUE(load_safetensors(folder / "x").tensors.empty());
}

TEST(Safetensors, RefusesWhatCannotBeWritten) {
  const TemporaryFolder folder;
  const auto save = [&](const std::string& name, const Tensor& t, const std::string& text) {
    save_safetensors(folder / "x", {{name, t}}, {{"text", text}});
  };
  EXPECT_THAT([&] { save("a", Tensor(), ""); },
              ThrowsMessage<ArgumentError>("save_safetensors: tensor \"a\" is undefined"));
  EXPECT_THAT([&] { save("__metadata__", zeros({1}), ""); },
              ThrowsMessage<ArgumentError>("save_safetensors: no tensor can be called \"__metadata__\""));
  EXPECT_THAT([&] { save("a\xff", zeros({1}), ""); },
              ThrowsMessage<ArgumentError>("save_safetensors: \"a\\ufffd\" is not UTF-8"));
  EXPECT_THAT([&] { save("a", zeros({1}), "\xc3"); },
              ThrowsMessage<ArgumentError>("save_safetensors: \"\\ufffd\" is not UTF-8"));
  EXPECT_THAT([&] { save("a", zeros({1}), std::string(100'000'000, 'x')); },
              ThrowsMessage<ArgumentError>("save_safetensors: header has 100000088 bytes, at most 100000000 expected"));
  EXPECT_EQ(folder.count(), 0);
}

TEST(Safetensors, FailingFileSystemLeavesTheFileBefore) {
  const TemporaryFolder folder;
  save_safetensors(folder / "x", {{"a", ones({3})}});
  const std::string before = contents(folder / "x");
  int operations = 0;
  {
    FailingFileSystem counting(-1);
    save_safetensors(folder / "x", {{"a", ones({3})}});
    operations = counting.count();
  }
  for (int k = 0; k + 1 < operations; ++k) {  // the last one is the sync of the folder
    FailingFileSystem failing(k);
    EXPECT_THROW(save_safetensors(folder / "x", {{"a", zeros({5})}, {"b", zeros({5})}}), IoError);
    EXPECT_EQ(contents(folder / "x"), before);
    EXPECT_EQ(folder.count(), 1);
  }
  for (int k = 0; k < 4; ++k) {  // open, length, header, tensor
    FailingFileSystem failing(k);
    EXPECT_THROW(load_safetensors(folder / "x"), IoError);
  }
  EXPECT_THROW(load_safetensors(folder / "missing"), IoError);
}

struct BadFile {
  const char* name;
  std::string bytes;
  const char* message;  // after "load_safetensors: x: "
};

std::ostream& operator<<(std::ostream& stream, const BadFile& file) { return stream << file.name; }

class BadSafetensors : public testing::TestWithParam<BadFile> {};

TEST_P(BadSafetensors, IsRefused) {
  EXPECT_THAT([] { parse(GetParam().bytes); },
              ThrowsMessage<FormatError>(std::string("load_safetensors: x: ") + GetParam().message));
}

// One tensor "a" with these fields, and that many bytes.
std::string one(const std::string& fields, size_t bytes) {
  return file_of("{\"a\":{" + fields + "}}", std::string(bytes, '\0'));
}
std::string shaped(const std::string& shape, const std::string& offsets, size_t bytes) {
  return one(R"("dtype":"F32","shape":)" + shape + R"(,"data_offsets":)" + offsets, bytes);
}
std::string two(const std::string& a, const std::string& b, size_t bytes) {
  return file_of(R"({"a":{"dtype":"F32","shape":[2],"data_offsets":)" + a +
                     R"(},"b":{"dtype":"F32","shape":[2],"data_offsets":)" + b + "}}",
                 std::string(bytes, '\0'));
}

const char* const fields_expected = ", expected dtype (a text), shape and data_offsets (arrays of sizes)";
std::string misplaced(const std::string& text) { return text + fields_expected; }
const std::string number_in_dtype = misplaced("tensor \"a\" has a number in \"dtype\"");
const std::string text_in_extra = misplaced("tensor \"a\" has a text in \"extra\"");
const std::string text_in_shape = misplaced("tensor \"a\" has a text in \"shape\"");
const std::string array_in_shape = misplaced("tensor \"a\" has an array in \"shape\"");
const std::string object_in_shape = misplaced("tensor \"a\" has an object in \"shape\"");
const std::string array_in_dtype = misplaced("tensor \"a\" has an array in \"dtype\"");
const std::string null_in_shape = misplaced("tensor \"a\" has null in \"shape\"");
const std::string bool_in_offsets = misplaced("tensor \"a\" has a bool in \"data_offsets\"");
const std::string negative_in_shape = misplaced("tensor \"a\" has a negative number in \"shape\"");
const std::string huge_in_shape = misplaced("tensor \"a\" has a fraction or a number beyond 64 bits in \"shape\"");
const std::string long_name = "\"" + std::string(80, 'n') + "...\" is a text, expected an object";

INSTANTIATE_TEST_SUITE_P(
    Safetensors, BadSafetensors,
    testing::Values(BadFile{"empty", "", "file has 0 bytes, too short for a header"},
                    BadFile{"short", "1234567", "file has 7 bytes, too short for a header"},
                    BadFile{"no_header", file_of(""), "header does not begin with '{'"},
                    BadFile{"header_beyond_the_file", file_of("{}", "", 3),
                            "header claims 3 bytes (the file has 10, a header at most 100000000)"},
                    BadFile{"header_of_2_64", file_of("{}", "", -1).replace(0, 8, 8, '\xff'),
                            "header claims 18446744073709551615 bytes (the file has 10, a header at most 100000000)"},
                    BadFile{"no_object", file_of("[]"), "header does not begin with '{'"},
                    BadFile{"leading_space", file_of(" {}"), "header does not begin with '{'"},
                    BadFile{"zero_byte", file_of(std::string_view("{}\0\0", 4)), "header has a zero byte"},
                    BadFile{"cut_json", file_of("{\"a\":"), "header is no valid JSON (at byte 6 of it)"},
                    BadFile{"two_documents", file_of("{}{}"), "header is no valid JSON (at byte 3 of it)"},
                    BadFile{"no_utf8", file_of("{\"\xff\":1}"), "header is no valid JSON (at byte 3 of it)"},
                    BadFile{"tensor_is_text", file_of(R"({"a":"b"})"), "\"a\" is a text, expected an object"},
                    BadFile{"tensor_is_null", file_of(R"({"a":null})"), "\"a\" is null, expected an object"},
                    BadFile{"tensor_is_array", file_of(R"({"a":[[[[]]]]})"), "\"a\" is an array, expected an object"},
                    BadFile{"long_name", file_of("{\"" + std::string(90, 'n') + "\":\"\"}"), long_name.c_str()},
                    BadFile{"metadata_number", file_of(R"({"__metadata__":{"k":1}})"),
                            "metadata \"k\" is a number, expected a text"},
                    BadFile{"metadata_object", file_of(R"({"__metadata__":{"k":{}}})"),
                            "metadata \"k\" is an object, expected a text"},
                    BadFile{"metadata_twice", file_of(R"({"__metadata__":{},"__metadata__":{}})"),
                            "\"__metadata__\" stands twice in the header"},
                    BadFile{"metadata_key_twice", file_of(R"({"__metadata__":{"k":"1","k":"1"}})"),
                            "\"k\" stands twice in the metadata"},
                    BadFile{"no_dtype", one(R"("shape":[1],"data_offsets":[0,4])", 4), "tensor \"a\" has no dtype"},
                    BadFile{"no_shape", one(R"("dtype":"F32","data_offsets":[0,4])", 4), "tensor \"a\" has no shape"},
                    BadFile{"no_offsets", one(R"("dtype":"F32","shape":[1])", 4), "tensor \"a\" has no data_offsets"},
                    BadFile{"unknown_dtype", one(R"("dtype":"I16","shape":[1],"data_offsets":[0,2])", 2),
                            "tensor \"a\" has dtype \"I16\", expected F64, F32, F16, BF16, I64, I32, U8 or BOOL"},
                    BadFile{"number_as_dtype", one(R"("dtype":1)", 0), number_in_dtype.c_str()},
                    BadFile{"array_as_dtype", one(R"("dtype":["F32"])", 0), array_in_dtype.c_str()},
                    BadFile{"two_dtypes", one(R"("dtype":"F32","dtype":"F32")", 0), "tensor \"a\" has two dtypes"},
                    BadFile{"two_shapes", one(R"("shape":[1],"shape":[1])", 0), "tensor \"a\" has two shapes"},
                    BadFile{"two_offsets", one(R"("data_offsets":[0,4],"data_offsets":[0,4])", 0),
                            "tensor \"a\" has two data_offsets"},
                    BadFile{"extra_field", one(R"("extra":"x")", 0), text_in_extra.c_str()},
                    BadFile{"text_in_shape", shaped(R"(["1"])", "[0,4]", 4), text_in_shape.c_str()},
                    BadFile{"array_in_shape", shaped("[[1]]", "[0,4]", 4), array_in_shape.c_str()},
                    BadFile{"object_in_shape", shaped("[{}]", "[0,4]", 4), object_in_shape.c_str()},
                    BadFile{"null_in_shape", shaped("[null]", "[0,4]", 4), null_in_shape.c_str()},
                    BadFile{"negative_size", shaped("[-1]", "[0,4]", 4), negative_in_shape.c_str()},
                    BadFile{"fraction_in_shape", shaped("[1.0]", "[0,4]", 4), huge_in_shape.c_str()},
                    BadFile{"size_of_2_64", shaped("[18446744073709551616]", "[0,4]", 4), huge_in_shape.c_str()},
                    BadFile{"size_of_2_63", shaped("[9223372036854775808]", "[0,4]", 4),
                            "tensor \"a\" has a shape of 9223372036854775808"},
                    BadFile{"offset_of_2_63", shaped("[1]", "[0,9223372036854775808]", 4),
                            "tensor \"a\" has a data_offsets of 9223372036854775808"},
                    BadFile{"bool_in_offsets", shaped("[1]", "[true]", 4), bool_in_offsets.c_str()},
                    BadFile{"nine_dimensions", shaped("[1,1,1,1,1,1,1,1,1]", "[0,4]", 4),
                            "tensor \"a\" has more than 8 dimensions"},
                    BadFile{"no_offset", shaped("[1]", "[]", 4), "tensor \"a\" has 0 data_offsets, expected 2"},
                    BadFile{"one_offset", shaped("[1]", "[0]", 4), "tensor \"a\" has 1 data_offsets, expected 2"},
                    BadFile{"three_offsets", shaped("[1]", "[0,2,4]", 4), "tensor \"a\" has more than 2 data_offsets"},
                    BadFile{"overflow", shaped("[4294967296,4294967296]", "[0,0]", 0),
                            "tensor \"a\" of shape [4294967296, 4294967296] is too large"},
                    BadFile{"overflow_to_zero", shaped("[4611686018427387904]", "[0,0]", 0),
                            "tensor \"a\" of shape [4611686018427387904] is too large"},
                    BadFile{"overflow_beside_zero", shaped("[0,9223372036854775807]", "[0,0]", 0),
                            "tensor \"a\" of shape [0, 9223372036854775807] is too large"},
                    BadFile{"lies_about_size", shaped("[1000000000]", "[0,4000000000]", 4),
                            "tensors take 4000000000 bytes, 4 follow the header"},
                    BadFile{"too_few_bytes_for_shape", shaped("[2]", "[0,4]", 4),
                            "tensor \"a\" has data_offsets [0, 4], expected 8 bytes (float32 [2])"},
                    BadFile{"reversed", shaped("[1]", "[0,0]", 0),
                            "tensor \"a\" has data_offsets [0, 0], expected 4 bytes (float32 [1])"},
                    BadFile{"hole_at_front", shaped("[1]", "[4,8]", 8),
                            "tensor \"a\" begins at byte 4, expected 0 (there must be no gap and no overlap)"},
                    BadFile{"gap", two("[0,8]", "[12,20]", 20),
                            "tensor \"b\" begins at byte 12, expected 8 (there must be no gap and no overlap)"},
                    BadFile{"overlap", two("[0,8]", "[4,12]", 12),
                            "tensor \"b\" begins at byte 4, expected 8 (there must be no gap and no overlap)"},
                    BadFile{"same_bytes", two("[0,8]", "[0,8]", 8),
                            "tensor \"b\" begins at byte 0, expected 8 (there must be no gap and no overlap)"},
                    BadFile{"truncated", two("[0,8]", "[8,16]", 15), "tensors take 16 bytes, 15 follow the header"},
                    BadFile{"trailing", two("[0,8]", "[8,16]", 17), "tensors take 16 bytes, 17 follow the header"},
                    BadFile{"name_twice", file_of(R"({"a":{"dtype":"U8","shape":[0],"data_offsets":[0,0]},"a":{}})"),
                            "\"a\" stands twice in the header"},
                    BadFile{"bool_of_2",
                            file_of(R"({"a":{"dtype":"BOOL","shape":[2],"data_offsets":[0,2]}})", "\x01\x02"),
                            "tensor \"a\" has a bool of value 2"}),
    [](const auto& info) { return info.param.name; });

TEST(Safetensors, RefusesAHeaderAboveTheLimit) {
  EXPECT_THAT(
      [] { parse(file_of("{" + std::string(100'000'000, ' ') + "}")); },
      ThrowsMessage<FormatError>("load_safetensors: x: header claims 100000002 bytes (the file has 100000010, a "
                                 "header at most 100000000)"));
}

TEST(Safetensors, ReadsTensorsInAnyOrderOfTheHeader) {
  const Safetensors file = parse(two("[8,16]", "[0,8]", 16));
  EXPECT_EQ(file.tensors.size(), 2u);
}

// Whatever is done to a file, reading it gives tensors or a FormatError.
TEST(Safetensors, MutationsNeverCrash) {
  const std::string original = file_of(reference_header, from_hex(reference_data));
  const std::string alphabet = "{}[]\",:0123456789-.eEtrufalsnBFI\\ \x80\xff";
  std::mt19937_64 random(1);
  const auto below = [&](size_t n) { return static_cast<size_t>(random() % n); };
  int readable = 0;
  for (int round = 0; round < 10'000; ++round) {
    std::string bytes = original;
    for (size_t changes = 1 + below(4); changes > 0 && !bytes.empty(); --changes) {
      const size_t at = below(bytes.size()), count = 1 + below(20);
      switch (below(7)) {
        case 0: bytes[at] = static_cast<char>(random()); break;
        case 1: bytes[at] = alphabet[below(alphabet.size())]; break;
        case 2: bytes.resize(at); break;
        case 3: bytes.erase(at, count); break;
        case 4: bytes.insert(at, bytes.substr(below(bytes.size()), count)); break;
        case 5: bytes.insert(at, std::to_string(random() >> below(64))); break;
        default: bytes[below(std::min<size_t>(bytes.size(), 8))] ^= static_cast<char>(1 << below(8));
      }
    }
    if (bytes.size() >= 8 && below(2) == 0) {  // let the change reach the JSON behind a length that fits again
      const size_t end = bytes.rfind('}');
      const uint64_t length = end == std::string::npos || end < 8 ? 0 : end + 1 - 8;
      std::memcpy(bytes.data(), &length, 8);
    }
    try {
      const Safetensors file = parse(bytes);
      size_t held = 0;
      for (const auto& [name, t] : file.tensors) held += static_cast<size_t>(t.numel()) * size_of(t.dtype());
      EXPECT_LE(held, bytes.size());
      ++readable;
    } catch (const FormatError&) {
    }
  }
  EXPECT_GT(readable, 10);  // else the mutations are too wild to reach anything
}

}  // namespace
}  // namespace dnn
