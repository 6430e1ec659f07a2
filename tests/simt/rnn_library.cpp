// What the emulator has in the place of cuDNN's recurrent layers: the CPU's kernels behind a weight space of its own.
//
// It is as unpleasant as cuDNN may be: pieces of the weight space lie in no useful order and apart from each other, the
// pass back changes the reserve, gradients of weights are added to what is there and need what the pass back left in
// reserve and workspace. bfloat16 is taken by GPUs of compute capability 8.0 and later.
#include "cuda/rnn_library.h"

#include <cuda_runtime.h>

#include <array>
#include <cstring>
#include <stdexcept>
#include <utility>

#include "core/storage.h"
#include "cuda/check.h"
#include "cuda/context.h"
#include "dnn/autograd.h"
#include "dnn/ops/binary.h"
#include "dnn/ops/factory.h"
#include "dnn/ops/shape.h"
#include "tests/simt/machine.h"

namespace dnn::cuda {

namespace {

constexpr Device cpu = Device::cpu();

int64_t bytes_of(const Tensor& t) { return t.numel() * static_cast<int64_t>(size_of(t.dtype())); }

// An empty tensor has no address, which memcpy forbids.
void copy(void* to, const void* from, int64_t bytes) {
  if (bytes > 0) std::memcpy(to, from, static_cast<size_t>(bytes));
}

// A copy on the CPU of what lies at `data`; undefined for null.
Tensor load(const void* data, const Shape& shape, DType type) {
  if (data == nullptr) return {};
  const Tensor t = detail::allocate(shape, type, cpu);
  copy(detail::raw(t), data, bytes_of(t));
  return t;
}

void store(const Tensor& t, void* data) {
  if (t.defined() && data != nullptr) copy(data, detail::raw(t), bytes_of(t));
}

template <class... Pointers>
std::array<const void*, 3 + sizeof...(Pointers)> touched(const RnnBuffers& b, Pointers... others) {
  return {b.x, b.weights, b.reserve, others...};
}

class CpuRnn : public RnnPlan {
 public:
  explicit CpuRnn(const RnnShape& shape) : RnnPlan(shape), gates_(matrix_count(shape.cell) / 2) {
    problem_ = {.cell = shape.cell,
                .steps = shape.steps,
                .batch = shape.batch,
                .input = shape.input,
                .hidden = shape.hidden,
                .directions = shape.directions,
                .dtype = shape.dtype,
                .gates = gates_,
                .training = shape.training};
    const auto element = static_cast<int64_t>(size_of(shape.dtype));
    // The last matrix comes first, both directions in turn, then the biases; five elements lie between neighbours.
    int64_t at = 3 * element;
    const auto take = [&](int64_t elements) { return std::exchange(at, at + (elements + 5) * element); };
    for (const bool bias : {false, true})
      for (int number = matrix_count(shape.cell); number-- > 0;)
        for (size_t d = 0; d < static_cast<size_t>(shape.directions); ++d) {
          RnnLayout::Place& place = layout_.places[d][static_cast<size_t>(number)];
          (bias ? place.bias : place.matrix) = take(bias ? shape.hidden : shape.hidden * columns(number));
        }
    layout_.weight_bytes = at;
    kernel::recurrent_reserve[cpu](problem_, &reserve_bytes_);
    if (shape.training) layout_.reserve_bytes = reserve_bytes_;
    // The gradients that the second pass back needs, or anything.
    layout_.workspace_bytes = (sequence().numel() + state().numel()) * element;
  }

  void forward(Context& context, const RnnBuffers& b, void* y, void* c_n) const override {
    simt::perform(context.stream(), "rnn", simt::bytes_of(touched(b, y, c_n)), [=, this] { run_forward(b, y, c_n); });
  }

  void backward_data(Context& context, const RnnBuffers& b, const void* y, const void* grad_y, const void* grad_c_n,
                     void* grad_x, void* grad_h_0, void* grad_c_0) const override {
    simt::perform(context.stream(), "rnn backward",
                  simt::bytes_of(touched(b, y, grad_y, grad_c_n, grad_x, grad_h_0, grad_c_0)),
                  [=, this] { run_backward_data(b, y, grad_y, grad_c_n, grad_x, grad_h_0, grad_c_0); });
  }

  void backward_weights(Context& context, const RnnBuffers& b, const void* y, void* grad_weights) const override {
    simt::perform(context.stream(), "rnn weights", simt::bytes_of(touched(b, y, grad_weights)),
                  [=, this] { run_backward_weights(b, y, grad_weights); });
  }

 private:
  void run_forward(const RnnBuffers& b, void* y, void* c_n) const {
    const kernel::RecurrentTensors tensors = load_all(b, nullptr);
    const Tensor cells = c_n == nullptr ? Tensor() : detail::allocate(state(), shape_.dtype, cpu);
    kernel::recurrent_forward[cpu](problem_, tensors, cells);
    store(tensors.y, y), store(cells, c_n), store(tensors.reserve, b.reserve);
  }

  void run_backward_data(const RnnBuffers& b, const void* y, const void* grad_y, const void* grad_c_n, void* grad_x,
                         void* grad_h_0, void* grad_c_0) const {
    const Tensor of_y = load(grad_y, sequence(), shape_.dtype);
    Tensor of_c_n = load(grad_c_n, state(), shape_.dtype);
    kernel::RecurrentGradients out;
    out.x.tensor = detail::allocate({shape_.steps, shape_.batch, shape_.input}, shape_.dtype, cpu);
    if (grad_h_0 != nullptr) out.h_0.tensor = detail::allocate(state(), shape_.dtype, cpu);
    if (grad_c_0 != nullptr) out.c_0.tensor = detail::allocate(state(), shape_.dtype, cpu);
    kernel::recurrent_backward[cpu](problem_, load_all(b, y), of_y, of_c_n, out);
    store(out.x.tensor, grad_x), store(out.h_0.tensor, grad_h_0), store(out.c_0.tensor, grad_c_0);
    if (!of_c_n.defined()) of_c_n = zeros(state(), {.dtype = shape_.dtype});
    store(of_y, b.workspace), store(of_c_n, static_cast<std::byte*>(b.workspace) + bytes_of(of_y));
    turn(b);
  }

  void run_backward_weights(const RnnBuffers& b, const void* y, void* grad_weights) const {
    turn(b);
    const Tensor of_y = load(b.workspace, sequence(), shape_.dtype);
    Tensor of_c_n;
    if (shape_.cell == kernel::RecurrentCell::lstm)
      of_c_n = load(static_cast<std::byte*>(b.workspace) + bytes_of(of_y), state(), shape_.dtype);
    kernel::RecurrentGradients out;
    for (int64_t d = 0; d < shape_.directions; ++d) {
      auto& of = out.weights[d];
      of.weight_ih.tensor = weight(shape_.input), of.weight_hh.tensor = weight(shape_.hidden);
      of.bias_ih.tensor = weight(0), of.bias_hh.tensor = weight(0);
    }
    kernel::recurrent_backward[cpu](problem_, load_all(b, y), of_y, of_c_n, out);
    const NoGrad no_grad;
    for (int64_t d = 0; d < shape_.directions; ++d) {
      const auto& of = out.weights[d];
      for_each_piece(d, {of.weight_ih.tensor, of.weight_hh.tensor, of.bias_ih.tensor, of.bias_hh.tensor},
                     [&](const Tensor& piece, int64_t offset) {
                       std::byte* const at = static_cast<std::byte*>(grad_weights) + offset;
                       store(load(at, piece.shape(), shape_.dtype) + piece, at);
                     });
    }
    turn(b);
  }

  Shape sequence() const { return {shape_.steps, shape_.batch, shape_.directions * shape_.hidden}; }
  Shape state() const { return {shape_.directions, shape_.batch, shape_.hidden}; }
  int64_t columns(int number) const { return number < gates_ ? shape_.input : shape_.hidden; }
  // All gates of a matrix, or of a bias for 0 columns.
  Tensor weight(int64_t columns) const {
    const int64_t rows = gates_ * shape_.hidden;
    return detail::allocate(columns == 0 ? Shape{rows} : Shape{rows, columns}, shape_.dtype, cpu);
  }

  // Calls visit(rows of one gate, offset in the weight space) for all of a direction's tensors.
  template <class Visit>
  void for_each_piece(int64_t direction, const RecurrentWeights& weights, const Visit& visit) const {
    for (int number = 0; number < 2 * gates_; ++number) {
      const RnnLayout::Place& place = layout_.places[static_cast<size_t>(direction)][static_cast<size_t>(number)];
      const bool of_input = number < gates_;
      const int64_t row = number % gates_ * shape_.hidden;
      visit((of_input ? weights.weight_ih : weights.weight_hh).slice(0, row, row + shape_.hidden), place.matrix);
      visit((of_input ? weights.bias_ih : weights.bias_hh).slice(0, row, row + shape_.hidden), place.bias);
    }
  }

  // The CPU's tensors; y is null before there is one.
  kernel::RecurrentTensors load_all(const RnnBuffers& b, const void* y) const {
    if (b.reserve_bytes < layout_.reserve_bytes) throw std::logic_error("the reserve is too small");
    const NoGrad no_grad;
    kernel::RecurrentTensors t;
    t.x = load(b.x, {shape_.steps, shape_.batch, shape_.input}, shape_.dtype);
    t.h_0 = load(b.h_0, state(), shape_.dtype), t.c_0 = load(b.c_0, state(), shape_.dtype);
    t.y = y == nullptr ? detail::allocate(sequence(), shape_.dtype, cpu) : load(y, sequence(), shape_.dtype);
    t.reserve = y == nullptr ? detail::allocate({reserve_bytes_}, DType::uint8, cpu)
                             : load(b.reserve, {reserve_bytes_}, DType::uint8);
    for (int64_t d = 0; d < shape_.directions; ++d) {
      RecurrentWeights& w = t.weights[d];
      w = {weight(shape_.input), weight(shape_.hidden), weight(0), weight(0)};
      for_each_piece(d, w, [&](const Tensor& piece, int64_t offset) {
        std::memcpy(detail::raw(piece), static_cast<const std::byte*>(b.weights) + offset,
                    static_cast<size_t>(bytes_of(piece)));
      });
    }
    return t;
  }

  static void turn(const RnnBuffers& b) {
    auto* const bytes = static_cast<unsigned char*>(b.reserve);
    for (int64_t i = 0; i < b.reserve_bytes; ++i) bytes[i] ^= 0xff;
  }

  const int gates_;
  kernel::RecurrentProblem problem_;
  int64_t reserve_bytes_ = 0;  // of the CPU's kernels, whether training or not
};

}  // namespace

std::unique_ptr<const RnnPlan> make_rnn_plan(Context&, const RnnShape& shape) {
  return std::make_unique<CpuRnn>(shape);
}

bool rnn_takes_bfloat16() {
  int device = 0, major = 0;
  DNN_CUDA_CHECK(cudaGetDevice(&device));
  DNN_CUDA_CHECK(cudaDeviceGetAttribute(&major, cudaDevAttrComputeCapabilityMajor, device));
  return major >= 8;
}

}  // namespace dnn::cuda
