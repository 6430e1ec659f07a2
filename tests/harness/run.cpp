// Running the rows of the operation table, one aspect at a time:
//
//   float64.forward    the result against the row's plain loop
//   float64.gradient   on the CPU the gradient against the numeric one, elsewhere against the CPU's
//   float32 ... bool   result and gradient against float64 on the same (rounded) numbers; two runs agree bit for bit,
//   inputs
//                      stay as they were, nothing is recorded without need
//   channels_last ...  the same with activations, upstream gradients, or only some of them in another layout
//   strided            the same with inputs and upstream gradient transposed, gapped, expanded
//   accumulation       gradients add up: over passes, over uses, into one that is there, for one tensor used twice
//   partial            only one input needs a gradient: it is the same, the others get none
//   saved              an input or the result changes before the backward pass: AutogradError, or still the right
//   gradient
//
// After every aspect no guard band is damaged and no memory is left behind (memory.h).
#include <gtest/gtest.h>

#include <algorithm>
#include <functional>
#include <random>

#include "core/storage.h"
#include "dnn/autograd.h"
#include "dnn/error.h"
#include "dnn/gradcheck.h"
#include "dnn/ops/binary.h"
#include "dnn/ops/factory.h"
#include "dnn/ops/reduce.h"
#include "dnn/random.h"
#include "tests/harness/compare.h"
#include "tests/harness/memory.h"
#include "tests/harness/op_row.h"
#include "tests/harness/tensors.h"

namespace dnn::test {

namespace {

using detail::Layout;
using Tensors = std::vector<Tensor>;
using Arrays = std::vector<Array>;

Array draw(const Input& input, std::mt19937_64& random) {
  if (!input.listed.empty()) return {input.shape, input.listed};
  Array values(input.shape);
  std::uniform_real_distribution<double> uniform(input.low, input.high);
  for (double& x : values.values) {
    x = uniform(random);
    if (input.dtype && !is_floating(*input.dtype)) x = std::floor(x);
  }
  return values;
}

// What one call gave: the result, and the gradients of the inputs that have one.
struct Outcome {
  Array result;
  DType type = DType::float64;
  std::vector<Array> gradients;
  std::vector<bool> has_gradient;
};

// One sample in one type on one device.
class Trial {
 public:
  Trial(const Row& row, const Sample& sample, DType type, Device device)
      : row_(row), sample_(sample), type_(type), device_(device) {
    std::mt19937_64 random(std::hash<std::string>{}(row.operation + sample.label) % 1000003);
    for (const Input& input : sample.inputs) {
      Array values = draw(input, random);
      if (!input.dtype && !is_floating(type)) values = map(values, [&](double x) { return whole(x); });
      values_.push_back(round_to(values, type_of(input)));
    }
  }

  DType type_of(const Input& input) const {
    if (input.dtype) return *input.dtype;
    return input.statistic && is_floating(type_) && size_of(type_) == 2 ? DType::float32 : type_;
  }
  bool differentiable(size_t i) const {
    return row_.differentiable && sample_.inputs[i].differentiable && is_floating(type_of(sample_.inputs[i]));
  }
  size_t inputs() const { return values_.size(); }
  const Sample& sample() const { return sample_; }
  const Arrays& values() const { return values_; }
  Arrays& values() { return values_; }
  bool any_differentiable() const {
    for (size_t i = 0; i < inputs(); ++i)
      if (differentiable(i)) return true;
    return false;
  }

  // Input i as a leaf.
  Tensor leaf(size_t i, Form form = Form::plain) const {
    return to_tensor(
        values_[i], {.dtype = type_of(sample_.inputs[i]), .device = device_, .requires_grad = differentiable(i)}, form);
  }
  Tensors leaves(Form form = Form::plain) const {
    Tensors all;
    for (size_t i = 0; i < inputs(); ++i) all.push_back(leaf(i, form));
    return all;
  }
  bool takes_layout(size_t i, Layout layout) const {
    const Input& input = sample_.inputs[i];
    return input.activation && test::takes_layout(input.shape, type_of(input), layout);
  }
  // Whether the inputs that can have a layout are of one shape: broadcasting works on plain tensors.
  bool all_activations_alike() const {
    const Input* first = nullptr;
    for (const Input& input : sample_.inputs) {
      if (!input.activation) continue;
      if (first != nullptr && input.shape != first->shape) return false;
      first = &input;
    }
    return true;
  }
  Tensor leaf_in(size_t i, Layout layout) const {
    return with_layout(leaf(i), layout).set_requires_grad(differentiable(i));
  }

  Tensor call(const Tensors& inputs) const {
    manual_seed(call_seed);
    return sample_.function({inputs, {.dtype = type_, .device = device_}});
  }

  // Numbers for the upstream gradient of a result.
  Array upstream(const Tensor& result) const {
    Array values(result.shape());
    std::mt19937_64 random(5);
    for (double& x : values.values) x = std::uniform_real_distribution<double>(-1, 1)(random);
    return round_to(values, is_floating(type_) ? type_ : DType::float64);
  }
  Tensor upstream_tensor(const Tensor& result, Form form = Form::plain) const {
    return to_tensor(upstream(result), result.options(), form);
  }

  // Calls the operation and runs back from its result.
  Outcome run(const Tensors& inputs, const std::function<Tensor(const Tensor&)>& gradient = {}) const {
    const Tensor result = call(inputs);
    if (result.requires_grad()) result.backward(gradient ? gradient(result) : upstream_tensor(result));
    return outcome(result, inputs);
  }
  Outcome outcome(const Tensor& result, const Tensors& inputs) const {
    Outcome all{.result = to_array(result), .type = result.dtype(), .gradients = {}, .has_gradient = {}};
    for (const Tensor& input : inputs) {
      const bool has = input.requires_grad() && input.grad().defined();
      all.has_gradient.push_back(has);
      all.gradients.push_back(has ? to_array(input.grad()) : Array());
      if (!has) continue;
      EXPECT_EQ(input.grad().shape(), input.shape());
      EXPECT_STREQ(name_of(input.grad().dtype()), name_of(input.dtype()));
      EXPECT_TRUE(input.grad().is_contiguous());
    }
    return all;
  }

  // Small whole numbers for operations on integers.
  double whole(double x) const {
    if (type_ == DType::boolean) return x > 0;
    return std::round(3 * (type_ == DType::uint8 ? std::abs(x) : x));
  }

  // The truth: float64 on the CPU, on the same numbers, of which the upstream gradient's are given.
  Outcome expected(const std::optional<Array>& gradient = {}) const {
    Trial exact(row_, sample_, DType::float64, Device::cpu());
    exact.values_ = values_;
    const bool differentiate = any_differentiable();
    Tensors inputs;
    for (size_t i = 0; i < exact.inputs(); ++i)
      inputs.push_back(exact.leaf(i).set_requires_grad(differentiate && differentiable(i)));
    const Tensor result = exact.call(inputs);
    if (result.requires_grad())
      result.backward(to_tensor(gradient ? *gradient : upstream(result), {.dtype = result.dtype()}));
    return exact.outcome(result, inputs);
  }

  double unit(DType type) const {
    return std::max(epsilon(type), is_floating(type_) && is_floating(type) ? epsilon(type_) : 0);
  }
  void check_result(const Outcome& actual, const Outcome& truth) const {
    // uint8 wraps around, as in C++ and PyTorch.
    const Array result = actual.type == DType::uint8
                             ? map(truth.result, [](double x) { return x - 256 * std::floor(x / 256); })
                             : truth.result;
    EXPECT_TRUE(close(actual.result, result, row_.tolerance * unit(actual.type))) << "in the result";
  }
  // `factor`: how often the gradient was added; `extra`: more roundings than usual; `least`: see close.
  void check_gradients(const Outcome& actual, const Outcome& truth, double factor = 1, double extra = 0,
                       double least = 0) const {
    for (size_t i = 0; i < inputs(); ++i) {
      EXPECT_EQ(actual.has_gradient[i], truth.has_gradient[i]) << "gradient of input " << i;
      if (!actual.has_gradient[i] || !truth.has_gradient[i]) continue;
      EXPECT_TRUE(close(actual.gradients[i], map(truth.gradients[i], [&](double x) { return factor * x; }),
                        (row_.gradient_tolerance + extra) * unit(type_of(sample_.inputs[i])), least))
          << "in the gradient of input " << i;
    }
  }

 private:
  const Row& row_;
  const Sample& sample_;
  DType type_;
  Device device_;
  Arrays values_;
};

void each_sample(const Row& row, DType type, Device device, const std::function<void(Trial&)>& visit) {
  for (const Sample& sample : row.samples) {
    SCOPED_TRACE("sample " + sample.label + ", " + name_of(type));
    Trial trial(row, sample, type, device);
    visit(trial);
    if (::testing::Test::HasFatalFailure()) return;
  }
}

void run_forward(const Row& row, Device device) {
  each_sample(row, DType::float64, device, [&](Trial& t) {
    NoGrad no_grad;
    const Array expected = t.sample().reference(t.values());
    const Tensor result = t.call(t.leaves());
    EXPECT_EQ(result.device(), device);
    EXPECT_TRUE(close(to_array(result), expected, 64 * row.tolerance * epsilon(DType::float64), 1));
  });
}

void run_gradient(const Row& row, Device device) {
  each_sample(row, DType::float64, device, [&](Trial& t) {
    if (!t.any_differentiable()) return;
    if (!device.is_cpu()) {
      t.check_gradients(t.run(t.leaves()), t.expected(), 1, 64 * row.gradient_tolerance);
      return;
    }
    manual_seed(call_seed);
    const GradcheckResult found = gradcheck(
        [&](const Tensors& x) {
          return t.sample().function({x, {.dtype = DType::float64}});
        },
        t.leaves(), {.step = 1e-5, .atol = 1e-6});
    EXPECT_TRUE(found.ok) << found.message;
    int64_t elements = 0;
    for (size_t i = 0; i < t.inputs(); ++i) elements += t.differentiable(i) ? t.values()[i].size() : 0;
    EXPECT_EQ(found.checked + found.skipped, elements);
    EXPECT_LE(found.skipped, elements / 4) << "too many kinks for a check";
  });
}

void run_type(const Row& row, DType type, Device device) {
  each_sample(row, type, device, [&](Trial& t) {
    const Tensors inputs = t.leaves();
    const Outcome first = t.run(inputs);
    const DType expected_type = row.result_type ? row.result_type(type) : type;
    EXPECT_STREQ(name_of(first.type), name_of(expected_type)) << "the type of the result";
    const Outcome truth = t.expected();
    t.check_result(first, truth);
    t.check_gradients(first, truth);

    const Outcome second = t.run(t.leaves());
    EXPECT_TRUE(identical(second.result, first.result)) << "two runs differ";
    for (size_t i = 0; i < t.inputs(); ++i) {
      EXPECT_TRUE(identical(second.gradients[i], first.gradients[i])) << "two runs differ in gradient " << i;
      EXPECT_TRUE(identical(to_array(inputs[i]), t.values()[i])) << "input " << i << " was changed";
    }

    EXPECT_EQ(t.call(inputs).requires_grad(), t.any_differentiable());
    NoGrad no_grad;
    const Tensor unrecorded = t.call(inputs);
    const bool is_input =
        std::any_of(inputs.begin(), inputs.end(), [&](const Tensor& x) { return x.is_same(unrecorded); });
    EXPECT_TRUE(is_input || !unrecorded.requires_grad());
    EXPECT_TRUE(identical(to_array(unrecorded), first.result)) << "the result depends on being recorded";
  });
}

// Which of the inputs that can are in the other layout.
enum class Laid { all, first, rest };

void run_layout(const Row& row, Layout layout, Device device) {
  each_sample(row, DType::float32, device, [&](Trial& t) {
    std::vector<size_t> able;
    for (size_t i = 0; i < t.inputs(); ++i)
      if (t.takes_layout(i, layout)) able.push_back(i);
    if (able.empty()) return;
    const Outcome truth = t.expected();
    for (const Laid laid : {Laid::all, Laid::first, Laid::rest}) {
      if (laid != Laid::all && able.size() == 1) continue;
      for (const bool upstream_too : {false, true}) {
        SCOPED_TRACE(std::string(laid == Laid::all     ? "all inputs"
                                 : laid == Laid::first ? "the first input"
                                                       : "the other inputs") +
                     (upstream_too ? " and the upstream gradient" : "") + " in " + name_of(layout));
        Tensors inputs = t.leaves();
        for (size_t i : able)
          if (laid == Laid::all || (laid == Laid::first) == (i == able.front())) inputs[i] = t.leaf_in(i, layout);
        const Tensor result = t.call(inputs);
        const bool result_able = takes_layout(result.shape(), result.dtype(), layout);
        if (row.hands_layout_on && laid == Laid::all && result_able && t.all_activations_alike()) {
          EXPECT_STREQ(name_of(detail::layout_of(result)), name_of(layout)) << "the layout of the result";
        }
        if (upstream_too && !result_able) continue;
        if (result.requires_grad()) {
          const Tensor gradient = t.upstream_tensor(result);
          result.backward(upstream_too ? with_layout(gradient, layout) : gradient);
        }
        const Outcome outcome = t.outcome(result, inputs);
        t.check_result(outcome, truth);
        t.check_gradients(outcome, truth);
        for (size_t i = 0; i < t.inputs(); ++i)
          EXPECT_TRUE(identical(to_array(inputs[i]), t.values()[i])) << "input " << i << " was changed";
      }
    }
  });
}

void run_strided(const Row& row, Device device) {
  for (const DType type : {DType::float64, DType::float32, DType::bfloat16})
    for (const Form form : {Form::transposed, Form::gapped, Form::expanded}) {
      SCOPED_TRACE(name_of(form));
      if (row.skip.contains(name_of(form))) continue;
      each_sample(row, type, device, [&](Trial& t) {
        const Tensors inputs = t.leaves(form);
        // Expanded inputs repeat their first entry.
        for (size_t i = 0; i < t.inputs(); ++i) t.values()[i] = to_array(inputs[i]);
        Array gradient;
        const Outcome outcome = t.run(inputs, [&](const Tensor& result) {
          const Tensor upstream = t.upstream_tensor(result, form);
          gradient = to_array(upstream);
          return upstream;
        });
        const double extra = type == DType::float64 ? 64 * row.gradient_tolerance : 0;
        const Outcome truth =
            t.expected(gradient.shape == outcome.result.shape ? std::optional(gradient) : std::nullopt);
        EXPECT_TRUE(close(outcome.result, truth.result, (row.tolerance + extra) * t.unit(outcome.type)));
        t.check_gradients(outcome, truth, 1, extra, form == Form::expanded ? 1 : 0);
      });
    }
}

// Inputs that are not leaves, as in the middle of a network.
Tensors after_another_operation(const Tensors& leaves) {
  Tensors all;
  for (const Tensor& leaf : leaves) all.push_back(leaf.requires_grad() ? mul(leaf, 1) : leaf);
  return all;
}

void check_fan_out(const Trial& t, const std::function<Tensors()>& leaves, const Outcome& truth) {
  const auto weigh = [&](const Tensor& y) { return sum(mul(y, t.upstream_tensor(y))); };
  {
    SCOPED_TRACE("the operation twice on one input");
    const Tensors x = leaves(), h = after_another_operation(x);
    const Tensor one = t.call(h), two = t.call(h);
    add(weigh(one), weigh(two)).backward();
    t.check_gradients(t.outcome(one, x), truth, 2, 1);
  }
  for (const bool before : {false, true}) {
    SCOPED_TRACE(before ? "another use before the operation" : "another use after the operation");
    const Tensors x = leaves(), h = after_another_operation(x);
    Tensor total = zeros({}, h[0].options());
    const auto use = [&] {
      for (size_t i = 0; i < h.size(); ++i)
        if (h[i].requires_grad()) total = add(total, sum(mul(h[i], h[i].detach())));
    };
    if (before) use();
    const Tensor y = t.call(h);
    if (!before) use();
    add(total, weigh(y)).backward();
    Outcome expected = truth;
    for (size_t i = 0; i < x.size(); ++i)
      if (truth.has_gradient[i])
        expected.gradients[i] = map(truth.gradients[i], t.values()[i], [](double g, double v) { return g + v; });
    t.check_gradients(t.outcome(y, x), expected, 1, 1);
  }
}

void check_accumulation(const Trial& t, const std::function<Tensors()>& leaves, const Outcome& truth) {
  {
    SCOPED_TRACE("two passes, then a third after zero_grad");
    const Tensors x = leaves();
    t.run(x);
    std::vector<const void*> addresses;
    for (const Tensor& leaf : x) addresses.push_back(leaf.requires_grad() ? detail::raw(leaf.grad()) : nullptr);
    t.check_gradients(t.run(x), truth, 2, 1);
    for (const Tensor& leaf : x) Tensor(leaf).zero_grad();
    t.check_gradients(t.run(x), truth);
    for (size_t i = 0; i < x.size(); ++i) {
      const void* now = x[i].requires_grad() ? detail::raw(x[i].grad()) : nullptr;
      EXPECT_EQ(now, addresses[i]) << "gradient " << i << " has moved";
    }
  }
  {
    SCOPED_TRACE("one graph twice");
    const Tensors x = leaves();
    const Tensor y = t.call(x);
    y.backward(t.upstream_tensor(y), {.retain_graph = true});
    y.backward(t.upstream_tensor(y));
    t.check_gradients(t.outcome(y, x), truth, 2, 1);
  }
  {
    SCOPED_TRACE("into a gradient that is there");
    const Tensors x = leaves();
    Outcome expected = truth;
    for (size_t i = 0; i < x.size(); ++i) {
      if (!x[i].requires_grad()) continue;
      Tensor(x[i]).set_grad(full(x[i].shape(), 3, x[i].options()));
      for (double& g : expected.gradients[i].values) g += 3;
    }
    t.check_gradients(t.run(x), expected, 1, 1);
  }
}

void run_accumulation(const Row& row, Device device) {
  for (const DType type : {DType::float64, DType::float32, DType::bfloat16})
    each_sample(row, type, device, [&](Trial& t) {
      if (!t.any_differentiable()) return;
      const Outcome truth = t.expected();
      const auto leaves = [&] { return t.leaves(); };
      check_accumulation(t, leaves, truth);
      check_fan_out(t, leaves, truth);
      if (type != DType::float32) return;
      for (const Layout layout : {Layout::channels_last, Layout::blocked8, Layout::blocked16}) {
        if (!device.is_cpu() && layout != Layout::channels_last) continue;
        bool any = false;
        for (size_t i = 0; i < t.inputs(); ++i) any = any || t.takes_layout(i, layout);
        if (!any) continue;
        SCOPED_TRACE(name_of(layout));
        check_fan_out(
            t,
            [&] {
              Tensors x = t.leaves();
              for (size_t i = 0; i < x.size(); ++i)
                if (t.takes_layout(i, layout)) x[i] = t.leaf_in(i, layout);
              return x;
            },
            truth);
      }
    });
  // One tensor as two inputs gets the sum of both gradients.
  each_sample(row, DType::float64, device, [&](Trial& t) {
    for (size_t i = 0; i < t.inputs(); ++i)
      for (size_t j = i + 1; j < t.inputs(); ++j) {
        if (!t.differentiable(i) || !t.differentiable(j) || !(t.values()[i].shape == t.values()[j].shape)) continue;
        SCOPED_TRACE("inputs " + std::to_string(i) + " and " + std::to_string(j) + " are one tensor");
        Trial same = t;
        same.values()[i] = same.values()[j];  // the later one's range is the narrower
        const Outcome truth = same.expected();
        Tensors x = same.leaves();
        x[i] = x[j];
        const Tensor y = same.call(x);
        EXPECT_TRUE(close(to_array(y), truth.result, 1e-12));
        y.backward(same.upstream_tensor(y));
        EXPECT_TRUE(close(to_array(x[j].grad()),
                          map(truth.gradients[i], truth.gradients[j], [](double a, double b) { return a + b; }), 1e-12,
                          1));
      }
  });
}

void run_partial(const Row& row, Device device) {
  each_sample(row, DType::float32, device, [&](Trial& t) {
    const Outcome truth = t.expected();
    for (size_t i = 0; i < t.inputs(); ++i) {
      if (!t.differentiable(i)) continue;
      SCOPED_TRACE("only input " + std::to_string(i) + " needs a gradient");
      Tensors x = t.leaves();
      Outcome expected = truth;
      for (size_t j = 0; j < x.size(); ++j)
        if (j != i) x[j] = x[j].detach(), expected.has_gradient[j] = false;
      t.check_gradients(t.run(x), expected);
    }
  });
}

void run_saved(const Row& row, Device device) {
  each_sample(row, DType::float32, device, [&](Trial& t) {
    if (!t.any_differentiable()) return;
    const Outcome truth = t.expected();
    for (size_t changed = 0; changed <= t.inputs(); ++changed) {
      SCOPED_TRACE(changed < t.inputs() ? "input " + std::to_string(changed) + " changed"
                                        : std::string("the result changed"));
      const Tensors x = t.leaves();
      const Tensor y = t.call(x);
      const Tensor upstream = t.upstream_tensor(y);
      Tensor target = (changed < t.inputs() ? x[changed] : y).detach();
      const uint64_t before = target.version();
      target.fill_(0);
      if (target.numel() > 0) {
        EXPECT_GT((changed < t.inputs() ? x[changed] : y).version(), before);
      }
      try {
        y.backward(upstream);
        t.check_gradients(t.outcome(y, x), truth);
      } catch (const AutogradError& error) {
        EXPECT_NE(std::string(error.what()).find("modified"), std::string::npos) << error.what();
      }
    }
  });
}

const std::map<std::string, Layout> layouts{
    {"channels_last", Layout::channels_last}, {"blocked8", Layout::blocked8}, {"blocked16", Layout::blocked16}};

std::string device_label(Device device) {
#ifdef DNN_TEST_SIMT
  if (device.is_cuda()) return "simt";
#endif
  return device.is_cpu() ? "cpu" : "cuda";
}

class AspectTest : public ::testing::Test {
 public:
  AspectTest(const Row& row, std::string aspect, Device device)
      : row_(row), aspect_(std::move(aspect)), device_(device) {}
  void TestBody() override {
    if (device_count(device_.type()) == 0) GTEST_SKIP() << why_unavailable(device_.type());
    if (const auto reason = row_.skip.find(aspect_); reason != row_.skip.end()) GTEST_SKIP() << reason->second;
    run_aspect(row_, aspect_, device_);
  }

 private:
  const Row& row_;
  std::string aspect_;
  Device device_;
};

}  // namespace

std::vector<std::string> aspects_of(const Row& row, Device device) {
  std::vector<std::string> aspects{"float64.forward"};
  bool any = false;
  for (const Sample& sample : row.samples)
    for (const Input& input : sample.inputs) any = any || (input.differentiable && row.differentiable);
  if (any) aspects.push_back("float64.gradient");
  for (const DType type : row.floating) aspects.push_back(name_of(type));
  for (const DType type : row.integers) aspects.push_back(name_of(type));
  for (const auto& [name, layout] : layouts) {
    if (!device.is_cpu() && layout != Layout::channels_last) continue;
    bool able = false;
    for (const Sample& sample : row.samples)
      for (const Input& input : sample.inputs)
        able = able || (input.activation && !input.dtype && takes_layout(input.shape, DType::float32, layout));
    if (able) aspects.push_back(name);
  }
  if (!row.samples.front().inputs.empty()) aspects.push_back("strided");
  if (any) aspects.insert(aspects.end(), {"accumulation", "partial", "saved"});
  return aspects;
}

void run_aspect(const Row& row, const std::string& aspect, Device device) {
  memory::install();
  const int64_t blocks = memory::live_blocks();
  if (aspect == "float64.forward") {
    run_forward(row, device);
  } else if (aspect == "float64.gradient") {
    run_gradient(row, device);
  } else if (aspect == "strided") {
    run_strided(row, device);
  } else if (aspect == "accumulation") {
    run_accumulation(row, device);
  } else if (aspect == "partial") {
    run_partial(row, device);
  } else if (aspect == "saved") {
    run_saved(row, device);
  } else if (const auto layout = layouts.find(aspect); layout != layouts.end()) {
    run_layout(row, layout->second, device);
  } else {
    run_type(row, parse_dtype(aspect), device);
  }
  EXPECT_EQ(memory::faults(), "");
  EXPECT_EQ(memory::live_blocks(), blocks) << "memory is left behind";
}

std::vector<Device> table_devices() {
#ifdef DNN_TEST_SIMT
  return {Device::cuda()};
#else
  return {Device::cpu(), Device::cuda()};
#endif
}

void register_tests() {
  for (const Row& row : table())
    for (const Device device : table_devices()) {
      // Without a GPU one skipped test a row says why.
      const bool available = device_count(device.type()) > 0;
      for (const std::string& aspect : available ? aspects_of(row, device) : std::vector<std::string>{"all"})
        ::testing::RegisterTest(
            row.operation.c_str(), (aspect + "." + device_label(device)).c_str(), nullptr, nullptr, __FILE__, __LINE__,
            [&row, aspect, device]() -> ::testing::Test* { return new AspectTest(row, aspect, device); });
    }
}

}  // namespace dnn::test
