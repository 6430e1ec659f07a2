// The fixture of cases in which a Trainer's steps, or others that allocate as programs do, are recorded as graphs.
#pragma once

#include <gtest/gtest.h>

#include "cuda/context.h"
#include "tests/simt/simt.h"

namespace dnn::simt::test {

class GraphTest : public ::testing::Test {
 protected:
  GraphTest() {
    set_order(Order::forward);
    cuda::Context::of(0).memory().set_caching(true);
  }
  ~GraphTest() override {
    cuda::Context::of(0).memory().set_caching(false);
    set_order(Order::every);
    EXPECT_EQ(take_failure(), "");
    EXPECT_EQ(counters().live_graphs, 0);
  }
};

}  // namespace dnn::simt::test
