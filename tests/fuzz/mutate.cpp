// The changes that make a damaged file.
#include "tests/fuzz/mutate.h"

#include <algorithm>
#include <array>

namespace dnn::test {

std::string Mutator::next() {
  std::string bytes = any();
  for (size_t changes = 1 + below(1 + below(4)); changes > 0 && !bytes.empty(); --changes) change(bytes);
  return bytes;
}

void Mutator::change(std::string& bytes) {
  const size_t size = bytes.size();
  // Every other change is near the front, where the headers are.
  const size_t at = below(below(2) == 0 ? std::min<size_t>(size, 64) : size);
  const size_t count = 1 + below(20);
  switch (below(8)) {
    case 0: bytes[at] = static_cast<char>(bytes[at] ^ (1 << below(8))); break;
    case 1: bytes[at] = static_cast<char>(random_()); break;
    case 2: bytes.resize(at); break;
    case 3: bytes.erase(at, count); break;
    case 4: bytes.insert(at, bytes.substr(below(size), count)); break;
    case 5: {  // the end of another file
      const std::string& other = any();
      bytes.replace(at, std::string::npos, other, below(other.size()), std::string::npos);
      break;
    }
    case 6: {  // a number that may be a length
      const std::array<uint64_t, 8> interesting{0, 1, 0x7f, 0xff, 0x7fffffff, 0xffffffff, size, random_()};
      const uint64_t value = interesting[below(interesting.size())] - below(2);
      const size_t width = size_t{1} << below(4);
      const bool little = below(2) == 0;
      for (size_t i = 0; i < width && at + i < size; ++i) {
        bytes[at + i] = static_cast<char>(value >> (8 * (little ? i : width - 1 - i)));
      }
      break;
    }
    default: bytes.insert(at, std::to_string(random_() >> below(64)));  // a number in a text
  }
}

}  // namespace dnn::test
