// The operation table: a row says everything about the test of one operation, the harness (run.cpp) does the rest.
//
//   const Rows rows{unary("relu", [](const Tensor& x) { return relu(x); }, [](double x) { return x > 0 ? x : 0; })};
//
// A row lists samples: inputs, a call of the operation, and a reference, a plain loop over doubles. From each row come
// the tests <operation>.<aspect>.<device>; run `dnn_ops_test --gtest_list_tests` to see them, and run.cpp for what each
// does.
#pragma once

#include <functional>
#include <map>
#include <optional>
#include <string>
#include <vector>

#include "dnn/tensor.h"
#include "tests/harness/array.h"

namespace dnn::test {

// One input of a sample: a shape and where its elements come from.
struct Input {
  Shape shape;
  double low = -2, high = 2;   // uniform random numbers
  std::vector<double> listed;  // or these
  bool differentiable = true;  // its gradient is checked
  bool activation = true;      // of rank 4: it may come in another layout
  bool statistic = false;      // float32 where the operation runs in a narrower type
  std::optional<DType> dtype;  // always this type

  Input(const Shape& sizes, double from = -2, double to = 2) : shape(sizes), low(from), high(to) {}

  // Elements of one's own.
  static Input of(const Shape& shape, std::vector<double> values);
  // Random whole numbers, from <= x < to, of type int64.
  static Input integers(const Shape& shape, int64_t from, int64_t to);

  Input constant() const;   // no gradient
  Input parameter() const;  // never in another layout
  Input wide() const;       // a parameter that is float32 where activations are narrower
  Input typed(DType type) const;
};

// What a sample's function is called with.
struct Args {
  std::vector<Tensor> tensors;
  TensorOptions options;  // type and device under test, for operations without inputs
  const Tensor& operator[](size_t i) const { return tensors[i]; }
};

// The seed that the default generator has before each call.
inline constexpr uint64_t call_seed = 7;

using Function = std::function<Tensor(const Args&)>;
using Reference = std::function<Array(const std::vector<Array>&)>;

// One way to call the operation.
struct Sample {
  std::string label;
  std::vector<Input> inputs;
  Function function;
  Reference reference;
};

// One operation.
struct Row {
  std::string operation;  // its public name
  std::vector<Sample> samples = {};
  std::vector<DType> floating = {DType::float32, DType::float16, DType::bfloat16};  // beside float64
  std::vector<DType> integers = {};
  double tolerance = 2;           // of results, in units of the type's epsilon
  double gradient_tolerance = 4;  // of gradients, the same
  bool differentiable = true;
  bool hands_layout_on = false;  // the result has the layout of the inputs
  // The type of the result for the type of the inputs; the same when not set.
  std::function<DType(DType)> result_type = {};
  // Whether there need not be an empty or a one-element sample, and why.
  std::string no_empty_sample = {}, no_single_sample = {};
  // Aspects (or forms of strided inputs) that do not apply, with the reason: {"strided", "parameters are contiguous"}.
  std::map<std::string, std::string> skip = {};

  Row& with_integers(std::vector<DType> types = {DType::int64, DType::int32, DType::uint8});
  Row& transparent();  // hands the layout on
  Row& within(double result, double gradient);
  Row& without(const std::string& aspect, const std::string& reason);
  Row& result(std::function<DType(DType)> type);
  Row& no_gradient();
  Row& never_empty(const std::string& reason);
  Row& never_single(const std::string& reason);
  Row& sample(Sample another);
};

// An element-wise operation of one tensor, over shapes that reach every path: tails, layouts, scalars, nothing.
Row unary(const std::string& name, const std::function<Tensor(const Tensor&)>& f,
          const std::function<double(double)>& reference, double low = -2, double high = 2);
// An element-wise operation of two tensors, with every kind of broadcasting; the second operand's range is given.
Row binary(const std::string& name, const std::function<Tensor(const Tensor&, const Tensor&)>& f,
           const std::function<double(double, double)>& reference, double low = -2, double high = 2);

// The whole table.
std::vector<Row>& table();

// Rows that join the table when the program starts.
struct Rows {
  Rows(std::initializer_list<Row> rows) { table().insert(table().end(), rows.begin(), rows.end()); }
};

// The devices that the rows run on in this binary: the CPU and the GPU, or the emulated GPU alone.
std::vector<Device> table_devices();

// A size for tests of many elements: the emulated GPU runs every thread as a fiber and gets a hundredth.
#ifdef DNN_TEST_SIMT
constexpr int64_t many(int64_t elements) { return elements / 100; }
#else
constexpr int64_t many(int64_t elements) { return elements; }
#endif

// The aspects that a row has on a device.
std::vector<std::string> aspects_of(const Row& row, Device device);

// Makes the tests of every row known to GoogleTest; called by main.
void register_tests();

// Runs one aspect of a row on a device and reports failures to GoogleTest; for the tests of the harness itself.
void run_aspect(const Row& row, const std::string& aspect, Device device);

}  // namespace dnn::test
