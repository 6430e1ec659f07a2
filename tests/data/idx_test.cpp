// The IDX reader: all element types, raw and compressed, and what happens with files that are damaged or lie.
#include "dnn/data/idx.h"

#include <bit>
#include <cstring>

#include "tests/data/support.h"

namespace dnn::test {
namespace {

class Idx : public testing::Test {
 protected:
  std::string file(const std::string& bytes) {
    const std::string path = folder_ / "file";
    write_file(path, bytes);
    return path;
  }
  Tensor read(const std::string& bytes) { return read_idx(file(bytes)); }
  void expect_error(const std::string& bytes, const std::string& text) {
    EXPECT_THAT([&] { read(bytes); }, ThrowsMessage<FormatError>(AllOf(HasSubstr(folder_ / "file"), HasSubstr(text))));
  }

  TemporaryFolder folder_;
};

TEST_F(Idx, ReadsEveryElementType) {
  EXPECT_EQ(read(idx(0x08, {3}, "\x01\x7f\xff")).to_vector<uint8_t>(), (std::vector<uint8_t>{1, 127, 255}));
  EXPECT_EQ(read(idx(0x09, {2}, "\x7f\xff")).to_vector<int32_t>(), (std::vector<int32_t>{127, -1}));
  EXPECT_EQ(read(idx(0x0b, {2}, {'\x01', '\x02', '\xff', '\xfe'})).to_vector<int32_t>(),
            (std::vector<int32_t>{258, -2}));
  EXPECT_EQ(read(idx(0x0c, {2}, big_endian(70000) + big_endian(0xffffffff))).to_vector<int32_t>(),
            (std::vector<int32_t>{70000, -1}));
  EXPECT_EQ(read(idx(0x0d, {1}, big_endian(std::bit_cast<uint32_t>(-1.5f)))).to_vector<float>(),
            (std::vector<float>{-1.5f}));
  EXPECT_EQ(read(idx(0x0e, {1}, big_endian(0x3ff80000) + big_endian(0))).to_vector<double>(),
            (std::vector<double>{1.5}));
}

TEST_F(Idx, ReadsShapes) {
  EXPECT_EQ(read(idx(0x08, {2, 3}, "abcdef")).shape(), (Shape{2, 3}));
  EXPECT_EQ(read(idx(0x08, {1, 1, 1, 1, 1, 1, 1, 2}, "ab")).shape(), (Shape{1, 1, 1, 1, 1, 1, 1, 2}));
  EXPECT_EQ(read(idx(0x08, {0, 28, 28}, "")).shape(), (Shape{0, 28, 28}));
}

TEST_F(Idx, ReadsGzip) {
  std::string elements(200000, '\0');  // several chunks
  for (size_t i = 0; i < elements.size(); ++i) elements[i] = static_cast<char>(i * i % 251);
  const std::string raw = idx(0x08, {200, 1000}, elements);
  const Tensor plain = read(raw), compressed = read(gzip(raw));
  EXPECT_EQ(compressed.shape(), (Shape{200, 1000}));
  EXPECT_EQ(plain.to_vector<uint8_t>(), compressed.to_vector<uint8_t>());
  const Tensor two_members = read(gzip(raw.substr(0, 100)) + gzip(raw.substr(100)));
  EXPECT_EQ(plain.to_vector<uint8_t>(), two_members.to_vector<uint8_t>());
}

TEST_F(Idx, MissingFileIsAnIoError) {
  EXPECT_THAT([&] { read_idx(folder_ / "missing"); }, ThrowsMessage<IoError>(HasSubstr(folder_ / "missing")));
  EXPECT_THROW(read_idx(folder_.path()), IoError);
}

TEST_F(Idx, RejectsWrongHeaders) {
  expect_error("", "ends in its header, after 0 of 4 bytes");
  expect_error(std::string("\0\0\x08", 3), "ends in its header, after 3 of 4 bytes");
  expect_error(idx(0x08, {2, 2}, "").substr(0, 9), "ends in its header, after 5 of 8 bytes");
  expect_error("PK\x03\x04", "is no IDX file, it begins with 0x504b0304");
  expect_error(idx(0x0a, {1}, "a"), "element type 0x0a is unknown, expected 0x08, 0x09 or 0x0b to 0x0e");
  expect_error(idx(0x08, {}, "a"), "has 0 dimensions, expected 1 to 8");
  expect_error(idx(0x08, {1, 1, 1, 1, 1, 1, 1, 1, 1}, "a"), "has 9 dimensions, expected 1 to 8");
}

TEST_F(Idx, RejectsWrongSizes) {
  expect_error(idx(0x08, {2, 3}, "abcde"), "uint8 [2, 3] is 6 bytes, more than 17 bytes of file can hold");
  expect_error(idx(0x08, {2, 3}, "abcdefg"), "uint8 [2, 3] is 6 bytes, but more bytes follow");
  expect_error(idx(0x0e, {0xffffffff, 0xffffffff}, "abc"), "float64 [4294967295, 4294967295] does not fit 64 bits");
  expect_error(idx(0x08, {0xffffffff, 0xffffffff, 0xffffffff, 0}, ""), "does not fit 64 bits");
  expect_error(idx(0x0c, {0x7fffffff}, "abc"),
               "int32 [2147483647] is 8589934588 bytes, more than 11 bytes of file can hold");
}

TEST_F(Idx, RejectsWrongGzip) {
  const std::string raw = idx(0x08, {2, 3}, "abcdef");
  const std::string good = gzip(raw);
  expect_error(good.substr(0, good.size() / 2), "ends in the middle of its compressed data");
  expect_error(good.substr(0, good.size() - 1), "ends in the middle of its compressed data");
  std::string wrong_sum = good;
  wrong_sum[good.size() - 8] ^= 1;
  expect_error(wrong_sum, "is damaged: incorrect data check");
  std::string wrong_length = good;
  wrong_length[good.size() - 4] ^= 1;
  expect_error(wrong_length, "is damaged: incorrect length check");
  expect_error(good + "garbage", "is damaged: incorrect header check");
  expect_error(gzip(raw + "g"), "but more bytes follow");
  expect_error(gzip(raw.substr(0, raw.size() - 1)), "uint8 [2, 3] is 6 bytes, but it ends after 5");
  expect_error(gzip(idx(0x08, {0x7fffffff}, "")), "bytes of gzip can hold");
}

// What a few zeros claim to be is not allocated: the reader would need 1 GiB here if it believed the header.
TEST_F(Idx, TakesNoMemoryForWhatDoesNotCome) {
  const std::string path = file(gzip(idx(0x08, {1u << 30}, std::string(2 << 20, '\0')) + std::string(1 << 20, 'x')));
  const int64_t before = memory_stats().reserved;
  EXPECT_THROW(read_idx(path), FormatError);
  EXPECT_EQ(memory_stats().reserved, before);
}

TEST_F(Idx, PassesOnWhatTheFileSystemReports) {
  const std::string path = file(gzip(idx(0x08, {2, 3}, "abcdef")));
  int operations = 0;
  {
    const FailingFileSystem files(-1);
    read_idx(path);
    operations = files.count();
  }
  ASSERT_GE(operations, 3);
  for (int i = 0; i < operations; ++i) {
    const FailingFileSystem files(i);
    EXPECT_THROW(read_idx(path), IoError) << i;
  }
}

// A file system whose every file has the same bytes: thousands of files without a disk.
class OneFile : public FileSystem {
 public:
  OneFile() { before_ = set_file_system(this); }
  ~OneFile() override { set_file_system(before_); }
  std::unique_ptr<InputFile> open(const std::string&) override { return std::make_unique<File>(bytes); }

  std::string bytes;

 private:
  struct File : InputFile {
    explicit File(const std::string& all) : bytes(all) {}
    int64_t size() const override { return std::ssize(bytes); }
    void read(int64_t position, std::span<std::byte> part) const override {
      if (position + std::ssize(part) > size()) throw IoError("one file: ends early");
      std::memcpy(part.data(), bytes.data() + position, part.size());
    }
    const std::string& bytes;
  };
  FileSystem* before_;
};

// Mutated files: a tensor or an Error, nothing else.
TEST_F(Idx, SurvivesMutation) {
  const std::string raw = idx(0x08, {5, 4, 4}, std::string(80, 'x'));
  Generator random(7);
  OneFile file;
  std::string& bytes = file.bytes;
  int accepted = 0;
  for (const std::string& original : {raw, gzip(raw), idx(0x0c, {4, 2}, std::string(32, 'y'))}) {
    for (int round = 0; round < 2000; ++round) {
      bytes = original;
      const auto at = [&] { return random.below(bytes.size()); };
      for (uint64_t edits = 1 + random.below(4); edits > 0 && !bytes.empty(); --edits) {
        switch (random.below(5)) {
          case 0: bytes[at()] = static_cast<char>(random.next_word()); break;
          case 1: bytes[at()] ^= static_cast<char>(1u << random.below(8)); break;
          case 2: bytes.resize(at()); break;
          case 3: bytes.insert(at(), 1 + random.below(9), static_cast<char>(random.next_word())); break;
          default: bytes.erase(at(), 1 + random.below(9)); break;
        }
      }
      try {
        read_idx("file");
        ++accepted;
      } catch (const FormatError&) {
      }
    }
  }
  EXPECT_GT(accepted, 0);  // a changed element is no damage
}

}  // namespace
}  // namespace dnn::test
