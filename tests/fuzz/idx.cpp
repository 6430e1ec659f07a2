// The libFuzzer target for IDX files, raw and compressed.
#include "tests/fuzz/entries.h"

extern "C" int LLVMFuzzerTestOneInput(const unsigned char* data, size_t size) {
  dnn::test::accepts_idx(std::as_bytes(std::span(data, size)));
  return 0;
}
