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
#include "tests/harness/trial.h"

namespace dnn::test {

namespace {

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

void run_layout_as(const Row& row, DType type, Layout layout, Device device) {
  each_sample(row, type, device, [&](Trial& t) {
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
        const bool result_able = takes_layout(result.shape(), result.dtype(), layout, device);
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

// A GPU's images of 16 bits have layouts too.
void run_layout(const Row& row, Layout layout, Device device) {
  run_layout_as(row, DType::float32, layout, device);
  const auto& types = row.floating;
  if (!device.is_cpu() && std::find(types.begin(), types.end(), DType::bfloat16) != types.end())
    run_layout_as(row, DType::bfloat16, layout, device);
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
      for (const auto& [name, layout] : other_layouts) {
        if (!device_has(device, layout)) continue;
        bool any = false;
        for (size_t i = 0; i < t.inputs(); ++i) any = any || t.takes_layout(i, layout);
        if (!any) continue;
        SCOPED_TRACE(name);
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

// The blocks in use, without those of a GPU's filters that are kept arranged until others are.
int64_t blocks_in_use(Device device) {
  if (!device.is_cpu()) release_cached_memory(device);
  return memory::live_blocks();
}

}  // namespace

void run_aspect(const Row& row, const std::string& aspect, Device device) {
  memory::install();
  const int64_t blocks = blocks_in_use(device);
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
  } else if (const auto layout = other_layouts.find(aspect); layout != other_layouts.end()) {
    run_layout(row, layout->second, device);
  } else {
    run_type(row, parse_dtype(aspect), device);
  }
  EXPECT_EQ(memory::faults(), "");
  EXPECT_EQ(blocks_in_use(device), blocks) << "memory is left behind";
}

}  // namespace dnn::test
