// Recurrent layers on the GPU: which rows of PyTorch's weights are which matrix of cuDNN, and what the slots do around
// the library. The operation table (dnn_simt_ops_test) compares all their results with the reference.
#include <gmock/gmock.h>

#include <map>

#include "cuda/context.h"
#include "cuda/rnn_layout.h"
#include "cuda/rnn_library.h"
#include "dnn/autograd.h"
#include "dnn/ops/binary.h"
#include "dnn/ops/factory.h"
#include "dnn/ops/loss.h"
#include "dnn/ops/optim.h"
#include "dnn/ops/recurrent.h"
#include "dnn/ops/reduce.h"
#include "dnn/ops/shape.h"
#include "dnn/ops/unary.h"
#include "dnn/random.h"
#include "tests/harness/errors.h"
#include "tests/simt/simt.h"

namespace dnn::simt::test {

using cuda::RnnFactor;
using cuda::RnnLayout;
using cuda::RnnPiece;
using cuda::RnnShape;
using cuda::RnnWeight;
using kernel::RecurrentCell;
using kernel::RecurrentProblem;

// ---- the translation ------------------------------------------------------------------------------------------------

// cuDNN's documentation of cudnnGetRNNWeightParams: numbers and gates; PyTorch's of LSTM and GRU: rows of the weights.
struct Gates {
  RecurrentCell cell;
  std::vector<std::string> of_numbers;  // of the matrices that multiply the input; those of the state follow
  std::vector<std::string> of_rows;
};

const std::vector<Gates> all_gates{
    {RecurrentCell::lstm, {"input", "forget", "new memory", "output"}, {"input", "forget", "new memory", "output"}},
    {RecurrentCell::gru, {"reset", "update", "new memory"}, {"reset", "update", "new memory"}},
    {RecurrentCell::tanh, {"the one"}, {"the one"}},
    {RecurrentCell::relu, {"the one"}, {"the one"}}};

TEST(RnnLayout, EveryMatrixIsTheGateOfItsNumber) {
  for (const Gates& gates : all_gates) {
    const auto count = static_cast<int>(gates.of_numbers.size());
    ASSERT_EQ(cuda::matrix_count(gates.cell), 2 * count);
    for (int number = 0; number < 2 * count; ++number) {
      const cuda::RnnMatrix matrix = cuda::matrix_of(gates.cell, number);
      EXPECT_EQ(matrix.factor, number < count ? RnnFactor::input : RnnFactor::state) << number;
      EXPECT_EQ(gates.of_rows[static_cast<size_t>(matrix.row)], gates.of_numbers[static_cast<size_t>(number % count)]);
    }
  }
}

TEST(RnnLayout, PiecesCoverEveryTensorInOrder) {
  for (const Gates& gates : all_gates) {
    for (const int64_t directions : {1, 2}) {
      const RnnShape shape{.cell = gates.cell, .input = 3, .hidden = 5, .directions = directions};
      const auto count = static_cast<int64_t>(gates.of_numbers.size());
      RnnLayout layout;
      for (int d = 0; d < 2; ++d)
        for (int number = 0; number < 8; ++number)
          layout.places[static_cast<size_t>(d)][static_cast<size_t>(number)] = {1000 * (d + 1) + 10 * number,
                                                                                1000 * (d + 1) + 10 * number + 5};
      std::map<std::pair<int64_t, RnnWeight>, int64_t> covered;
      for (const RnnPiece& piece : cuda::pieces_of(shape, layout)) {
        int64_t& end = covered[{piece.direction, piece.weight}];
        EXPECT_EQ(piece.begin, end);
        const int64_t gate = end / piece.n;
        const bool bias = piece.weight == RnnWeight::bias_ih || piece.weight == RnnWeight::bias_hh;
        const bool of_state = piece.weight == RnnWeight::weight_hh || piece.weight == RnnWeight::bias_hh;
        EXPECT_EQ(piece.offset, 1000 * (piece.direction + 1) + 10 * (gate + (of_state ? count : 0)) + (bias ? 5 : 0));
        end += piece.n;
      }
      ASSERT_EQ(covered.size(), static_cast<size_t>(4 * directions));
      for (const auto& [key, end] : covered) {
        const bool bias = key.second == RnnWeight::bias_ih || key.second == RnnWeight::bias_hh;
        EXPECT_EQ(end, count * 5 * (bias ? 1 : key.second == RnnWeight::weight_ih ? 3 : 5));
      }
    }
  }
}

TEST(RnnLayout, ATypeThatTheLibraryLacksBecomesFloat32) {
  const auto shape = [](DType type, bool takes_bfloat16, bool allow_tf32) {
    return cuda::shape_of({.cell = RecurrentCell::gru, .steps = 2, .directions = 2, .dtype = type, .training = false},
                          takes_bfloat16, allow_tf32);
  };
  EXPECT_EQ(shape(DType::bfloat16, true, true).dtype, DType::bfloat16);
  EXPECT_EQ(shape(DType::bfloat16, false, true).dtype, DType::float32);
  EXPECT_EQ(shape(DType::float16, false, true).dtype, DType::float16);
  EXPECT_EQ(shape(DType::float64, false, true).dtype, DType::float64);
  // TF32 is a question of float32 alone, and bfloat16 that was converted has nothing to lose.
  EXPECT_TRUE(shape(DType::float32, true, true).tf32);
  EXPECT_FALSE(shape(DType::float32, true, false).tf32);
  EXPECT_FALSE(shape(DType::float16, true, true).tf32);
  EXPECT_FALSE(shape(DType::float64, true, true).tf32);
  EXPECT_TRUE(shape(DType::bfloat16, false, false).tf32);
  EXPECT_EQ(
      shape(DType::float64, true, true),
      (RnnShape{.cell = RecurrentCell::gru, .steps = 2, .directions = 2, .dtype = DType::float64, .training = false}));
}

TEST(RnnLayout, SizesBeyondTheLibrarysIntegers) {
  EXPECT_ERROR(cuda::shape_of({.steps = int64_t{1} << 31}, true, true), ArgumentError,
               "cuda: a recurrent layer has 2147483648 steps, expected at most 2147483647");
  EXPECT_ERROR(cuda::shape_of({.batch = int64_t{1} << 40}, true, true), ArgumentError,
               "cuda: a recurrent layer has 1099511627776 sequences, expected at most 2147483647");
  EXPECT_ERROR(cuda::shape_of({.input = int64_t{1} << 31}, true, true), ArgumentError,
               "cuda: a recurrent layer has 2147483648 features, expected at most 2147483647");
  EXPECT_ERROR(cuda::shape_of({.hidden = int64_t{1} << 31}, true, true), ArgumentError,
               "cuda: a recurrent layer has 2147483648 hidden units, expected at most 2147483647");
  EXPECT_ERROR(
      cuda::shape_of({.batch = 65536, .hidden = 32768}, true, true), ArgumentError,
      "cuda: a recurrent layer has 65536 sequences with 32768 hidden units, expected at most 2147483647 hidden "
      "units in all");
}

// ---- the slots ------------------------------------------------------------------------------------------------------

class Rnn : public ::testing::Test {
 protected:
  Rnn() {
    set_order(Order::shuffled);
    manual_seed(3);
  }
  ~Rnn() override {
    set_order(Order::every);
    set_machine({});
    context.memory().set_caching(false);
  }
  cuda::Context& context = cuda::Context::of(0);
};

RecurrentWeights weights_of(int64_t gates, int64_t input, int64_t hidden, DType type = DType::float32) {
  const auto draw = [&](const Shape& shape) {
    return (rand(shape) - 0.5).to(type).to(Device::cuda()).set_requires_grad();
  };
  return {draw({gates * hidden, input}), draw({gates * hidden, hidden}), draw({gates * hidden}),
          draw({gates * hidden})};
}

RecurrentWeights on_cpu(const RecurrentWeights& w) {
  const auto copy = [](const Tensor& t) { return t.detach().to(Device::cpu()).set_requires_grad(); };
  return {copy(w.weight_ih), copy(w.weight_hh), copy(w.bias_ih), copy(w.bias_hh)};
}

std::vector<float> values(const Tensor& t) { return t.detach().to(DType::float32).to_vector<float>(); }

void expect_near(const Tensor& actual, const Tensor& expected, double tolerance) {
  EXPECT_THAT(values(actual),
              ::testing::Pointwise(::testing::FloatNear(static_cast<float>(tolerance)), values(expected)));
}

TEST_F(Rnn, ASecondBackwardPassFindsTheReserveAsItWas) {
  const std::vector<RecurrentWeights> weights{weights_of(4, 3, 5), weights_of(4, 3, 5)};
  const Tensor x = rand({4, 2, 3}, {.device = Device::cuda()}).set_requires_grad();
  const Tensor loss = sum(square(lstm(x, weights, {}, {.bidirectional = true}).output));
  loss.backward({.retain_graph = true});
  const std::vector<float> first = values(weights[1].weight_hh.grad()), of_x = values(x.grad());
  for (const RecurrentWeights& w : weights)
    for (Tensor t : {w.weight_ih, w.weight_hh, w.bias_ih, w.bias_hh}) t.zero_grad();
  Tensor(x).zero_grad();
  loss.backward();
  EXPECT_EQ(values(weights[1].weight_hh.grad()), first);
  EXPECT_EQ(values(x.grad()), of_x);
}

// A GPU without bfloat16 gets float32.
TEST_F(Rnn, Bfloat16OnNewAndOldGpus) {
  const std::vector<RecurrentWeights> weights{weights_of(3, 3, 5, DType::bfloat16)};
  const Tensor x = rand({4, 2, 3}).to(DType::bfloat16);
  const std::vector<RecurrentWeights> host{on_cpu(weights[0])};
  const Tensor expected = gru(x, host).output;
  sum(square(expected)).backward();
  for (const int major : {9, 7}) {
    set_machine({.major = major});
    RecurrentWeights w = weights[0];
    for (Tensor t : {w.weight_ih, w.weight_hh, w.bias_ih, w.bias_hh}) t.zero_grad();
    for (const int pass : {1, 2}) {  // the second is added
      const Tensor y = gru(x.to(Device::cuda()), weights).output;
      expect_near(y, expected, 0.01);
      sum(square(y)).backward();
      expect_near(w.weight_ih.grad(), host[0].weight_ih.grad() * pass, 0.03 * pass);
      expect_near(w.weight_hh.grad(), host[0].weight_hh.grad() * pass, 0.03 * pass);
      expect_near(w.bias_ih.grad(), host[0].bias_ih.grad() * pass, 0.03 * pass);
      expect_near(w.bias_hh.grad(), host[0].bias_hh.grad() * pass, 0.03 * pass);
    }
  }
}

// One tensor in four places: the moves of its gradients must follow each other.
TEST_F(Rnn, WeightsThatAreOneTensorGetTheSumOfTheirGradients) {
  const RecurrentWeights w = weights_of(4, 5, 5);
  const RecurrentWeights tied{w.weight_ih, w.weight_ih, w.bias_ih, w.bias_ih};
  const RecurrentWeights host = on_cpu(w), host_tied{host.weight_ih, host.weight_ih, host.bias_ih, host.bias_ih};
  const Tensor x = rand({3, 2, 5});
  sum(square(lstm(x.to(Device::cuda()), {tied, tied}, {}, {.bidirectional = true}).output)).backward();
  sum(square(lstm(x, {host_tied, host_tied}, {}, {.bidirectional = true}).output)).backward();
  expect_near(w.weight_ih.grad(), host.weight_ih.grad(), 1e-5);
  expect_near(w.bias_ih.grad(), host.bias_ih.grad(), 1e-5);
}

// All sixteen tensors of both directions.
TEST_F(Rnn, WeightsTravelInOneLaunch) {
  const RecurrentProblem problem{.steps = 3, .batch = 2, .input = 4, .hidden = 5, .directions = 2, .training = false};
  const auto make = [](const Shape& shape) { return zeros(shape, {.device = Device::cuda()}); };
  const kernel::RecurrentTensors tensors{make({3, 2, 4}),  {}, {},
                                         make({3, 2, 10}), {}, {weights_of(4, 4, 5), weights_of(4, 4, 5)}};
  const Tensor c_n = make({2, 2, 5});
  const int64_t before = context.counters().launches;
  kernel::recurrent_forward[Device::cuda()](problem, tensors, c_n);
  EXPECT_EQ(context.counters().launches, before + 2) << "the weights, and the library's call";
}

TEST_F(Rnn, InferenceKeepsNoReserve) {
  RecurrentProblem problem{.steps = 3, .batch = 2, .input = 4, .hidden = 5, .training = false};
  int64_t bytes = -1;
  kernel::recurrent_reserve[Device::cuda()](problem, &bytes);
  EXPECT_EQ(bytes, 0);
  problem.training = true;
  kernel::recurrent_reserve[Device::cuda()](problem, &bytes);
  EXPECT_GT(bytes, (4 * 5 * 4 + 4 * 5 * 5) * 4) << "the weights and more";
  problem.batch = 0;
  kernel::recurrent_reserve[Device::cuda()](problem, &bytes);
  EXPECT_EQ(bytes, 0);
}

// Shapes beyond what the cache of plans holds.
TEST_F(Rnn, SequencesOfManyLengths) {
  const std::vector<RecurrentWeights> weights{weights_of(1, 1, 2)};
  const NoGrad no_grad;
  const Tensor x = rand({300, 1, 1}, {.device = Device::cuda()});
  const std::vector<float> whole = values(rnn(x, weights).output);
  for (int64_t n = 1; n <= 300; ++n) {
    const std::vector<float> part = values(rnn(x.slice(0, 0, n), weights).output);
    EXPECT_THAT(part, ::testing::ElementsAreArray(whole.begin(), whole.begin() + 2 * n));
  }
}

TEST_F(Rnn, ATrainingStepNeitherWaitsNorAsksForMemory) {
  context.memory().set_caching(true);
  const std::vector<RecurrentWeights> weights{weights_of(4, 3, 6), weights_of(4, 6, 6)};
  std::vector<Tensor> parameters, velocities;
  for (const RecurrentWeights& w : weights)
    for (const Tensor& t : {w.weight_ih, w.weight_hh, w.bias_ih, w.bias_hh}) {
      parameters.push_back(t);
      velocities.push_back(zeros(t.shape(), {.device = Device::cuda()}));
    }
  const Tensor sequences = rand({7, 4, 3}), targets = rand({7, 4, 6});
  Tensor loss;
  const auto step = [&](bool first) {
    const Tensor x = sequences.to(Device::cuda()), target = targets.to(Device::cuda());
    for (Tensor p : parameters) p.zero_grad();
    loss = mse_loss(lstm(x, weights).output, target);
    loss.backward();
    std::vector<Tensor> gradients;
    for (const Tensor& p : parameters) gradients.push_back(p.grad());
    sgd_update_(parameters, gradients, velocities, {.lr = 0.1, .momentum = 0.9, .step = first});
  };
  step(true);
  step(false);
  const double early = loss.item();
  const auto before = context.counters();
  const Counters machine_before = counters();
  for (int i = 0; i < 10; ++i) step(false);
  EXPECT_EQ(context.counters().waits, before.waits);
  EXPECT_EQ(counters().waits, machine_before.waits);
  EXPECT_EQ(counters().allocations, machine_before.allocations);
  EXPECT_LT(loss.item(), early) << "and it learns";
}

}  // namespace dnn::simt::test
