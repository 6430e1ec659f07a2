// The main of test binaries with an operation table.
#include <gmock/gmock.h>

#include "tests/harness/op_row.h"

int main(int count, char** arguments) {
  ::testing::InitGoogleMock(&count, arguments);
  dnn::test::register_tests();
  return RUN_ALL_TESTS();
}
