// The main of test binaries with an operation table.
#include <gmock/gmock.h>

#include "dnn/precision.h"
#include "tests/harness/op_row.h"

int main(int count, char** arguments) {
  ::testing::InitGoogleMock(&count, arguments);
  dnn::allow_tf32({.convolution = false, .product = false});  // the bounds are those of float32
  dnn::test::register_tests();
  return RUN_ALL_TESTS();
}
