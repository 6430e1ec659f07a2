// The dropout layers.
#include "dnn/layers/dropout.h"

#include <fmt/format.h>

#include "dnn/ops/dropout.h"

namespace dnn {

namespace {

double checked(const char* layer, double p) {
  if (!(p >= 0 && p <= 1)) throw ArgumentError(fmt::format("{}: p is {}, expected a probability in [0, 1]", layer, p));
  return p;
}

}  // namespace

Dropout::Dropout(double p) : p_(checked("Dropout", p)) {}

Tensor Dropout::forward(Tensor x) { return dropout(x, {.p = p_, .training = training()}); }

std::string Dropout::describe() const { return fmt::format("p={}", p_); }

Dropout1d::Dropout1d(double p) : p_(checked("Dropout1d", p)) {}

Tensor Dropout1d::forward(Tensor x) { return dropout1d(x, {.p = p_, .training = training()}); }

std::string Dropout1d::describe() const { return fmt::format("p={}", p_); }

Dropout2d::Dropout2d(double p) : p_(checked("Dropout2d", p)) {}

Tensor Dropout2d::forward(Tensor x) { return dropout2d(x, {.p = p_, .training = training()}); }

std::string Dropout2d::describe() const { return fmt::format("p={}", p_); }

}  // namespace dnn
