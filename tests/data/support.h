// What the tests of data share: small files, a machine without data, and a data set that tells its indices.
#pragma once

#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <zlib.h>

#include <cstdlib>
#include <filesystem>
#include <fstream>
#include <initializer_list>
#include <optional>
#include <string>
#include <vector>

#include "dnn/data.h"
#include "dnn/error.h"
#include "dnn/ops/factory.h"
#include "tests/core/failing_file_system.h"
#include "tests/harness/variable.h"

namespace dnn::test {

using testing::AllOf;
using testing::HasSubstr;
using testing::ThrowsMessage;

inline void write_file(const std::string& path, const std::string& bytes) {
  std::ofstream(path, std::ios::binary).write(bytes.data(), std::ssize(bytes));
}

// The bytes as one member of a gzip file.
inline std::string gzip(const std::string& bytes) {
  z_stream z{};
  deflateInit2(&z, Z_BEST_COMPRESSION, Z_DEFLATED, 15 + 16, 8, Z_DEFAULT_STRATEGY);
  std::string result(deflateBound(&z, bytes.size()), '\0');
  z.next_in = reinterpret_cast<Bytef*>(const_cast<char*>(bytes.data()));
  z.avail_in = static_cast<uInt>(bytes.size());
  z.next_out = reinterpret_cast<Bytef*>(result.data());
  z.avail_out = static_cast<uInt>(result.size());
  deflate(&z, Z_FINISH);
  result.resize(z.total_out);
  deflateEnd(&z);
  return result;
}

inline std::string big_endian(uint32_t word) {
  return {static_cast<char>(word >> 24), static_cast<char>(word >> 16), static_cast<char>(word >> 8),
          static_cast<char>(word)};
}

// An IDX file: a type code, sizes, and the elements as they are.
inline std::string idx(uint8_t code, std::initializer_list<uint32_t> sizes, const std::string& elements) {
  std::string bytes{'\0', '\0', static_cast<char>(code), static_cast<char>(sizes.size())};
  for (uint32_t size : sizes) bytes += big_endian(size);
  return bytes + elements;
}

// A machine without data: empty folders, and no program on the PATH but those that the test puts there.
class BareMachine : public testing::Test {
 protected:
  BareMachine() {
    for (const char* name : {"data", "cache/dnn", "bin"}) std::filesystem::create_directories(folder_ / name);
  }

  // A curl command that logs the address and then does what the lines of shell say; $out and $url are what it is given.
  void write_curl(const std::string& lines) {
    write_file(programs_ + "/curl",
               "#!/bin/sh\nPATH=/usr/bin:/bin\n"
               "while [ $# -gt 0 ]; do case $1 in --output) out=$2;; --url) url=$2;; esac; shift; done\n"
               "echo $url >> " +
                   log_ + "\n" + lines + "\n");
    std::filesystem::permissions(programs_ + "/curl", std::filesystem::perms::owner_all);
  }

  TemporaryFolder folder_;
  const std::string programs_ = folder_ / "bin", log_ = folder_ / "log";
  const Variable data_variable_{"DNN_DATA_DIR", folder_ / "data"};
  const Variable own_cache_variable_{"DNN_CACHE_DIR", std::nullopt};
  const Variable cache_variable_{"XDG_CACHE_HOME", folder_ / "cache"};
  const Variable path_variable_{"PATH", programs_};
};

// Sample i has input {i, i} and target i.
class Indices : public Dataset {
 public:
  explicit Indices(int64_t size) : size_(size) {}
  int64_t size() const override { return size_; }
  std::string name() const override { return "indices"; }
  Sample get(int64_t index, const Pass&) const override {
    check_index(index);
    const auto value = static_cast<float>(index);
    return {from_values(std::vector<float>{value, value}, {2}), from_values(std::vector<int64_t>{index}, {})};
  }

 private:
  int64_t size_;
};

}  // namespace dnn::test
