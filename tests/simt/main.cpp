// The main of the test programs on the emulator.
#include <gmock/gmock.h>

#include "tests/simt/setup.h"
#ifdef DNN_TEST_SIMT
#include "tests/harness/op_row.h"
#endif
#ifdef DNN_CUDA_SOURCES
#include "tests/simt/coverage.h"
#endif

int main(int count, char** arguments) {
  ::testing::InitGoogleMock(&count, arguments);
  dnn::simt::setup();
#ifdef DNN_TEST_SIMT
  dnn::test::register_tests();
#endif
#ifdef DNN_CUDA_SOURCES
  dnn::simt::test::check_coverage_at_end();
#endif
  return RUN_ALL_TESTS();
}
