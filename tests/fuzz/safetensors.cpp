// The libFuzzer target for safetensors files.
#include "tests/fuzz/entries.h"

extern "C" int LLVMFuzzerTestOneInput(const unsigned char* data, size_t size) {
  dnn::test::accepts_safetensors(std::as_bytes(std::span(data, size)));
  return 0;
}
