// The switch for TF32.
#include "dnn/precision.h"

#include <gtest/gtest.h>

namespace dnn {

TEST(Precision, Tf32IsPyTorchsUntilChosenOtherwise) {
  EXPECT_EQ(tf32_allowed(), (Tf32{.convolution = true, .product = false}));
  allow_tf32({.convolution = false, .product = true});
  EXPECT_EQ(tf32_allowed(), (Tf32{.convolution = false, .product = true}));
  allow_tf32({});
}

}  // namespace dnn
