// Timing, choosing and remembering plans for products.
#include "cuda/matmul_choice.h"

#include <algorithm>
#include <optional>
#include <string>
#include <utility>

#include "core/plan_file.h"
#include "cuda/context.h"
#include "cuda/trial.h"
#include "dnn/error.h"

namespace dnn::cuda {

namespace {

constexpr int64_t most_candidates = 16;

// Random operands of a problem.
class Trial {
 public:
  Trial(Device device, const MatmulProblem& p) : operands_(device, p.type) {
    const auto matrix = [&](const MatmulMatrix& m) {
      return operands_.add((p.batch - 1) * m.step + (m.columns - 1) * m.leading + m.rows);
    };
    pointers.a = matrix(p.a), pointers.b = matrix(p.b), pointers.d = matrix(p.d);
    if (p.addend == MatmulAddend::other) pointers.c = matrix(p.d);
    if (has_bias(p.epilogue)) pointers.bias = operands_.add(std::max(p.d.rows, p.d.columns));
    if (has_aux(p.epilogue)) pointers.aux = operands_.add(p.d.columns * p.aux_leading);
    // The first element of A counts in the first of D.
    if (has_activation(p.epilogue)) set_nan(Context::of(device.index()), p.type, const_cast<void*>(pointers.a));
  }

  MatmulPointers pointers;

 private:
  TrialOperands operands_;
};

struct Chosen {
  int64_t plan;
  double milliseconds;
};

// The fastest of the plans that run and keep NaN.
std::optional<Chosen> fastest(Device device, const MatmulProblem& p, const MatmulPlans& plans) {
  Context& context = Context::of(device.index());
  const Trial trial(device, p);
  TrialClock clock(context);
  std::optional<Chosen> best;
  for (int64_t plan = 0; plan < plans.count(); ++plan) {
    try {
      const double time = plans.count() == 1 ? 0 : plans.time(plan, context, trial.pointers, clock);
      if (best && time >= best->milliseconds) continue;
      if (plans.count() == 1 || has_activation(p.epilogue)) plans.run(plan, context, trial.pointers);
      if (has_activation(p.epilogue) && !is_nan(context, p.type, trial.pointers.d)) continue;
      best = {plan, time};
    } catch (const BackendError&) {
      // Proposed, but not for this.
    }
  }
  return best;
}

// The plan of that name; nothing when there is none, or another one of the same name.
std::optional<int64_t> plan_of_name(const MatmulPlans& plans, const std::string& name) {
  std::optional<int64_t> found;
  for (int64_t plan = 0; plan < plans.count(); ++plan) {
    if (plans.name(plan) != name) continue;
    if (found) return std::nullopt;
    found = plan;
  }
  return found;
}

std::optional<Chosen> choose(Device device, const MatmulProblem& problem, const MatmulPlans& plans, int64_t wanted) {
  const std::string origin = trial_origin(matmul_library(), Context::of(device.index()), device);
  const std::string text = text_of(problem);
  const auto known = wanted > 1 ? detail::known_plan(origin, text) : std::nullopt;
  if (known && known->tried >= wanted) {
    if (known->name.empty() && plans.to_be_tried()) return std::nullopt;
    if (const auto plan = plan_of_name(plans, known->name)) return Chosen{*plan, known->milliseconds};
  }
  const auto chosen = fastest(device, problem, plans);
  if (wanted > 1 && (chosen || plans.to_be_tried()))
    detail::keep_plan(origin, text,
                      {chosen ? plans.name(chosen->plan) : "", chosen ? chosen->milliseconds : 0, wanted});
  return chosen;
}

}  // namespace

std::shared_ptr<const MatmulPlan> make_matmul_plan(Device device, const MatmulProblem& problem) {
  const int64_t wanted = std::min(plans_to_try("matmul", "DNN_MATMUL_CANDIDATES", most_candidates), most_candidates);
  for (const int64_t size : {problem.a.rows, problem.a.columns, problem.d.rows, problem.d.columns, problem.batch})
    if (size > INT32_MAX) return nullptr;
  auto plans = matmul_plans(device, problem, wanted);
  if (plans->count() == 0) return nullptr;
  std::optional<Chosen> chosen = Chosen{0, 0};
  if (plans->count() > 1 || plans->to_be_tried()) {
    try {
      chosen = choose(device, problem, *plans, wanted);
    } catch (const OutOfMemory&) {
      // No room for another set of operands: the first proposal untimed, but no epilogue that was never tried.
      if (plans->to_be_tried()) return nullptr;
    }
  }
  if (!chosen) return nullptr;
  return std::make_shared<const MatmulPlan>(std::move(plans), chosen->plan);
}

}  // namespace dnn::cuda
