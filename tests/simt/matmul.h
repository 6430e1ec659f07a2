// The emulator's matrix products, and what tests ask of them.
#pragma once

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

// The problems computed since the last call, the last 256 of them.
std::vector<cuda::MatmulProblem> take_products();

}  // namespace dnn::simt
