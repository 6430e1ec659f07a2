// A decoded picture before it becomes a tensor, and how the C libraries that decode it report errors.
//
// libjpeg and libpng leave an error by longjmp, which must not skip a destructor. So every call of theirs stands in the
// function given to `guarded`, which holds nothing but such calls on memory that was there before.
#pragma once

#include <csetjmp>
#include <cstdint>
#include <vector>

namespace dnn::detail {

// Channels interleaved, row by row: 1 gray, 2 gray and alpha, 3 RGB, 4 RGBA.
struct Pixels {
  int64_t channels = 0, height = 0, width = 0;
  std::vector<uint8_t> bytes;
  int orientation = 1;  // of EXIF: 1 to 8
};

// Runs calls of a C library that leave errors by longjmp(jump, 1); returns whether there was none.
template <class Calls>
bool guarded(std::jmp_buf& jump, Calls calls) {
  if (setjmp(jump) != 0) return false;
  calls();
  return true;
}

}  // namespace dnn::detail
