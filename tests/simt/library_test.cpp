// Libraries that are opened at run time, and those that are not there.
#include "cuda/library.h"

#include <gmock/gmock.h>

#include "tests/harness/errors.h"

namespace dnn::simt::test {

using ::testing::HasSubstr;

TEST(Library, AMissingOneSaysWhatItIsNeededFor) {
  cuda::Library library("libdoes_not_exist.so.7", "convolution");
  EXPECT_THAT(library.why_missing(), HasSubstr("libdoes_not_exist.so.7"));
  for (int i = 0; i < 2; ++i) {
    try {
      library.symbol<int (*)()>("anything");
      FAIL() << "expected BackendError";
    } catch (const BackendError& error) {
      EXPECT_THAT(error.what(),
                  HasSubstr("cuda: libdoes_not_exist.so.7 cannot be loaded, expected it for convolution (libdoes"));
    }
  }
}

TEST(Library, ATooOldOneSaysWhatItLacks) {
  cuda::Library library("libm.so.6", "arithmetic");
  EXPECT_EQ(library.why_missing(), "");
  EXPECT_EQ(library.symbol<double (*)(double)>("floor")(2.5), 2.0);
  EXPECT_ERROR(library.symbol<double (*)(double)>("floor_of_2040"), BackendError,
               "cuda: libm.so.6 has no floor_of_2040, expected a newer one");
}

TEST(Library, AFailedCallSaysWhereAndWhy) {
  EXPECT_ERROR(cuda::throw_call_failed("cudnnCreate(&made)", "CUDNN_STATUS_NOT_INITIALIZED", "/src/cuda/cudnn.cpp", 7),
               BackendError,
               "cuda: cudnnCreate(&made) failed, expected success (CUDNN_STATUS_NOT_INITIALIZED; cuda/cudnn.cpp:7)");
  EXPECT_ERROR(cuda::throw_call_failed("f()", "no", "elsewhere.cpp", 9), BackendError,
               "cuda: f() failed, expected success (no; elsewhere.cpp:9)");
}

}  // namespace dnn::simt::test
