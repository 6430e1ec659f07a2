// Plans for matrix products by cuBLASLt: the algorithms that its heuristics propose.
#include <cublasLt.h>
#include <fmt/format.h>

#include <array>
#include <map>
#include <mutex>
#include <utility>
#include <vector>

#include "cuda/check.h"
#include "cuda/context.h"
#include "cuda/library.h"
#include "cuda/matmul_plan.h"
#include "cuda/trial.h"
#include "dnn/error.h"

namespace dnn::cuda {

namespace {

void check(cublasStatus_t status, const char* call, const char* file, int line) {
  if (status == CUBLAS_STATUS_SUCCESS) return;
  throw_call_failed(call, DNN_LIBRARY_FUNCTION(cublaslt, cublasLtGetStatusName)(status), file, line);
}

// Calls a function of cuBLASLt and throws BackendError with call, status and place when it fails.
#define DNN_CUBLASLT_CALL(function, ...) \
  check(DNN_LIBRARY_FUNCTION(cublaslt, function)(__VA_ARGS__), #function "(" #__VA_ARGS__ ")", __FILE__, __LINE__)

constexpr uint64_t workspace_limit = uint64_t{32} << 20;

// The handle of a context, made on first use and never destroyed. It serves all threads at once.
cublasLtHandle_t handle_of(const Context& context) {
  static std::mutex mutex;
  static auto& handles = *new std::map<const Context*, cublasLtHandle_t>;
  const std::lock_guard lock(mutex);
  cublasLtHandle_t& handle = handles[&context];
  if (handle == nullptr) DNN_CUBLASLT_CALL(cublasLtCreate, &handle);
  return handle;
}

// ---- descriptors ----------------------------------------------------------------------------------------------------

cudaDataType data_type(DType type) {
  switch (type) {
    case DType::float64: return CUDA_R_64F;
    case DType::float32: return CUDA_R_32F;
    case DType::float16: return CUDA_R_16F;
    case DType::bfloat16: return CUDA_R_16BF;
    default: throw DTypeError(fmt::format("matmul: elements of type {}, expected a floating type", name_of(type)));
  }
}

cublasComputeType_t compute_type(MatmulCompute compute) {
  switch (compute) {
    case MatmulCompute::float64: return CUBLAS_COMPUTE_64F;
    case MatmulCompute::float32: return CUBLAS_COMPUTE_32F;
    case MatmulCompute::tf32: return CUBLAS_COMPUTE_32F_FAST_TF32;
  }
  return CUBLAS_COMPUTE_32F;
}

cublasLtEpilogue_t epilogue_type(MatmulEpilogue epilogue) {
  switch (epilogue) {
    case MatmulEpilogue::none: return CUBLASLT_EPILOGUE_DEFAULT;
    case MatmulEpilogue::bias: return CUBLASLT_EPILOGUE_BIAS;
    case MatmulEpilogue::relu: return CUBLASLT_EPILOGUE_RELU;
    case MatmulEpilogue::relu_bias: return CUBLASLT_EPILOGUE_RELU_BIAS;
    case MatmulEpilogue::gelu_aux: return CUBLASLT_EPILOGUE_GELU_AUX;
    case MatmulEpilogue::gelu_aux_bias: return CUBLASLT_EPILOGUE_GELU_AUX_BIAS;
    case MatmulEpilogue::relu_aux_bias: return CUBLASLT_EPILOGUE_RELU_AUX_BIAS;
    case MatmulEpilogue::relu_gradient: return CUBLASLT_EPILOGUE_DRELU_BGRAD;
    case MatmulEpilogue::bias_gradient: return CUBLASLT_EPILOGUE_BGRADB;
  }
  return CUBLASLT_EPILOGUE_DEFAULT;
}

// Owns a descriptor of any of the three kinds.
template <class Descriptor, class Destroy>
class Owned {
 public:
  Owned() = default;
  ~Owned() {
    if (descriptor != nullptr) Destroy{}(descriptor);
  }
  Owned(const Owned&) = delete;
  Owned& operator=(const Owned&) = delete;
  Descriptor descriptor = nullptr;
};

struct DestroyLayout {
  void operator()(cublasLtMatrixLayout_t layout) const {
    DNN_LIBRARY_FUNCTION(cublaslt, cublasLtMatrixLayoutDestroy)(layout);
  }
};
struct DestroyOperation {
  void operator()(cublasLtMatmulDesc_t operation) const {
    DNN_LIBRARY_FUNCTION(cublaslt, cublasLtMatmulDescDestroy)(operation);
  }
};
struct DestroyPreference {
  void operator()(cublasLtMatmulPreference_t preference) const {
    DNN_LIBRARY_FUNCTION(cublaslt, cublasLtMatmulPreferenceDestroy)(preference);
  }
};

// The types of the values are those that cublasLt.h documents for the attributes.
struct MatrixLayout : Owned<cublasLtMatrixLayout_t, DestroyLayout> {
  MatrixLayout(const MatmulMatrix& m, DType type, int64_t batch) {
    DNN_CUBLASLT_CALL(cublasLtMatrixLayoutCreate, &descriptor, data_type(type), static_cast<uint64_t>(m.rows),
                      static_cast<uint64_t>(m.columns), m.leading);
    if (batch == 1) return;
    set(CUBLASLT_MATRIX_LAYOUT_BATCH_COUNT, static_cast<int32_t>(batch));
    set(CUBLASLT_MATRIX_LAYOUT_STRIDED_BATCH_OFFSET, m.step);
  }
  template <class Value>
  void set(cublasLtMatrixLayoutAttribute_t attribute, Value value) {
    DNN_CUBLASLT_CALL(cublasLtMatrixLayoutSetAttribute, descriptor, attribute, &value, sizeof value);
  }
};

struct Operation : Owned<cublasLtMatmulDesc_t, DestroyOperation> {
  explicit Operation(const MatmulProblem& p) {
    const cudaDataType scale = p.compute == MatmulCompute::float64 ? CUDA_R_64F : CUDA_R_32F;
    DNN_CUBLASLT_CALL(cublasLtMatmulDescCreate, &descriptor, compute_type(p.compute), scale);
    const auto turn = [](bool transpose) { return static_cast<int32_t>(transpose ? CUBLAS_OP_T : CUBLAS_OP_N); };
    set(CUBLASLT_MATMUL_DESC_TRANSA, turn(p.transpose_a));
    set(CUBLASLT_MATMUL_DESC_TRANSB, turn(p.transpose_b));
    if (p.epilogue == MatmulEpilogue::none) return;
    set(CUBLASLT_MATMUL_DESC_EPILOGUE, static_cast<uint32_t>(epilogue_type(p.epilogue)));
    if (has_aux(p.epilogue)) set(CUBLASLT_MATMUL_DESC_EPILOGUE_AUX_LD, p.aux_leading);
  }
  template <class Value>
  void set(cublasLtMatmulDescAttributes_t attribute, Value value) {
    DNN_CUBLASLT_CALL(cublasLtMatmulDescSetAttribute, descriptor, attribute, &value, sizeof value);
  }
  void set_vectors(const MatmulProblem& p, const void* bias, const void* aux) {
    if (has_bias(p.epilogue)) set(CUBLASLT_MATMUL_DESC_BIAS_POINTER, bias);
    if (has_aux(p.epilogue)) set(CUBLASLT_MATMUL_DESC_EPILOGUE_AUX_POINTER, aux);
  }
};

struct Preference : Owned<cublasLtMatmulPreference_t, DestroyPreference> {
  explicit Preference(const MatmulProblem& p) {
    DNN_CUBLASLT_CALL(cublasLtMatmulPreferenceCreate, &descriptor);
    set(CUBLASLT_MATMUL_PREF_MAX_WORKSPACE_BYTES, workspace_limit);
    // Parts of a sum of 16-bit factors are never rounded to 16 bits before they are added up.
    if (size_of(p.type) == 2)
      set(CUBLASLT_MATMUL_PREF_REDUCTION_SCHEME_MASK, static_cast<uint32_t>(CUBLASLT_REDUCTION_SCHEME_COMPUTE_TYPE));
    const auto align = [this](cublasLtMatmulPreferenceAttributes_t attribute, int bytes) {
      set(attribute, static_cast<uint32_t>(bytes));
    };
    const MatmulProblem::Alignments& at = p.alignments;
    align(CUBLASLT_MATMUL_PREF_MIN_ALIGNMENT_A_BYTES, at.a);
    align(CUBLASLT_MATMUL_PREF_MIN_ALIGNMENT_B_BYTES, at.b);
    align(CUBLASLT_MATMUL_PREF_MIN_ALIGNMENT_C_BYTES, p.addend == MatmulAddend::other ? at.c : at.d);
    align(CUBLASLT_MATMUL_PREF_MIN_ALIGNMENT_D_BYTES, at.d);
  }
  template <class Value>
  void set(cublasLtMatmulPreferenceAttributes_t attribute, Value value) {
    DNN_CUBLASLT_CALL(cublasLtMatmulPreferenceSetAttribute, descriptor, attribute, &value, sizeof value);
  }
};

// ---- the plans ------------------------------------------------------------------------------------------------------

// The settings that make an algorithm, in the order of their names below.
constexpr std::pair<cublasLtMatmulAlgoConfigAttributes_t, const char*> settings[] = {
    {CUBLASLT_ALGO_CONFIG_ID, "algo"},
    {CUBLASLT_ALGO_CONFIG_TILE_ID, "_tile"},
    {CUBLASLT_ALGO_CONFIG_STAGES_ID, "_stages"},
    {CUBLASLT_ALGO_CONFIG_SPLITK_NUM, "_split"},
    {CUBLASLT_ALGO_CONFIG_REDUCTION_SCHEME, "_reduction"},
    {CUBLASLT_ALGO_CONFIG_CTA_SWIZZLING, "_swizzle"},
    {CUBLASLT_ALGO_CONFIG_CUSTOM_OPTION, "_option"},
    {CUBLASLT_ALGO_CONFIG_INNER_SHAPE_ID, "_inner"},
    {CUBLASLT_ALGO_CONFIG_CLUSTER_SHAPE_ID, "_cluster"}};

class CublasPlans final : public MatmulPlans {
 public:
  explicit CublasPlans(const MatmulProblem& p)
      : problem_(p), operation_(p), a_(p.a, p.type, p.batch), b_(p.b, p.type, p.batch), d_(p.d, p.type, p.batch) {}

  // Asks the heuristics.
  void propose(const Context& context, int most) {
    const Preference preference(problem_);
    set_example_vectors();
    proposals_.resize(static_cast<size_t>(most));
    int found = 0;
    const cublasStatus_t status = DNN_LIBRARY_FUNCTION(cublaslt, cublasLtMatmulAlgoGetHeuristic)(
        handle_of(context), operation_.descriptor, a_.descriptor, b_.descriptor, d_.descriptor, d_.descriptor,
        preference.descriptor, most, proposals_.data(), &found);
    // Without an epilogue nothing but the sizes can be unsupported; an epilogue may be refused in either way.
    const bool refused = status == CUBLAS_STATUS_NOT_SUPPORTED ||
                         (problem_.epilogue != MatmulEpilogue::none && status == CUBLAS_STATUS_INVALID_VALUE);
    if (refused) return proposals_.clear();
    check(status, "cublasLtMatmulAlgoGetHeuristic", __FILE__, __LINE__);
    proposals_.resize(static_cast<size_t>(found));
    std::erase_if(proposals_, [](const auto& result) { return result.state != CUBLAS_STATUS_SUCCESS; });
  }

  // Addresses aligned as the vectors will be: the heuristics read nothing there.
  void set_example_vectors() {
    const auto example = [](int alignment) { return reinterpret_cast<const void*>(static_cast<uintptr_t>(alignment)); };
    operation_.set_vectors(problem_, example(problem_.alignments.bias), example(problem_.alignments.aux));
  }

  int64_t count() const override { return std::ssize(proposals_); }
  bool to_be_tried() const override { return problem_.epilogue != MatmulEpilogue::none; }

  // All settings are numbers of 32 bits but for two of 16, which fill the lower half.
  std::string name(int64_t plan) const override {
    std::string text;
    for (const auto& [setting, what] : settings) {
      uint32_t value = 0;
      size_t written = 0;
      const bool is_short =
          setting == CUBLASLT_ALGO_CONFIG_INNER_SHAPE_ID || setting == CUBLASLT_ALGO_CONFIG_CLUSTER_SHAPE_ID;
      const cublasStatus_t status = DNN_LIBRARY_FUNCTION(cublaslt, cublasLtMatmulAlgoConfigGetAttribute)(
          &proposal(plan).algo, setting, &value, is_short ? sizeof(uint16_t) : sizeof value, &written);
      if (status == CUBLAS_STATUS_SUCCESS) text += fmt::format("{}{}", what, value);  // older algorithms lack some
    }
    return text;
  }

  void run(int64_t plan, Context& context, const MatmulPointers& pointers) const override {
    const auto one_and_zero = [this]() -> std::pair<const void*, const void*> {
      static constexpr std::array<double, 2> doubles{1, 0};
      static constexpr std::array<float, 2> floats{1, 0};
      if (problem_.compute == MatmulCompute::float64) return {&doubles[0], &doubles[1]};
      return {&floats[0], &floats[1]};
    };
    const auto [one, zero] = one_and_zero();
    const void* const beta = problem_.addend == MatmulAddend::none ? zero : one;
    const void* const c = problem_.addend == MatmulAddend::other ? pointers.c : pointers.d;
    const cublasLtMatmulHeuristicResult_t& algorithm = proposal(plan);
    const Scratch workspace(context, static_cast<int64_t>(algorithm.workspaceSize));
    const std::lock_guard lock(mutex_);
    operation_.set_vectors(problem_, pointers.bias, pointers.aux);
    check(DNN_LIBRARY_FUNCTION(cublaslt, cublasLtMatmul)(
              handle_of(context), operation_.descriptor, one, pointers.a, a_.descriptor, pointers.b, b_.descriptor,
              beta, c, d_.descriptor, pointers.d, d_.descriptor, &algorithm.algo, workspace.as<void>(),
              algorithm.workspaceSize, context.stream()),
          "cublasLtMatmul", __FILE__, __LINE__);
  }

  double time(int64_t plan, Context& context, const MatmulPointers& pointers, TrialClock& clock) const override {
    return clock.time([&] { run(plan, context, pointers); });
  }

 private:
  const cublasLtMatmulHeuristicResult_t& proposal(int64_t plan) const {
    return proposals_.at(static_cast<size_t>(plan));
  }

  const MatmulProblem problem_;
  mutable std::mutex mutex_;  // the operation's vectors are set for each call
  mutable Operation operation_;
  MatrixLayout a_, b_, d_;
  std::vector<cublasLtMatmulHeuristicResult_t> proposals_;  // best guess first
};

}  // namespace

void check_matmul_descriptors(const MatmulProblem& problem) {
  CublasPlans(problem).set_example_vectors();
  const Preference preference(problem);
}

std::string matmul_library() {
  const size_t version = DNN_LIBRARY_FUNCTION(cublaslt, cublasLtGetVersion)();
  return fmt::format("cublaslt {}.{}.{}", version / 10000, version % 10000 / 100, version % 100);
}

std::unique_ptr<MatmulPlans> matmul_plans(Device device, const MatmulProblem& problem, int64_t most) {
  auto plans = std::make_unique<CublasPlans>(problem);
  plans->propose(Context::of(device.index()), static_cast<int>(most));
  return plans;
}

}  // namespace dnn::cuda
