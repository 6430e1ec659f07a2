// Running the cases against the recordings.
#include "tests/torch/vectors.h"

#include <fmt/format.h>
#include <gmock/gmock.h>

#include <algorithm>
#include <cmath>
#include <map>
#include <memory>
#include <set>

#include "dnn/autograd.h"
#include "dnn/interop/safetensors.h"
#include "dnn/ops.h"

namespace dnn::test {

namespace {

constexpr uint64_t digest_stream = 98, upstream_stream = 99, parameter_stream = 1000, buffer_stream = 100000;
constexpr double double_tolerance = 1e-8;

struct Listed {
  std::string script;
  TorchCase body;
};
std::vector<Listed>& listed() {
  static std::vector<Listed> list;
  return list;
}

Xs make_inputs(const TorchCase& c, DType type) {
  Xs inputs;
  for (const std::vector<double>& values : c.listed) {
    inputs.push_back(from_values(values, {static_cast<int64_t>(values.size())}).to(type));
    inputs.back().set_requires_grad();
  }
  for (const TorchInput& input : c.inputs) {
    const Tensor x = hashed(input.shape, inputs.size(), input.low, input.high);
    if (!input.whole) {
      inputs.push_back(x.to(type));
      inputs.back().set_requires_grad();
      continue;
    }
    std::vector<int64_t> whole;
    for (const double value : x.to_vector<double>()) whole.push_back(static_cast<int64_t>(std::floor(value)));
    inputs.push_back(from_values(whole, input.shape));
  }
  return inputs;
}

struct Range {
  double low, high;
};

// The numbers of a parameter or buffer of a network.
Range range_of(const std::string& name, const Tensor& tensor) {
  if (tensor.rank() >= 2) {
    const double bound = std::sqrt(6 / static_cast<double>(tensor.numel() / tensor.size(0)));
    return {-bound, bound};
  }
  if (name.ends_with("running_var")) return {0.2, 0.6};
  return name.ends_with("weight") ? Range{0.25, 0.75} : Range{-0.25, 0.75};
}

// Eight sums: of every eighth element by a hashed number.
std::vector<double> digest(const Tensor& gradient) {
  const std::vector<double> weighted = (gradient * hashed(gradient.shape(), digest_stream)).to_vector<double>();
  std::vector<double> sums(8);
  for (size_t i = 0; i < weighted.size(); ++i) sums[i % 8] += weighted[i];
  return sums;
}

// A module of that type with the parameters of the recording.
std::unique_ptr<Module> make_module(const TorchCase& c, DType type, StateDict& parameters) {
  std::unique_ptr<Module> module = c.module();
  module->to(type);
  std::map<std::string, Tensor> by_name, buffers;
  for (const auto& [name, tensor] : module->named_parameters()) by_name.emplace(name, tensor);
  for (const auto& [name, tensor] : module->named_buffers())
    if (is_floating(tensor.dtype())) buffers.emplace(name, tensor);
  NoGrad no_grad;
  const auto fill = [&](const std::string& name, Tensor tensor, uint64_t stream) {
    const Range range = c.network ? range_of(name, tensor) : Range{-c.scale, c.scale};
    tensor.copy_(hashed(tensor.shape(), stream, range.low, range.high));
  };
  for (uint64_t stream = parameter_stream; const auto& [name, tensor] : by_name) {
    fill(name, tensor, stream++);
    parameters.insert(name, tensor);
  }
  if (c.network)
    for (uint64_t stream = buffer_stream; const auto& [name, tensor] : buffers) fill(name, tensor, stream++);
  return module;
}

class TorchTest : public ::testing::Test {
 public:
  explicit TorchTest(const Listed& listed) : script_(listed.script), case_(listed.body) {}

  void TestBody() override {
    const StateDict expected = recording(script_).with_prefix(case_.name + "/");
    ASSERT_TRUE(expected.contains("y")) << "not recorded: add it to tests/torch/" << script_ << ".py and run that";

    StateDict leaves;
    const Tensor y = compute(DType::float64, leaves);
    expect_close("y in float64", y, expected.at("y"), double_tolerance);
    if (expected.size() > 1) {
      ASSERT_TRUE(y.requires_grad()) << "PyTorch differentiates it";
      (y * hashed(y.shape(), upstream_stream)).sum().backward();
    }
    if (case_.network) expect_digests(leaves, expected.at("gradients"));
    for (const auto& [name, gradient] : expected) {
      if (name == "y" || case_.network) continue;
      const Tensor* leaf = leaves.find(name);
      ASSERT_NE(leaf, nullptr) << "PyTorch has a gradient of '" << name << "'";
      ASSERT_TRUE(leaf->has_grad()) << "no gradient of '" << name << "'";
      expect_close("gradient of " + name, leaf->grad(), gradient, double_tolerance);
    }

    StateDict unused;
    expect_close("y in float32", compute(DType::float32, unused), expected.at("y"), case_.tolerance);
  }

 private:
  Tensor compute(DType type, StateDict& leaves) const {
    const Xs inputs = make_inputs(case_, type);
    for (size_t i = 0; i < inputs.size(); ++i) leaves.insert(fmt::format("x{}", i), inputs[i]);
    if (!case_.module) return case_.function(inputs);
    StateDict parameters;
    module_ = make_module(case_, type, parameters);
    leaves.insert("", parameters);
    return case_.call(*module_, inputs);
  }

  // Gradients that are zero but for rounding, as of a bias before a batch norm, count by the largest one.
  static void expect_digests(const StateDict& leaves, const Tensor& expected) {
    ASSERT_EQ(expected.shape(), Shape({static_cast<int64_t>(leaves.size()), 8}));
    const double least = 1e-7 * abs(expected).max().item();
    for (int64_t row = 0; const auto& [name, leaf] : leaves) {
      ASSERT_TRUE(leaf.has_grad()) << "no gradient of '" << name << "'";
      const std::vector<double> actual = digest(leaf.grad()), wanted = expected.select(0, row++).to_vector<double>();
      double difference = 0, size = least * least;
      for (size_t i = 0; i < 8; ++i)
        difference += (actual[i] - wanted[i]) * (actual[i] - wanted[i]), size += wanted[i] * wanted[i];
      EXPECT_LE(std::sqrt(difference / size), double_tolerance) << "gradient of " << name;
    }
  }

  static void expect_close(const std::string& what, const Tensor& actual, const Tensor& expected, double tolerance) {
    ASSERT_EQ(actual.shape(), expected.shape()) << what;
    EXPECT_LE(relative_l2(actual, expected), tolerance)
        << what << "\nlibdnn: " << actual.str() << "\nPyTorch: " << expected.str();
  }

  const std::string& script_;
  const TorchCase& case_;
  mutable std::unique_ptr<Module> module_;
};

class EveryRecordingHasACase : public ::testing::Test {
 public:
  explicit EveryRecordingHasACase(std::string script) : script_(std::move(script)) {}
  void TestBody() override {
    std::set<std::string> known;
    for (const Listed& entry : listed())
      if (entry.script == script_) known.insert(entry.body.name);
    for (const auto& [name, tensor] : recording(script_))
      EXPECT_TRUE(known.contains(name.substr(0, name.find('/')))) << name << " has no case in C++";
  }

 private:
  std::string script_;
};

}  // namespace

Tensor hashed(const Shape& shape, uint64_t stream, double low, double high) {
  std::vector<double> values(static_cast<size_t>(shape.numel()));
  for (size_t i = 0; i < values.size(); ++i) {
    uint64_t x = ((stream << 32) + i + 1) * 0x9E3779B97F4A7C15;
    x = (x ^ (x >> 30)) * 0xBF58476D1CE4E5B9;
    x = (x ^ (x >> 27)) * 0x94D049BB133111EB;
    x ^= x >> 31;
    const double unit = static_cast<double>(x >> 11) * 0x1p-52 - 1;
    values[i] = low + (unit + 1) * 0.5 * (high - low);
  }
  return from_values(values, shape);
}

const StateDict& recording(const std::string& script) {
  static std::map<std::string, StateDict> files;
  const auto [found, fresh] = files.try_emplace(script);
  if (fresh) found->second = load_safetensors(fmt::format("{}/{}.safetensors", DNN_TORCH_VECTORS, script)).tensors;
  return found->second;
}

double relative_l2(const Tensor& actual, const Tensor& expected) {
  const std::vector<double> a = actual.detach().to(DType::float64).to_vector<double>();
  const std::vector<double> e = expected.detach().to(DType::float64).to_vector<double>();
  double difference = 0, size = 0;
  for (size_t i = 0; i < e.size(); ++i) {
    if (a[i] == e[i] || (std::isnan(a[i]) && std::isnan(e[i]))) {
      size += std::isfinite(e[i]) ? e[i] * e[i] : 0;
      continue;
    }
    difference += (a[i] - e[i]) * (a[i] - e[i]), size += e[i] * e[i];
  }
  return difference == 0 ? 0 : std::sqrt(difference / size);
}

TorchCases::TorchCases(const std::string& script, const std::vector<TorchCase>& cases) {
  for (const TorchCase& c : cases) listed().push_back({script, c});
}

}  // namespace dnn::test

int main(int count, char** arguments) {
  using namespace dnn::test;
  ::testing::InitGoogleMock(&count, arguments);
  std::set<std::string> scripts;
  for (const auto& entry : listed()) {
    scripts.insert(entry.script);
    ::testing::RegisterTest(entry.script.c_str(), entry.body.name.c_str(), nullptr, nullptr, __FILE__, __LINE__,
                            [&entry]() -> ::testing::Test* { return new TorchTest(entry); });
  }
  for (const std::string& script : scripts)
    ::testing::RegisterTest(script.c_str(), "EveryRecordingHasACase", nullptr, nullptr, __FILE__, __LINE__,
                            [script]() -> ::testing::Test* { return new EveryRecordingHasACase(script); });
  return RUN_ALL_TESTS();
}
