// The emulator's matrix products, and what tests ask of them.
#pragma once

#include <string>
#include <vector>

#include "cuda/matmul_problem.h"

namespace dnn::simt {

// While it lives no plans are made for some of the problems, as where the library has no kernel for them. What was
// found before stays, and so does what was not found: ask for sizes that no other test uses.
class Refusal {
 public:
  enum class Of { activations, epilogues, everything };
  explicit Refusal(Of what);
  ~Refusal();
  Refusal(const Refusal&) = delete;
  Refusal& operator=(const Refusal&) = delete;

 private:
  const Of what_;
};

// A plan of the stand-in. All compute the same, in plain loops.
struct StandInProduct {
  double milliseconds = 1;  // that it claims to take
  bool runs = true;
  bool keeps_nan = true;  // of its activation
  std::string name = "";  // product0, product1, ... when it has none
};

// What the stand-in proposes for every problem from now on; at first one plan that need not be tried. What was chosen
// before stays: ask for sizes that no other test uses, or call make_matmul_plan.
struct StandInProducts {
  std::vector<StandInProduct> plans{StandInProduct{}};
  bool to_be_tried = false;
};
void set_products(const StandInProducts& products);
// The plans that ran since the last call, as numbers in order, times included.
std::vector<int64_t> take_product_runs();

// The problems computed since the last call, the last 256 of them.
std::vector<cuda::MatmulProblem> take_products();

}  // namespace dnn::simt
