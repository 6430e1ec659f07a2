// Initial weights: scaled random numbers, with the scale from the fans of the weight.
#include "dnn/init.h"

#include <fmt/format.h>

#include <cmath>

#include "dnn/autograd.h"
#include "dnn/error.h"
#include "dnn/ops/factory.h"

namespace dnn {

namespace {

// How many inputs an output sees, and how many outputs an input reaches.
struct Fans {
  double in, out;
};

Fans fans_of(const char* where, const Tensor& weight) {
  if (weight.rank() < 2)
    throw ShapeError(fmt::format("{}: the tensor has {} dimensions, expected at least 2 (shape {})", where,
                                 weight.rank(), weight.shape().str()));
  double taps = 1;  // of the filter
  for (int64_t d = 2; d < weight.rank(); ++d) taps *= static_cast<double>(weight.size(d));
  return {static_cast<double>(weight.size(1)) * taps, static_cast<double>(weight.size(0)) * taps};
}

double kaiming_deviation(const char* where, const Tensor& weight, const KaimingOptions& options) {
  const Fans fans = fans_of(where, weight);
  return std::sqrt(2 / ((1 + options.a * options.a) * (options.mode == Fan::in ? fans.in : fans.out)));
}

double xavier_deviation(const char* where, const Tensor& weight, double gain) {
  const Fans fans = fans_of(where, weight);
  return gain * std::sqrt(2 / (fans.in + fans.out));
}

void check_floating(const char* where, const Tensor& t) {
  if (!is_floating(t.dtype()))
    throw DTypeError(fmt::format("{}: the tensor is {}, expected a floating type (shape {})", where, name_of(t.dtype()),
                                 t.shape().str()));
}

// The deviation of a uniform distribution in +-bound is bound / sqrt(3).
void uniform_of_deviation(const Tensor& t, double deviation) {
  const double bound = std::sqrt(3.0) * deviation;
  uniform_(t, -bound, bound);
}

}  // namespace

void uniform_(const Tensor& t, double low, double high) {
  check_floating("uniform_", t);
  NoGrad no_grad;
  Tensor(t).copy_(rand(t.shape(), {.dtype = t.dtype()}).mul_(high - low).add_(low));
}

void normal_(const Tensor& t, double mean, double deviation) {
  check_floating("normal_", t);
  NoGrad no_grad;
  Tensor(t).copy_(randn(t.shape(), {.dtype = t.dtype()}).mul_(deviation).add_(mean));
}

void kaiming_uniform_(const Tensor& t, const KaimingOptions& options) {
  uniform_of_deviation(t, kaiming_deviation("kaiming_uniform_", t, options));
}

void kaiming_normal_(const Tensor& t, const KaimingOptions& options) {
  normal_(t, 0, kaiming_deviation("kaiming_normal_", t, options));
}

void xavier_uniform_(const Tensor& t, double gain) {
  uniform_of_deviation(t, xavier_deviation("xavier_uniform_", t, gain));
}

void xavier_normal_(const Tensor& t, double gain) { normal_(t, 0, xavier_deviation("xavier_normal_", t, gain)); }

}  // namespace dnn
