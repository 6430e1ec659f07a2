// Recurrent layers on the RNN functions of cuDNN 8 and later.
//
// Sequences are of one length, so there are no lengths in device memory (cuDNN ignores them since 8.9.1). Both biases
// are always there. The final states of the outputs are not asked for: they are parts of the output.
#include <fmt/format.h>

#include <vector>

#include "cuda/check.h"
#include "cuda/context.h"
#include "cuda/cudnn.h"
#include "cuda/rnn_library.h"
#include "dnn/error.h"

namespace dnn::cuda {

using kernel::RecurrentCell;

namespace {

// A descriptor of cuDNN, destroyed with its owner.
template <class D>
class Descriptor {
 public:
  using Destroy = cudnnStatus_t (*)(D);
  Descriptor(cudnnStatus_t (*create)(D*), Destroy destroy, const char* call) : destroy_(destroy) {
    check(create(&value_), call, __FILE__, __LINE__);
  }
  ~Descriptor() { destroy_(value_); }
  Descriptor(const Descriptor&) = delete;
  Descriptor& operator=(const Descriptor&) = delete;
  operator D() const { return value_; }

 private:
  Destroy destroy_;
  D value_ = nullptr;
};

#define DNN_CUDNN_DESCRIPTOR(kind)                                                                   \
  {                                                                                                  \
    DNN_LIBRARY_FUNCTION(cudnn, cudnnCreate##kind), DNN_LIBRARY_FUNCTION(cudnn, cudnnDestroy##kind), \
        "cudnnCreate" #kind                                                                          \
  }

cudnnRNNMode_t mode_of(RecurrentCell cell) {
  switch (cell) {
    case RecurrentCell::lstm: return CUDNN_LSTM;
    case RecurrentCell::gru: return CUDNN_GRU;
    case RecurrentCell::tanh: return CUDNN_RNN_TANH;
    default: return CUDNN_RNN_RELU;
  }
}

cudnnDataType_t type_of(DType type) {
  switch (type) {
    case DType::float64: return CUDNN_DATA_DOUBLE;
    case DType::float16: return CUDNN_DATA_HALF;
    case DType::bfloat16: return CUDNN_DATA_BFLOAT16;
    default: return CUDNN_DATA_FLOAT;
  }
}

// The default lets tensor cores round float32 to TF32, FMA does not; it is documented for float32 alone, as that of
// tensor cores is for float16.
cudnnMathType_t math_of(const RnnShape& shape) {
  if (shape.dtype == DType::float16) return CUDNN_TENSOR_OP_MATH;
  return shape.dtype == DType::float32 && !shape.tf32 ? CUDNN_FMA_MATH : CUDNN_DEFAULT_MATH;
}

class CudnnRnn : public RnnPlan {
 public:
  CudnnRnn(Context& context, const RnnShape& shape) : RnnPlan(shape), mode_(forward_mode(shape)) {
    const CudnnHandle handle(context);
    const cudnnDataType_t type = type_of(shape.dtype);
    const auto size = [](int64_t n) { return static_cast<int>(n); };
    DNN_CUDNN_CALL(cudnnSetDropoutDescriptor, no_dropout_, handle, 0.0f, nullptr, 0, 0);
    DNN_CUDNN_CALL(cudnnSetRNNDescriptor_v8, rnn_, CUDNN_RNN_ALGO_STANDARD, mode_of(shape.cell), CUDNN_RNN_DOUBLE_BIAS,
                   shape.directions == 2 ? CUDNN_BIDIRECTIONAL : CUDNN_UNIDIRECTIONAL, CUDNN_LINEAR_INPUT, type,
                   shape.dtype == DType::float64 ? CUDNN_DATA_DOUBLE : CUDNN_DATA_FLOAT, math_of(shape),
                   size(shape.input), size(shape.hidden), size(shape.hidden), 1, no_dropout_,
                   CUDNN_RNN_PADDED_IO_ENABLED);

    const std::vector<int> lengths(static_cast<size_t>(shape.batch), size(shape.steps));
    const auto set_sequence = [&](cudnnRNNDataDescriptor_t sequence, int64_t features) {
      DNN_CUDNN_CALL(cudnnSetRNNDataDescriptor, sequence, type, CUDNN_RNN_DATA_LAYOUT_SEQ_MAJOR_UNPACKED,
                     size(shape.steps), size(shape.batch), size(features), lengths.data(), nullptr);
    };
    set_sequence(x_, shape.input);
    set_sequence(y_, shape.directions * shape.hidden);
    const int sizes[3] = {size(shape.directions), size(shape.batch), size(shape.hidden)};
    const int strides[3] = {sizes[1] * sizes[2], sizes[2], 1};
    DNN_CUDNN_CALL(cudnnSetTensorNdDescriptor, state_, type, 3, sizes, strides);

    size_t weights = 0, workspace = 0, reserve = 0;
    DNN_CUDNN_CALL(cudnnGetRNNWeightSpaceSize, handle, rnn_, &weights);
    DNN_CUDNN_CALL(cudnnGetRNNTempSpaceSizes, handle, rnn_, mode_, x_, &workspace, &reserve);
    layout_.weight_bytes = static_cast<int64_t>(weights);
    layout_.workspace_bytes = static_cast<int64_t>(workspace);
    layout_.reserve_bytes = shape.training ? static_cast<int64_t>(reserve) : 0;
    find_places(context, handle, shape);
  }

  void forward(Context& context, const RnnBuffers& b, void* y, void* c_n) const override {
    const CudnnHandle handle(context);
    DNN_CUDNN_CALL(cudnnRNNForward, handle, rnn_, mode_, nullptr, x_, b.x, y_, y, state_, b.h_0, nullptr, state_, b.c_0,
                   c_n, weight_size(), b.weights, workspace_size(), b.workspace, static_cast<size_t>(b.reserve_bytes),
                   b.reserve);
  }

  void backward_data(Context& context, const RnnBuffers& b, const void* y, const void* grad_y, const void* grad_c_n,
                     void* grad_x, void* grad_h_0, void* grad_c_0) const override {
    const CudnnHandle handle(context);
    DNN_CUDNN_CALL(cudnnRNNBackwardData_v8, handle, rnn_, nullptr, y_, y, grad_y, x_, grad_x, state_, b.h_0, nullptr,
                   grad_h_0, state_, b.c_0, grad_c_n, grad_c_0, weight_size(), b.weights, workspace_size(), b.workspace,
                   static_cast<size_t>(b.reserve_bytes), b.reserve);
  }

  void backward_weights(Context& context, const RnnBuffers& b, const void* y, void* grad_weights) const override {
    const CudnnHandle handle(context);
    DNN_CUDNN_CALL(cudnnRNNBackwardWeights_v8, handle, rnn_, CUDNN_WGRAD_MODE_ADD, nullptr, x_, b.x, state_, b.h_0, y_,
                   y, weight_size(), grad_weights, workspace_size(), b.workspace, static_cast<size_t>(b.reserve_bytes),
                   b.reserve);
  }

 private:
  static cudnnForwardMode_t forward_mode(const RnnShape& shape) {
    return shape.training ? CUDNN_FWD_MODE_TRAINING : CUDNN_FWD_MODE_INFERENCE;
  }
  size_t weight_size() const { return static_cast<size_t>(layout_.weight_bytes); }
  size_t workspace_size() const { return static_cast<size_t>(layout_.workspace_bytes); }

  // Asks for each matrix and bias where it lies in a weight space, of which nothing is read.
  void find_places(Context& context, cudnnHandle_t handle, const RnnShape& shape) {
    const Descriptor<cudnnTensorDescriptor_t> matrix DNN_CUDNN_DESCRIPTOR(TensorDescriptor);
    const Descriptor<cudnnTensorDescriptor_t> bias DNN_CUDNN_DESCRIPTOR(TensorDescriptor);
    const Scratch space(context, layout_.weight_bytes);
    const auto* const begin = space.as<const std::byte>();
    for (int direction = 0; direction < static_cast<int>(shape.directions); ++direction) {
      for (int number = 0; number < matrix_count(shape.cell); ++number) {
        void *at_matrix = nullptr, *at_bias = nullptr;
        DNN_CUDNN_CALL(cudnnGetRNNWeightParams, handle, rnn_, direction, weight_size(), begin, number, matrix,
                       &at_matrix, bias, &at_bias);
        const bool of_input = matrix_of(shape.cell, number).factor == RnnFactor::input;
        check_matrix(matrix, at_matrix, shape.hidden, of_input ? shape.input : shape.hidden);
        check_matrix(bias, at_bias, shape.hidden, 1);
        layout_.places[static_cast<size_t>(direction)][static_cast<size_t>(number)] = {
            static_cast<std::byte*>(at_matrix) - begin, static_cast<std::byte*>(at_bias) - begin};
      }
    }
  }

  // Pieces are copied as they are, so a matrix must be [1, rows, columns] without gaps.
  static void check_matrix(cudnnTensorDescriptor_t descriptor, const void* data, int64_t rows, int64_t columns) {
    cudnnDataType_t type{};
    int rank = 0, sizes[3] = {}, strides[3] = {};
    DNN_CUDNN_CALL(cudnnGetTensorNdDescriptor, descriptor, 3, &type, &rank, sizes, strides);
    const bool rows_follow = rows == 1 || strides[1] == columns;
    const bool columns_follow = columns == 1 || strides[2] == 1;
    if (data == nullptr || rank != 3 || sizes[0] != 1 || sizes[1] != rows || sizes[2] != columns || !rows_follow ||
        !columns_follow)
      throw BackendError(fmt::format(
          "cuda: cuDNN has weights [{}, {}, {}] with strides [{}, {}, {}], expected [1, {}, {}] without gaps", sizes[0],
          sizes[1], sizes[2], strides[0], strides[1], strides[2], rows, columns));
  }

  const cudnnForwardMode_t mode_;
  const Descriptor<cudnnRNNDescriptor_t> rnn_ DNN_CUDNN_DESCRIPTOR(RNNDescriptor);
  const Descriptor<cudnnDropoutDescriptor_t> no_dropout_ DNN_CUDNN_DESCRIPTOR(DropoutDescriptor);
  const Descriptor<cudnnRNNDataDescriptor_t> x_ DNN_CUDNN_DESCRIPTOR(RNNDataDescriptor);
  const Descriptor<cudnnRNNDataDescriptor_t> y_ DNN_CUDNN_DESCRIPTOR(RNNDataDescriptor);
  const Descriptor<cudnnTensorDescriptor_t> state_ DNN_CUDNN_DESCRIPTOR(TensorDescriptor);
};

}  // namespace

std::unique_ptr<const RnnPlan> make_rnn_plan(Context& context, const RnnShape& shape) {
  return std::make_unique<CudnnRnn>(context, shape);
}

// cuDNN 9.19 takes it on GPUs of compute capability 8.0 and later; what earlier versions take is not known.
bool rnn_takes_bfloat16() {
  static const bool known = DNN_LIBRARY_FUNCTION(cudnn, cudnnGetVersion)() >= 91900;
  int ordinal = 0, major = 0;
  DNN_CUDA_CHECK(cudaGetDevice(&ordinal));
  DNN_CUDA_CHECK(cudaDeviceGetAttribute(&major, cudaDevAttrComputeCapabilityMajor, ordinal));
  return known && major >= 8;
}

}  // namespace dnn::cuda
