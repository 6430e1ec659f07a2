// Initial weights: scaled random numbers, with the scale from the fans of the weight.
#include "dnn/init.h"

#include <fmt/format.h>

#include <algorithm>
#include <array>
#include <cmath>
#include <limits>
#include <numbers>
#include <utility>
#include <vector>

#include "dnn/autograd.h"
#include "dnn/error.h"
#include "dnn/ops/binary.h"
#include "dnn/ops/factory.h"
#include "layers/blank.h"

namespace dnn {

namespace {

constexpr int64_t unlimited = std::numeric_limits<int64_t>::max();

thread_local bool no_init = false;
thread_local int64_t weights_left = unlimited;  // that layers may yet make

// Whether nothing is to be drawn for the tensor, which is zeros then.
bool left_out(const Tensor& t) {
  if (no_init) zeros_(t);
  return no_init;
}

// Fills the tensor with numbers of the CPU, whatever its device.
template <class Scale>
void draw(const Tensor& t, void (*numbers)(Tensor), const Scale& scale) {
  const bool here = t.device().is_cpu();
  const Tensor host = here ? t : empty(t.shape(), {.dtype = t.dtype()});
  numbers(host);
  scale(host);
  if (!here) Tensor(t).copy_(host);
}

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
  return calculate_gain(options.nonlinearity, options.a) / std::sqrt(options.mode == Fan::in ? fans.in : fans.out);
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

// The inverse of the error function, to about 1e-15: the polynomials of Giles ("Approximating the erfinv
// function", 2012), good to float32, and two steps of Newton's method.
double erf_inverse(double x) {
  constexpr std::array<double, 9> centre{2.81022636e-08, 3.43273939e-07, -3.5233877e-06, -4.39150654e-06, 0.00021858087,
                                         -0.00125372503, -0.00417768164, 0.246640727,    1.50140941};
  constexpr std::array<double, 9> tail{-0.000200214257, 0.000100950558, 0.00134934322, -0.00367342844, 0.00573950773,
                                       -0.0076224613,   0.00943887047,  1.00167406,    2.83297682};
  const double w = -std::log((1 - x) * (1 + x));
  const bool central = w < 5;
  const double t = central ? w - 2.5 : std::sqrt(w) - 3;
  double p = 0;
  for (const double c : central ? centre : tail) p = p * t + c;
  double y = p * x;
  for (int i = 0; i < 2; ++i) y -= (std::erf(y) - x) / (2 * std::numbers::inv_sqrtpi * std::exp(-y * y));
  return y;
}

double dot(const double* a, const double* b, int64_t n) {
  double sum = 0;
#pragma omp simd reduction(+ : sum)
  for (int64_t i = 0; i < n; ++i) sum += a[i] * b[i];
  return sum;
}

// Makes the rows of a [rows, n], rows <= n, orthonormal: Gram-Schmidt, twice, which is as exact as reflections are
// (Giraud et al., "The loss of orthogonality in the Gram-Schmidt orthogonalization process", 2005).
void orthonormalise(double* a, int64_t rows, int64_t n) {
  for (int64_t row = 0; row < rows; ++row) {
    double* const mine = a + row * n;
    for (int pass = 0; pass < 2; ++pass) {
      for (int64_t other = 0; other < row; ++other) {
        const double* const theirs = a + other * n;
        const double part = dot(mine, theirs, n);
        for (int64_t i = 0; i < n; ++i) mine[i] -= part * theirs[i];
      }
    }
    const double length = std::sqrt(dot(mine, mine, n));
    for (int64_t i = 0; i < n; ++i) mine[i] /= length;
  }
}

}  // namespace

namespace detail {

Tensor blank(const Shape& shape) {
  const int64_t numbers = shape.numel();
  if (numbers > weights_left)
    throw ArgumentError(
        fmt::format("NoInit: a weight has {} numbers, expected at most {}, as many as are left (shape {})", numbers,
                    weights_left, shape.str()));
  if (weights_left != unlimited) weights_left -= numbers;
  return empty(shape);
}

}  // namespace detail

NoInit::NoInit() : NoInit(unlimited) {}

NoInit::NoInit(int64_t most) : before_(std::exchange(no_init, true)), left_before_(std::exchange(weights_left, most)) {}

NoInit::~NoInit() {
  no_init = before_;
  weights_left = left_before_;
}

void uniform_(const Tensor& t, double low, double high) {
  check_floating("uniform_", t);
  if (left_out(t)) return;
  NoGrad no_grad;
  draw(t, rand_, [&](Tensor x) { x.mul_(high - low).add_(low); });
}

void normal_(const Tensor& t, double mean, double deviation) {
  check_floating("normal_", t);
  if (left_out(t)) return;
  NoGrad no_grad;
  draw(t, randn_, [&](Tensor x) { x.mul_(deviation).add_(mean); });
}

void trunc_normal_(const Tensor& t, double mean, double deviation, double low, double high) {
  check_floating("trunc_normal_", t);
  if (!(low < high) || !(deviation > 0))
    throw ArgumentError(
        fmt::format("trunc_normal_: the bounds are {} and {} and the deviation {}, expected low < high and a positive "
                    "deviation",
                    low, high, deviation));
  if (left_out(t)) return;
  // The inverse of the distribution function takes uniform numbers between its values at the bounds to what is wanted.
  const auto distribution = [&](double x) { return std::erf((x - mean) / (deviation * std::numbers::sqrt2)); };
  NoGrad no_grad;
  Tensor numbers = rand(t.shape(), {.dtype = DType::float64});
  const double begin = distribution(low), width = distribution(high) - begin;
  double* const values = numbers.data<double>();
  constexpr double most = 1 - 1e-16;  // beyond it the inverse is infinite
  for (int64_t i = 0; i < numbers.numel(); ++i) {
    const double at = std::clamp(begin + width * values[i], -most, most);
    values[i] = std::clamp(mean + deviation * std::numbers::sqrt2 * erf_inverse(at), low, high);
  }
  Tensor(t).copy_(numbers);
}

void constant_(const Tensor& t, double value) {
  NoGrad no_grad;
  Tensor(t).fill_(value);
}

void zeros_(const Tensor& t) { constant_(t, 0); }
void ones_(const Tensor& t) { constant_(t, 1); }

double calculate_gain(Nonlinearity nonlinearity, double a) {
  switch (nonlinearity) {
    case Nonlinearity::linear:
    case Nonlinearity::sigmoid: return 1;
    case Nonlinearity::tanh: return 5.0 / 3;
    case Nonlinearity::relu: return std::numbers::sqrt2;
    case Nonlinearity::leaky_relu: return std::sqrt(2 / (1 + a * a));
    case Nonlinearity::selu: return 0.75;
  }
  throw ArgumentError(fmt::format("calculate_gain: there is no nonlinearity {}", static_cast<int>(nonlinearity)));
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

void orthogonal_(const Tensor& t, double gain) {
  check_floating("orthogonal_", t);
  fans_of("orthogonal_", t);  // two dimensions
  if (t.numel() == 0 || left_out(t)) return;
  NoGrad no_grad;
  const int64_t rows = t.size(0), columns = t.numel() / rows;
  const bool wide = rows <= columns;
  Tensor matrix = randn(wide ? Shape{rows, columns} : Shape{columns, rows}, {.dtype = DType::float64});
  orthonormalise(matrix.data<double>(), matrix.size(0), matrix.size(1));
  if (!wide) matrix = matrix.t();
  Tensor(t).copy_((matrix * gain).reshape(t.shape()));
}

void dirac_(const Tensor& t, int64_t groups) {
  check_floating("dirac_", t);
  if (t.rank() < 3 || t.rank() > 5)
    throw ShapeError(
        fmt::format("dirac_: the tensor has {} dimensions, expected 3 to 5 (shape {})", t.rank(), t.shape().str()));
  if (groups < 1 || t.size(0) % groups != 0)
    throw ArgumentError(
        fmt::format("dirac_: groups is {}, expected a divisor of size 0 (shape {})", groups, t.shape().str()));
  int64_t taps = 1, middle = 0;
  for (int64_t d = 2; d < t.rank(); ++d) taps *= t.size(d), middle = middle * t.size(d) + t.size(d) / 2;
  NoGrad no_grad;
  Tensor weight = zeros(t.shape(), {.dtype = DType::float64});
  const int64_t filters = t.size(0) / groups, channels = t.size(1);
  for (int64_t i = 0; taps > 0 && i < t.size(0); ++i)
    if (i % filters < channels) weight.data<double>()[(i * channels + i % filters) * taps + middle] = 1;
  Tensor(t).copy_(weight);
}

}  // namespace dnn
