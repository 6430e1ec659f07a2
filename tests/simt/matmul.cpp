// Stand-in for cuBLASLt: executes a problem in plain loops over column-major matrices, as cuBLASLt's documentation
// defines it, sums in float64, and refuses what cuBLASLt refuses.
#include "tests/simt/matmul.h"

#include <fmt/format.h>

#include <algorithm>
#include <atomic>
#include <cmath>
#include <deque>
#include <mutex>
#include <utility>

#include "cuda/context.h"
#include "cuda/dispatch.h"
#include "cuda/matmul_plan.h"
#include "tests/simt/machine.h"

namespace dnn::simt {

namespace {

using cuda::MatmulAddend;
using cuda::MatmulCompute;
using cuda::MatmulEpilogue;
using cuda::MatmulMatrix;
using cuda::MatmulPointers;
using cuda::MatmulProblem;

std::atomic<const Refusal::Of*> refused{nullptr};

std::mutex products_mutex;
std::deque<MatmulProblem> products;
std::vector<int64_t> runs;
StandInProducts offered;

void require(bool holds, const MatmulProblem& problem, const char* rule) {
  if (!holds) throw BackendError(fmt::format("cublasLtMatmul: {} ({})", rule, problem.str()));
}

void check_matrix(const MatmulProblem& p, const MatmulMatrix& m) {
  require(m.rows > 0 && m.columns > 0 && m.rows <= INT32_MAX && m.columns <= INT32_MAX, p,
          "sizes must be positive numbers of 32 bits");
  require(m.leading >= m.rows, p, "the leading dimension must not be below the rows");
  require(m.step >= 0, p, "the batch stride must not be negative");
}

void check(const MatmulProblem& p) {
  const int64_t m = p.d.rows, n = p.d.columns, k = p.depth();
  for (const MatmulMatrix* matrix : {&p.a, &p.b, &p.d}) check_matrix(p, *matrix);
  require((p.transpose_a ? p.a.columns : p.a.rows) == m, p, "op(A) must have the rows of D");
  require((p.transpose_b ? p.b.rows : p.b.columns) == n, p, "op(B) must have the columns of D");
  require((p.transpose_b ? p.b.columns : p.b.rows) == k, p, "op(A) and op(B) must share a size");
  require(p.batch >= 1 && p.batch <= INT32_MAX, p, "the batch count must be a positive number of 32 bits");
  require(p.batch == 1 || p.d.step >= p.d.leading * n, p, "the matrices of D must not overlap");
  const bool is_float64 = p.type == DType::float64;
  require(is_float64 == (p.compute == MatmulCompute::float64), p, "float64 is computed in float64, nothing else is");
  require(p.compute != MatmulCompute::tf32 || p.type == DType::float32, p, "TF32 is for float32");
  require(p.epilogue == MatmulEpilogue::none || !is_float64, p, "epilogues are not supported for float64");
  require(p.epilogue == MatmulEpilogue::none || p.batch == 1, p, "epilogue vectors want a stride in a batch");
  require(has_aux(p.epilogue) == (p.aux_leading != 0), p, "aux goes with its leading dimension");
  if (has_bits(p.epilogue)) {
    require(p.aux_leading % 128 == 0 && p.aux_leading >= m, p,
            "the leading dimension of relu's bits must divide by 128 and not be below the rows of D");
    require(p.alignments.aux >= 16, p, "aux must be aligned to 16 bytes");
  } else if (has_aux(p.epilogue)) {
    require(p.aux_leading % 8 == 0 && p.aux_leading >= m, p,
            "the leading dimension of gelu's aux must divide by 8 and not be below the rows of D");
    require(p.alignments.aux >= 16, p, "aux must be aligned to 16 bytes");
  }
  const auto bytes = static_cast<int>(size_of(p.type));
  require(p.alignments.a >= bytes && p.alignments.b >= bytes && p.alignments.d >= bytes, p,
          "A, B and D must be there, aligned to their elements");
  require((p.alignments.c != 0) == (p.addend == MatmulAddend::other), p, "C must be there when it is an input");
  require((p.alignments.bias != 0) == has_bias(p.epilogue), p, "the bias vector must be there when it is used");
}

bool is_refused(const MatmulProblem& p) {
  const Refusal::Of* const what = refused;
  if (what == nullptr) return false;
  switch (*what) {
    case Refusal::Of::activations: return has_activation(p.epilogue);
    case Refusal::Of::epilogues: return p.epilogue != MatmulEpilogue::none;
    case Refusal::Of::everything: break;
  }
  return true;
}

void set_bit(uint8_t* bits, int64_t i, bool on) {
  const int bit = 1 << i % 8;
  bits[i / 8] = static_cast<uint8_t>(on ? bits[i / 8] | bit : bits[i / 8] & ~bit);
}
bool has_bit(const uint8_t* bits, int64_t i) { return (bits[i / 8] >> i % 8 & 1) != 0; }

double gelu(double x) { return 0.5 * x * (1 + std::tanh(0.7978845608028654 * (x + 0.044715 * x * x * x))); }

template <class T>
void compute(const MatmulProblem& p, const MatmulPointers& to, bool keeps_nan) {
  const int64_t m = p.d.rows, n = p.d.columns, k = p.depth();
  const auto a_row = p.transpose_a ? p.a.leading : 1, a_column = p.transpose_a ? 1 : p.a.leading;
  const auto b_row = p.transpose_b ? p.b.leading : 1, b_column = p.transpose_b ? 1 : p.b.leading;
  const auto number = [](T value) { return static_cast<double>(value); };
  // float64 reaches T through float: the 16-bit types round from that.
  const auto rounded = [](double value) {
    if constexpr (std::is_same_v<T, double>)
      return value;
    else
      return static_cast<T>(static_cast<float>(value));
  };
  T* const bias = static_cast<T*>(to.bias);
  const bool adds_bias = has_bias(p.epilogue) && p.epilogue != MatmulEpilogue::bias_gradient &&
                         p.epilogue != MatmulEpilogue::relu_gradient;
  T* const aux = has_bits(p.epilogue) ? nullptr : static_cast<T*>(to.aux);
  uint8_t* const bits = has_bits(p.epilogue) ? static_cast<uint8_t*>(to.aux) : nullptr;
  std::vector<double> row_sums(static_cast<size_t>(m));
  for (int64_t batch = 0; batch < p.batch; ++batch) {
    const T* const a = static_cast<const T*>(to.a) + batch * p.a.step;
    const T* const b = static_cast<const T*>(to.b) + batch * p.b.step;
    T* const d = static_cast<T*>(to.d) + batch * p.d.step;
    const T* const c = p.addend == MatmulAddend::other ? static_cast<const T*>(to.c) + batch * p.d.step : d;
    std::vector<double> column(static_cast<size_t>(k));
    for (int64_t j = 0; j < n; ++j) {
      double total = 0;
      for (int64_t l = 0; l < k; ++l) total += column[static_cast<size_t>(l)] = number(b[l * b_row + j * b_column]);
      if (p.epilogue == MatmulEpilogue::bias_gradient) bias[j] = rounded(total);
      for (int64_t i = 0; i < m; ++i) {
        double sum = 0;
        for (int64_t l = 0; l < k; ++l) sum += number(a[i * a_row + l * a_column]) * column[static_cast<size_t>(l)];
        if (p.addend != MatmulAddend::none) sum += number(c[i + j * p.d.leading]);
        if (adds_bias) sum += number(bias[i]);
        const int64_t bit = i + j * p.aux_leading;
        if (p.epilogue == MatmulEpilogue::relu_aux_bias) set_bit(bits, bit, sum > 0);
        if (p.epilogue == MatmulEpilogue::relu_gradient)
          row_sums[static_cast<size_t>(i)] += sum = has_bit(bits, bit) ? sum : 0;
        if (aux != nullptr) aux[i + j * p.aux_leading] = rounded(sum);
        if (has_activation(p.epilogue)) sum = aux != nullptr ? gelu(sum) : sum < 0 ? 0 : sum;
        if (has_activation(p.epilogue) && std::isnan(sum) && !keeps_nan) sum = 0;
        d[i + j * p.d.leading] = rounded(sum);
      }
    }
    for (int64_t i = 0; p.epilogue == MatmulEpilogue::relu_gradient && i < m; ++i)
      bias[i] = rounded(row_sums[static_cast<size_t>(i)]);
  }
}

// Whether the pointers are there and aligned as the problem says, or better.
bool fits(const MatmulProblem& problem, const MatmulPointers& pointers) {
  MatmulProblem actual = problem;
  actual.align_as(pointers);
  const auto &is = actual.alignments, &said = problem.alignments;
  const std::pair<int, int> all[] = {{is.a, said.a}, {is.b, said.b},       {is.c, said.c},
                                     {is.d, said.d}, {is.bias, said.bias}, {is.aux, said.aux}};
  return std::all_of(std::begin(all), std::end(all),
                     [](const auto& one) { return (one.first == 0) == (one.second == 0) && one.first >= one.second; });
}

class PlainPlans final : public cuda::MatmulPlans {
 public:
  PlainPlans(const MatmulProblem& problem, int64_t most) : problem_(problem), offered_(offered) {
    if (is_refused(problem)) offered_.plans.clear();
    if (std::ssize(offered_.plans) > most) offered_.plans.resize(static_cast<size_t>(most));
  }
  int64_t count() const override { return std::ssize(offered_.plans); }
  std::string name(int64_t plan) const override {
    return this->plan(plan).name.empty() ? fmt::format("product{}", plan) : this->plan(plan).name;
  }
  bool to_be_tried() const override { return offered_.to_be_tried; }

  void run(int64_t plan, cuda::Context& context, const MatmulPointers& pointers) const override {
    require(fits(problem_, pointers), problem_, "the pointers must be aligned as those of the plan");
    note(plan);
    perform(context.stream(), "product", bytes_of(pointers),
            [problem = problem_, pointers, keeps_nan = this->plan(plan).keeps_nan] {
              cuda::visit_floating(problem.type, [&]<class T>(T) { compute<T>(problem, pointers, keeps_nan); });
            });
  }
  double time(int64_t plan, cuda::Context&, const MatmulPointers&, cuda::TrialClock&) const override {
    note(plan);
    return this->plan(plan).milliseconds;
  }

 private:
  const StandInProduct& plan(int64_t i) const { return offered_.plans.at(static_cast<size_t>(i)); }
  void note(int64_t plan) const {
    const std::lock_guard lock(products_mutex);
    runs.push_back(plan);
    if (!this->plan(plan).runs) throw BackendError(name(plan) + " fails when it runs");
    products.push_back(problem_);
    if (products.size() > 256) products.pop_front();
  }

  const MatmulProblem problem_;
  StandInProducts offered_;
};

}  // namespace

Refusal::Refusal(Of what) : what_(what) { refused = &what_; }
Refusal::~Refusal() { refused = nullptr; }

void set_products(const StandInProducts& products) { offered = products; }
std::vector<int64_t> take_product_runs() { return std::exchange(runs, {}); }

std::vector<MatmulProblem> take_products() {
  const std::lock_guard lock(products_mutex);
  std::vector<MatmulProblem> taken(products.begin(), products.end());
  products.clear();
  return taken;
}

}  // namespace dnn::simt

namespace dnn::cuda {

std::unique_ptr<MatmulPlans> matmul_plans(Device, const MatmulProblem& problem, int64_t most) {
  simt::check(problem);
  return std::make_unique<simt::PlainPlans>(problem, most);
}

std::string matmul_library() { return "loops for products 1"; }

}  // namespace dnn::cuda
