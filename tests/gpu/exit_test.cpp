// The end of a process: tensors in static storage die after the backend's own objects, and nothing goes wrong.
#include <cstdlib>

#include "tests/gpu/support.h"

namespace dnn::test {
namespace {

// Made when the program starts, so it is destroyed after everything that is made later.
Tensor kept_at_namespace_scope;

class Exit : public OnDevice {
 protected:
  void SetUp() override {
    OnDevice::SetUp();
    GTEST_FLAG_SET(death_test_style, "threadsafe");  // the case starts the program anew: no fork of a CUDA process
  }
};

TEST_P(Exit, IsCleanWithTensorsInStaticStorage) {
  EXPECT_EXIT(
      {
        kept_at_namespace_scope = full({1000}, 2, {.device = device()});
        static const Tensor kept_in_a_function = kept_at_namespace_scope * 2;
        static Training training(tasks().front(), device());
        training.step();
        std::exit(kept_in_a_function.sum().item() == 4000 ? 0 : 1);
      },
      ::testing::ExitedWithCode(0), "^$");
}

TEST_P(Exit, IsCleanWithWorkUnderWay) {
  EXPECT_EXIT(
      {
        static Training training(tasks()[1], device());
        for (int i = 0; i < 3; ++i) training.step();
        std::exit(0);
      },
      ::testing::ExitedWithCode(0), "^$");
}

// An error that nobody waited for is no reason to end badly.
TEST_P(Exit, IsCleanWithAnErrorThatNobodySaw) {
  EXPECT_EXIT(
      {
        try {
          static const Tensor loss = cross_entropy(zeros({2, 3}, {.device = device()}),
                                                   full({2}, 7, {.dtype = DType::int64, .device = device()}));
        } catch (const IndexError&) {
        }
        std::exit(0);
      },
      ::testing::ExitedWithCode(0), "^$");
}

DNN_ON_DEVICES(Exit);

}  // namespace
}  // namespace dnn::test
