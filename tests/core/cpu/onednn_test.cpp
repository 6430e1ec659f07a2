// The door to oneDNN: errors, bounded caches, no memory from the system once warm.
#include "core/cpu/onednn.h"

#include <gtest/gtest.h>

#include "core/cpu/conv.h"
#include "dnn/autograd.h"
#include "dnn/ops.h"
#include "tests/harness/errors.h"

namespace dnn::cpu {
namespace {

TEST(OneDnn, FailuresCarryExpressionStatusAndPlace) {
  onednn::check(dnnl_success, "call()", "place.cpp", 1);
  EXPECT_ERROR(onednn::check(dnnl_invalid_arguments, "call(x)", "/some/where/place.cpp", 12), BackendError,
               "oneDNN: call(x) returned invalid_arguments (place.cpp:12)");
  EXPECT_ERROR(onednn::check(dnnl_out_of_memory, "call(x)", "place.cpp", 12), OutOfMemory,
               "oneDNN: call(x) returned out_of_memory (place.cpp:12)");
}

TEST(OneDnn, AFailingCallThrows) {
  const float a[4] = {}, b[4] = {};
  float c[4] = {};
  constexpr dnnl_dim_t too_short = 1;
  EXPECT_THROW(DNN_ONEDNN(dnnl_sgemm('N', 'N', 2, 2, 2, 1.0f, a, too_short, b, 2, 0.0f, c, 2)), BackendError);
}

TEST(OneDnn, ACacheForgetsWhatWasUnusedForLongest) {
  onednn::LruCache<int, int, std::hash<int>> cache(3);
  int made = 0;
  const auto get = [&](int key) { return cache.get(key, [&] { return ++made, key * 10; }); };
  for (const int key : {1, 2, 3, 1}) EXPECT_EQ(get(key), key * 10);
  EXPECT_EQ(made, 3);
  get(4);  // drops 2
  EXPECT_EQ(cache.size(), 3u);
  get(1), get(3), get(4);
  EXPECT_EQ(made, 4);
  get(2);
  EXPECT_EQ(made, 5);
}

TEST(OneDnn, ConvolutionPlansAreBounded) {
  NoGrad no_grad;
  const Tensor weight = ones({1, 1, 1, 1});
  for (int64_t width = 1; width <= static_cast<int64_t>(onednn::cache_capacity) + 20; ++width) {
    EXPECT_EQ(conv2d(full({1, 1, 1, width}, 3), weight).sum().item(), 3.0 * static_cast<double>(width));
  }
  EXPECT_EQ(conv_onednn::cached_plans(), onednn::cache_capacity);
}

TEST(OneDnn, AWorkspaceIsCut) {
  onednn::Workspace workspace(onednn::Workspace::rounded(100) + onednn::Workspace::rounded(8));
  void* first = workspace.take(100);
  EXPECT_EQ(workspace.take(0), nullptr);
  void* second = workspace.take(8);
  EXPECT_EQ(static_cast<char*>(second) - static_cast<char*>(first), 128);
}

TEST(OneDnn, WarmStepsAskTheSystemForNothing) {
  Tensor first = randn({16, 3, 3, 3}), second = randn({10, 16, 3, 3}), bias = randn({16}), head = randn({10, 640});
  for (Tensor* parameter : {&first, &second, &bias, &head}) parameter->set_requires_grad();
  const Tensor x = randn({4, 3, 16, 16});
  int64_t requests = 0;
  for (int step = 0; step < 4; ++step) {
    const Tensor hidden = conv2d(x, first, bias, {.stride = 2, .padding = 1, .activation = Activation::relu});
    const Tensor y = conv2d(hidden, second, {}, {.padding = 1});
    linear(y.flatten(), head).sum().backward();
    for (Tensor* parameter : {&first, &second, &bias, &head}) {
      NoGrad no_grad;
      parameter->add_(parameter->grad(), -1e-3);
      parameter->zero_grad();
    }
    if (step == 1) requests = memory_stats().system_requests;
  }
  EXPECT_EQ(memory_stats().system_requests, requests);
}

}  // namespace
}  // namespace dnn::cpu
