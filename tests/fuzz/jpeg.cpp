// The libFuzzer target for JPEG files.
#include "tests/fuzz/entries.h"

extern "C" int LLVMFuzzerTestOneInput(const unsigned char* data, size_t size) {
  dnn::test::accepts_jpeg(std::as_bytes(std::span(data, size)));
  return 0;
}
