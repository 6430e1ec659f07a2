// Every family of kernels, called through its slot and compared with the CPU's kernel: sizes that reach each of their
// paths (packs and tails, warps and blocks, chunks), every element type, special values. Images:
// image_kernels_test.cpp.
#include <gtest/gtest.h>

#include <cmath>

#include "core/kernels/all.h"
#include "tests/simt/kernel_check.h"
#include "tests/simt/simt.h"

namespace dnn::simt::test {

using kernel::ReduceShape;

// ---- element-wise ---------------------------------------------------------------------------------------------------

TEST(UnaryKernels, EveryFunctorAndTypeWithTails) {
  const auto check = []<class F>(F f) {
    SCOPED_TRACE(F::name);
    for (const DType type : floating_types) {
      const Tensor x = uniform({1003}, type, 0.1, 2), grad = uniform({1003}, type), before = uniform({1003}, type);
      const Tensor y = empty_like(x), on_gpu = gpu_like(x);
      kernel::unary_forward<F>[cpu](f, x, y);
      kernel::unary_forward<F>[cuda](f, gpu(x), on_gpu);
      expect_near(on_gpu, y, unit(type));
      Tensor saved;
      if (F::saves == functor::Saves::input) saved = x;
      if (F::saves == functor::Saves::output) saved = y;
      for (const bool accumulate : {false, true}) {
        const Tensor out = before.clone(), gpu_out = gpu(before);
        kernel::unary_backward<F>[cpu](f, grad, saved, out, accumulate);
        kernel::unary_backward<F>[cuda](f, gpu(grad), gpu(saved), gpu_out, accumulate);
        expect_near(gpu_out, out, 2 * unit(type));
      }
    }
  };
  functor::for_each(functor::Unary{}, check);
  functor::for_each(functor::Activations{}, check);
}

// A slice that begins one element behind an aligned address.
TEST(UnaryKernels, ArraysThatAreNotAligned) {
  for (const DType type : floating_types) {
    const Tensor x = uniform({101}, type), whole = gpu(x);
    const Tensor y = detail::allocate({100}, type, cuda), expected = detail::allocate({100}, type, cpu);
    kernel::unary_forward<functor::Square>[cuda]({}, whole.slice(0, 1, 101), y);
    kernel::unary_forward<functor::Square>[cpu]({}, x.slice(0, 1, 101), expected);
    expect_near(y, expected, unit(type));
  }
}

TEST(BinaryKernels, EveryFunctorBroadcastAndNot) {
  functor::for_each(functor::Binary{}, []<class F>(F f) {
    SCOPED_TRACE(F::name);
    for (const DType type : floating_types) {
      const Shape shape{7, 3, 11};
      const Tensor a = uniform(shape, type, 0.5, 2), row = uniform({11}, type, 0.5, 2).expand(shape);
      const Tensor turned = uniform({11, 3, 7}, type, 0.5, 2).transpose(0, 2);
      const Tensor grad = uniform(shape, type), before = uniform(shape, type);
      for (const Tensor& b : {uniform(shape, type, 0.5, 2), row, turned}) {
        // Views must be made on the GPU, since a copy there is contiguous.
        Tensor gpu_b = gpu(b);
        if (b.is_same(row)) gpu_b = gpu(b.select(0, 0).select(0, 0)).expand(shape);
        if (b.is_same(turned)) gpu_b = gpu(b.transpose(0, 2)).transpose(0, 2);
        const Tensor out = detail::allocate(shape, type, cpu), gpu_out = detail::allocate(shape, type, cuda);
        kernel::binary_forward<F>[cpu](f, a, b, out);
        kernel::binary_forward<F>[cuda](f, gpu(a), gpu_b, gpu_out);
        expect_near(gpu_out, out, unit(type));
        const bool saves = F::saves != functor::Saves::nothing;
        for (const int operand : {0, 1}) {
          const Tensor to = before.clone(), gpu_to = gpu(before);
          kernel::binary_backward<F>[cpu](f, operand, grad, saves ? a : Tensor(), saves ? b : Tensor(), to, true);
          kernel::binary_backward<F>[cuda](f, operand, gpu(grad), saves ? gpu(a) : Tensor(), saves ? gpu_b : Tensor(),
                                           gpu_to, true);
          expect_near(gpu_to, to, 4 * unit(type));
        }
      }
    }
  });
}

// ---- copies, random numbers -----------------------------------------------------------------------------------------

TEST(CopyKernels, EveryPairOfTypes) {
  Tensor values = uniform({999}, DType::float64, -300, 300);
  const std::vector<double> special{0, -0.0, 1, -1, 0.5, 65504, 65520, 1e-7, 3e38, 2049, 1.0009765625, 1.00048828125};
  std::copy(special.begin(), special.end(), values.data<double>());
  for (const DType from : all_types) {
    for (const DType to : all_types) {
      SCOPED_TRACE(std::string(name_of(from)) + " to " + name_of(to));
      // What an integer cannot hold converts to anything.
      const bool fits = is_floating(from) && is_floating(to);
      const Tensor wide = fits ? values : uniform({999}, DType::float64, 0, 250);
      const Tensor source = wide.to(from), on_gpu = gpu(source);
      const Tensor expected = detail::allocate({999}, to, cpu), actual = detail::allocate({999}, to, cuda);
      kernel::copy[cpu](source, expected);
      kernel::copy[cuda](on_gpu, actual);
      expect_same(actual, expected);

      const Tensor thin = detail::allocate({3, 333}, to, cuda), thin_expected = detail::allocate({3, 333}, to, cpu);
      kernel::copy[cpu](source.reshape({333, 3}).t(), thin_expected);
      kernel::copy[cuda](on_gpu.reshape({333, 3}).t(), thin);
      expect_same(thin, thin_expected);
    }
  }
}

TEST(CopyKernels, ScattersIntoStridedOutputs) {
  const Tensor source = uniform({40, 50});
  Tensor target = zeros({50, 80}, {.device = cuda}), expected = zeros({50, 80});
  kernel::copy[cuda](gpu(source), target.slice(1, 0, 80, 2).t());
  kernel::copy[cpu](source, expected.slice(1, 0, 80, 2).t());
  expect_same(target, expected);
}

TEST(FillKernels, EveryTypeContiguousAndNot) {
  for (const DType type : all_types) {
    const Tensor whole = detail::allocate({37, 29}, type, cuda), expected = detail::allocate({37, 29}, type, cpu);
    kernel::fill[cuda](whole, 3), kernel::fill[cpu](expected, 3);
    expect_same(whole, expected);
    kernel::fill[cuda](whole.slice(1, 1, 29, 3), 0.25), kernel::fill[cpu](expected.slice(1, 1, 29, 3), 0.25);
    expect_same(whole, expected);
  }
}

TEST(RandomKernels, GiveTheCpusNumbers) {
  for (const DType type : floating_types) {
    for (const int64_t n : {1, 2, 3, 5, 4099}) {
      const Tensor a = detail::allocate({n}, type, cuda), b = detail::allocate({n}, type, cpu);
      kernel::random_uniform[cuda](a, {11, 5}), kernel::random_uniform[cpu](b, {11, 5});
      expect_same(a, b);
      kernel::random_normal[cuda](a, {11, 6}), kernel::random_normal[cpu](b, {11, 6});
      expect_near(a, b, std::max(unit(type), 1e-6));  // computed in float
    }
  }
}

// ---- reductions -----------------------------------------------------------------------------------------------------

const ReduceShape reduce_shapes[] = {
    {1, 1, 1},    {5, 3, 1},    {300, 10, 1}, {1, 20000, 1}, {3, 4001, 1}, {2, 7, 5},
    {1, 9000, 3}, {4, 600, 40}, {2, 1, 70},   {1, 2500, 33}, {1, 0, 1},    {3, 0, 4},
    {0, 5, 1},    {2, 513, 1},  {100, 40, 5}, {70, 520, 1}};  // the last two: more than the grid has blocks

TEST(SumKernels, EveryShapeAndType) {
  for (const ReduceShape& shape : reduce_shapes) {
    for (const DType type : all_types) {
      const Tensor x = uniform({shape.outer, shape.n, shape.inner}, DType::float64, 0, 3).to(type);
      const DType result = is_floating(type) ? type : DType::int64;
      const Tensor before = uniform({shape.outer, shape.inner}, result, 1, 5);
      for (const bool accumulate : {false, true}) {
        const Tensor expected = before.clone(), actual = gpu(before);
        const double scale = is_floating(type) ? 0.5 : 1;
        kernel::reduce_sum[cpu](x, shape, scale, expected, accumulate);
        kernel::reduce_sum[cuda](gpu(x), shape, scale, actual, accumulate);
        expect_near(actual, expected, 2 * unit(type));
      }
    }
  }
}

TEST(FoldKernels, EveryFoldShapeAndType) {
  using kernel::Fold;
  for (const ReduceShape& shape : reduce_shapes) {
    for (const DType type :
         {DType::float64, DType::float32, DType::int64, DType::int32, DType::uint8, DType::boolean}) {
      for (const Fold fold :
           {Fold::product, Fold::product_of_nonzero, Fold::any, Fold::all, Fold::zeros, Fold::nonzeros, Fold::squares,
            Fold::root_of_squares, Fold::magnitudes, Fold::largest_magnitude, Fold::norm, Fold::log_of_exponentials}) {
        const bool truth = fold == Fold::any || fold == Fold::all, fractional = is_floating(type);
        if (!fractional && !truth && fold != Fold::product) continue;
        SCOPED_TRACE(static_cast<int>(fold));
        Tensor x = uniform({shape.outer, shape.n, shape.inner}, DType::float64, 0, 2).to(type);
        if (fractional && x.numel() > 5) x.reshape({-1}).slice(0, 3, x.numel(), 5).fill_(0);
        // A product of many numbers is compared where it neither vanishes nor overflows.
        if (fractional && fold == Fold::product) x = uniform(x.shape(), type, 0.99, 1.01);
        const DType result = truth ? DType::boolean : fractional ? type : DType::int64;
        const Tensor expected = detail::allocate({shape.outer, shape.inner}, result, cpu), actual = gpu_like(expected);
        const kernel::FoldRule rule{.fold = fold, .p = 1.5, .scale = 0.25};
        kernel::reduce_fold[cpu](x, shape, rule, expected);
        kernel::reduce_fold[cuda](gpu(x), shape, rule, actual);
        const double tolerance = fold == Fold::product_of_nonzero ? 1e-6 : 4 * unit(type);
        expect_near(actual, expected, tolerance);
        if (!fractional || truth || fold == Fold::product || x.numel() > 3000) continue;
        const Tensor grad = uniform(expected.shape(), type),
                     count = uniform(expected.shape(), DType::uint8, 0, 3).to(type);
        const Tensor out = empty_like(x), gpu_out = gpu_like(x);
        kernel::reduce_fold_backward[cpu](rule, grad, x, expected, count, shape, out);
        kernel::reduce_fold_backward[cuda](rule, gpu(grad), gpu(x), gpu(expected), gpu(count), shape, gpu_out);
        expect_near(gpu_out, out, 16 * unit(type));
      }
    }
  }
}

TEST(ExtremumKernels, FirstOfEqualsAndNaN) {
  for (const ReduceShape& shape : reduce_shapes) {
    if (shape.n == 0) continue;
    for (const DType type : all_types) {
      if (type == DType::boolean) continue;
      Tensor wide =
          uniform({shape.outer, shape.n, shape.inner}, DType::float64, 0, 9).to(DType::uint8).to(DType::float64);
      if (is_floating(type) && shape.n > 8) {
        for (int64_t i = 5; i < wide.numel(); i += shape.n + 3) wide.data<double>()[i] = NAN;
      }
      const Tensor x = wide.to(type);
      for (const auto which : {kernel::Extremum::max, kernel::Extremum::min}) {
        const Shape small{shape.outer, shape.inner};
        const Tensor values = detail::allocate(small, type, cpu), gpu_values = detail::allocate(small, type, cuda);
        const Tensor at = detail::allocate(small, DType::int64, cpu),
                     gpu_at = detail::allocate(small, DType::int64, cuda);
        kernel::reduce_extremum[cpu](x, shape, which, values, at);
        kernel::reduce_extremum[cuda](gpu(x), shape, which, gpu_values, gpu_at);
        expect_same(gpu_values, values);
        expect_same(gpu_at, at);
        kernel::reduce_extremum[cuda](gpu(x), shape, which, {}, gpu_at);
        expect_same(gpu_at, at);
        if (!is_floating(type)) continue;
        const Tensor grad = uniform(small, type), out = empty_like(x), gpu_out = gpu_like(x);
        kernel::reduce_extremum_backward[cpu](grad, at, shape, out);
        kernel::reduce_extremum_backward[cuda](gpu(grad), gpu_at, shape, gpu_out);
        expect_same(gpu_out, out);
      }
    }
  }
}

TEST(SoftmaxKernels, RowsOfEveryLengthAndColumns) {
  for (const ReduceShape& shape : reduce_shapes) {
    if (shape.n == 0) continue;
    for (const DType type : floating_types) {
      for (const bool logarithm : {false, true}) {
        const Tensor x = uniform({shape.outer, shape.n, shape.inner}, type, -20, 20), grad = uniform(x.shape(), type);
        const Tensor y = empty_like(x), gpu_y = gpu_like(x);
        kernel::softmax_forward[cpu](x, shape, logarithm, y);
        kernel::softmax_forward[cuda](gpu(x), shape, logarithm, gpu_y);
        expect_near(gpu_y, y, 8 * unit(type));  // sums of up to 20000 numbers
        for (const bool accumulate : {false, true}) {
          const Tensor out = uniform(x.shape(), type), gpu_out = gpu(out);
          kernel::softmax_backward[cpu](grad, y, shape, logarithm, out, accumulate);
          kernel::softmax_backward[cuda](gpu(grad), gpu(y), shape, logarithm, gpu_out, accumulate);
          expect_near(gpu_out, out, 8 * unit(type));
        }
      }
    }
  }
}

TEST(CrossEntropyKernels, FewAndManyClasses) {
  for (const int64_t classes : {1, 10, 130, 1000, 3001}) {
    for (const DType type : floating_types) {
      const int64_t n = 9;
      const Tensor logits = uniform({n, classes}, type, -10, 10);
      const Tensor labels = uniform({n}, DType::float64, 0, static_cast<double>(classes)).to(DType::int64);
      const DType wide = type == DType::float64 ? DType::float64 : DType::float32;
      const Tensor losses = detail::allocate({n}, type, cpu), gpu_losses = detail::allocate({n}, type, cuda);
      const Tensor sums = detail::allocate({n, 2}, wide, cpu), gpu_sums = detail::allocate({n, 2}, wide, cuda);
      kernel::cross_entropy_forward[cpu](logits, labels, {}, losses, {}, sums);
      const Tensor gpu_labels = gpu(classes == 10 ? labels.to(DType::int32) : labels);
      kernel::cross_entropy_forward[cuda](gpu(logits), gpu_labels, {}, gpu_losses, {}, gpu_sums);
      expect_near(gpu_losses, losses, 2 * unit(type));
      expect_near(gpu_sums, sums, 2 * unit(wide));
      for (const Tensor& grad : {uniform({n}, type), uniform({1}, type)}) {
        const Tensor out = uniform({n, classes}, type), gpu_out = gpu(out);
        kernel::cross_entropy_backward[cpu](grad, 0.5, logits, labels, {}, sums, out, true);
        kernel::cross_entropy_backward[cuda](gpu(grad), 0.5, gpu(logits), gpu_labels, {}, gpu(sums), gpu_out, true);
        expect_near(gpu_out, out, 4 * unit(type));
      }
    }
  }
}

TEST(CrossEntropyKernels, ReducedWithGradientAndHits) {
  for (const auto& [n, classes] : {std::pair<int64_t, int64_t>{9, 10}, {200, 10}, {5, 1000}, {70, 3001}, {0, 4}}) {
    for (const DType type : floating_types) {
      const DType wide = type == DType::float64 ? DType::float64 : DType::float32;
      const Tensor logits = uniform({n, classes}, type, -10, 10);
      const Tensor labels = uniform({n}, DType::float64, 0, static_cast<double>(classes)).to(DType::int64);
      kernel::CrossEntropyRule rule{.smoothing = n == 200 ? 0.2 : 0.0}, gpu_rule = rule;
      if (n == 9) {
        rule.weights = uniform({classes}, wide, 0.5, 1), rule.ignored = labels.to_vector<int64_t>()[3];
        gpu_rule = rule, gpu_rule.weights = gpu(rule.weights);
      }
      const auto totals = [&](Device device) {
        return kernel::CrossEntropyTotals{.loss = detail::allocate({}, type, device),
                                          .sums = detail::allocate({2}, DType::float64, device),
                                          .gradient = detail::allocate({n, classes}, type, device),
                                          .log_sums = detail::allocate({n, 2}, wide, device)};
      };
      const auto expected = totals(cpu), actual = totals(cuda);
      kernel::cross_entropy_reduced[cpu](logits, labels, rule, 0.25, expected);
      const Tensor gpu_labels = gpu(classes == 10 ? labels.to(DType::int32) : labels);
      kernel::cross_entropy_reduced[cuda](gpu(logits), gpu_labels, gpu_rule, 0.25, actual);
      expect_near(actual.loss, expected.loss, 2 * unit(type));
      expect_near(actual.sums, expected.sums, 4 * unit(wide));
      expect_near(actual.gradient, expected.gradient, 4 * unit(type));
      expect_near(actual.log_sums, expected.log_sums, 2 * unit(wide));
      const Tensor alone = detail::allocate({}, type, cuda);
      kernel::cross_entropy_reduced[cuda](gpu(logits), gpu_labels, gpu_rule, 0.25, {.loss = alone});
      expect_same(alone, actual.loss);
    }
  }
}

// ---- optimizers -----------------------------------------------------------------------------------------------------

struct Lists {
  std::vector<Tensor> parameters, gradients, first, second;
  Lists on_gpu() const {
    Lists result;
    for (const auto& [from, to] : {std::pair{&parameters, &result.parameters}, std::pair{&gradients, &result.gradients},
                                   std::pair{&first, &result.first}, std::pair{&second, &result.second}})
      for (const Tensor& t : *from) to->push_back(gpu(t));
    return result;
  }
};

Lists optimizer_lists() {
  Lists lists;
  for (const DType type : floating_types) {
    for (const int64_t n : {0, 1, 37, 4096, 9001}) {
      lists.parameters.push_back(uniform({n}, type));
      lists.gradients.push_back(uniform({n}, type));
      lists.first.push_back(uniform({n}, type));
      lists.second.push_back(uniform({n}, type, 0.1, 1));
    }
  }
  return lists;
}

void expect_near(const std::vector<Tensor>& actual, const std::vector<Tensor>& expected) {
  for (size_t i = 0; i < expected.size(); ++i) expect_near(actual[i], expected[i], 4 * unit(expected[i].dtype()));
}

TEST(OptimizerKernels, Sgd) {
  for (const SgdUpdate& options :
       {SgdUpdate{.lr = 0.1}, SgdUpdate{.lr = 0.1, .weight_decay = 0.01}, SgdUpdate{.lr = 0.1, .momentum = 0.9},
        SgdUpdate{.lr = 0.1, .momentum = 0.9, .dampening = 0.5, .weight_decay = 0.1, .nesterov = true},
        SgdUpdate{.lr = 0.1, .momentum = 0.9, .step = 1}}) {
    const Lists lists = optimizer_lists(), moved = lists.on_gpu();
    kernel::sgd_update[cpu](lists.parameters, lists.gradients, lists.first, options, {});
    kernel::sgd_update[cuda](moved.parameters, moved.gradients, moved.first, options, {});
    expect_near(moved.parameters, lists.parameters);
    expect_near(moved.first, lists.first);
  }
  const std::vector<Tensor> p{gpu(ones({5}))}, g{gpu(ones({5}))};
  kernel::sgd_update[cuda](p, g, {}, {.lr = 0.25}, {});
  EXPECT_EQ(p[0].to_vector<float>()[4], 0.75f);
}

TEST(OptimizerKernels, Adam) {
  for (const AdamUpdate& options : {AdamUpdate{.lr = 0.1}, AdamUpdate{.lr = 0.1, .weight_decay = 0.1, .step = 7},
                                    AdamUpdate{.lr = 0.1, .weight_decay = 0.1, .decoupled_decay = true, .step = 3}}) {
    const Lists lists = optimizer_lists(), moved = lists.on_gpu();
    kernel::adam_update[cpu](lists.parameters, lists.gradients, lists.first, lists.second, options, {});
    kernel::adam_update[cuda](moved.parameters, moved.gradients, moved.first, moved.second, options, {});
    expect_near(moved.parameters, lists.parameters);
    expect_near(moved.first, lists.first);
    expect_near(moved.second, lists.second);
  }
}

TEST(OptimizerKernels, MixedTypesWithShadows) {
  for (const DType type : {DType::float16, DType::bfloat16}) {
    Lists lists = optimizer_lists();
    kernel::UpdateExtras extras, moved_extras;
    for (size_t i = 0; i < lists.parameters.size(); ++i) {
      const bool master = lists.parameters[i].dtype() == DType::float32;
      if (master) lists.gradients[i] = lists.gradients[i].to(type);
      extras.shadows.push_back(master ? zeros(lists.parameters[i].shape(), {.dtype = type}) : Tensor());
      moved_extras.shadows.push_back(gpu(extras.shadows.back()));
    }
    const Lists moved = lists.on_gpu();
    kernel::rmsprop_update[cpu](lists.parameters, lists.gradients, lists.second, {}, lists.first, {.momentum = 0.5},
                                extras);
    kernel::rmsprop_update[cuda](moved.parameters, moved.gradients, moved.second, {}, moved.first, {.momentum = 0.5},
                                 moved_extras);
    expect_near(moved.parameters, lists.parameters);
    expect_near(moved.first, lists.first);
    for (size_t i = 0; i < lists.parameters.size(); ++i)
      if (extras.shadows[i].defined()) expect_same(moved_extras.shadows[i], moved.parameters[i].to(type));
  }
}

TEST(GradientKernels, AgreeWithTheCpus) {
  const Lists lists = optimizer_lists(), moved = lists.on_gpu();
  for (const bool infinity : {false, true}) {
    const MeasureOptions options{.infinity_norm = infinity, .max_norm = 0.5};
    const GradientMeasures expected = measure_gradients(lists.gradients, options),
                           actual = measure_gradients(moved.gradients, options);
    EXPECT_NEAR(actual.norm.item(), expected.norm.item(), 1e-6 * expected.norm.item());
    EXPECT_NEAR(actual.factor.item(), expected.factor.item(), 1e-6);
    EXPECT_EQ(actual.non_finite.item(), 0);
  }
  kernel::scale_gradients[cpu](lists.gradients, full({}, 0.75));
  kernel::scale_gradients[cuda](moved.gradients, gpu(full({}, 0.75)));
  expect_near(moved.gradients, lists.gradients);
  const Tensor scale = gpu(full({}, 64.0)), streak = gpu(full({}, 1, {.dtype = DType::int32}));
  kernel::update_loss_scale[cuda](scale, streak, gpu(zeros({})), {.interval = 2});
  EXPECT_EQ(scale.item(), 128);
}

TEST(EmptyTensors, LaunchNothing) {
  const int64_t before = counters().launches;
  const Tensor nothing = detail::allocate({0}, DType::float32, cuda);
  kernel::fill[cuda](nothing, 1);
  kernel::copy[cuda](nothing, nothing);
  kernel::unary_forward<functor::Relu>[cuda]({}, nothing, nothing);
  kernel::random_uniform[cuda](nothing, {1, 1});
  kernel::dropout[cuda](nothing, 0.5, {1, 1}, nothing, false);
  EXPECT_EQ(counters().launches, before);
}

}  // namespace dnn::simt::test
