// No public operation stays without a row in the table, and every row covers what all operations must bear.
#include <gmock/gmock.h>

#include "tests/harness/headers.h"
#include "tests/harness/op_row.h"

namespace dnn::test {
namespace {

using ::testing::Contains;
using ::testing::ElementsAre;
using ::testing::IsEmpty;

TEST(Completeness, EveryPublicOperationHasARow) {
  const auto operations = operations_in_folder(DNN_OPS_HEADERS);
  EXPECT_THAT(operations, Contains("relu"));  // the folder was found and read
  EXPECT_THAT(operations, Contains("conv2d"));
  EXPECT_THAT(operations, Contains("adam_update_"));
  EXPECT_THAT(without_row(operations), IsEmpty()) << "add a row to tests/ops";
}

TEST(Completeness, AnOperationWithoutARowIsFound) {
  const auto operations = operations_in(R"(
/// Rectified.
Tensor relu(const Tensor& x);
/// Nobody has tested this one.
Tensor frobnicate(const Tensor& x, int64_t dim = -1);
std::vector<Tensor> shatter(const Tensor& x, int64_t size);
/// Changes its first argument: of many lines.
void nudge_(const std::vector<Tensor>& parameters,
            const NudgeOptions& options);
inline Tensor twice(const Tensor& x) { return x + x; }
inline Tensor operator+(const Tensor& a, const Tensor& b) { return add(a, b); }
/// No operation.
int64_t count(const Tensor& x);
struct Options {
  Tensor add = {};
  Tensor method(int64_t i) const;
};
namespace detail {
Tensor hidden(const Tensor& x);
}
template <class T>
Tensor made_of(std::span<const T> values);
// Tensor commented(const Tensor& x);
)");
  EXPECT_THAT(operations, ElementsAre("frobnicate", "made_of", "nudge_", "relu", "shatter", "twice"));
  EXPECT_THAT(without_row(operations), ElementsAre("frobnicate", "made_of", "nudge_", "shatter", "twice"));
}

TEST(Completeness, EveryRowHasEmptyAndOneElementSamples) {
  for (const Row& row : table()) {
    bool empty = row.samples.front().inputs.empty(), single = empty;
    for (const Sample& sample : row.samples)
      for (const Input& input : sample.inputs) {
        empty = empty || input.shape.numel() == 0;
        single = single || input.shape.numel() == 1;
      }
    EXPECT_TRUE(empty != !row.no_empty_sample.empty()) << row.operation << ": needs an empty sample, or a reason";
    EXPECT_TRUE(single != !row.no_single_sample.empty())
        << row.operation << ": needs a one-element sample, or a reason";
  }
}

TEST(Completeness, SkippedAspectsExistAndHaveReasons) {
  for (const Row& row : table())
    for (const auto& [aspect, reason] : row.skip) {
      // Beside aspects, the forms of "strided" can be left out.
      std::vector<std::string> known = aspects_of(row, table_devices().front());
      known.insert(known.end(), {"transposed", "gapped", "expanded"});
      EXPECT_THAT(known, Contains(aspect)) << row.operation;
      EXPECT_GT(reason.size(), 10u) << row.operation;
    }
}

}  // namespace
}  // namespace dnn::test
