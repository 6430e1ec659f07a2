// The functors of one argument that are no activations: arithmetic with a number, elementary functions, rounding.
//
// `saves` says what derivative(x, y) may look at: the input, the output or neither. `floating_only` functors never see
// an integer; values of 16-bit types arrive as float. To add an operation: a struct, its name in the list at the end, a
// declaration in dnn/ops, a line in core/ops, a row in tests.
#pragma once

#include "core/functors/common.h"

namespace dnn::functor {

// scale * x + shift: covers every operation of a tensor with a number.
struct Affine {
  static constexpr const char* name = "affine";
  static constexpr Saves saves = Saves::nothing;
  static constexpr bool floating_only = false;
  double scale = 1;
  double shift = 0;
  template <class T>
  DNN_HD T forward(T x) const {
    return math::add(math::mul(math::number<T>(scale), x), math::number<T>(shift));
  }
  template <class T>
  DNN_HD T derivative(T, T) const {
    return math::number<T>(scale);
  }
};

// x / divisor, rounded once: multiplying by the reciprocal rounds twice.
struct DivideBy {
  static constexpr const char* name = "div";
  static constexpr Saves saves = Saves::nothing;
  static constexpr bool floating_only = true;
  double divisor = 1;
  template <class T>
  DNN_HD T forward(T x) const {
    return x / static_cast<T>(divisor);
  }
  template <class T>
  DNN_HD T derivative(T, T) const {
    return T(1) / static_cast<T>(divisor);
  }
};

// numerator / x.
struct Reciprocal {
  static constexpr const char* name = "reciprocal";
  static constexpr Saves saves = Saves::output;
  static constexpr bool floating_only = true;
  double numerator = 1;
  template <class T>
  DNN_HD T forward(T x) const {
    return static_cast<T>(numerator) / x;
  }
  template <class T>
  DNN_HD T derivative(T, T y) const {
    return -y * y / static_cast<T>(numerator);
  }
};

struct Abs {
  static constexpr const char* name = "abs";
  static constexpr Saves saves = Saves::input;
  static constexpr bool floating_only = false;
  template <class T>
  DNN_HD T forward(T x) const {
    return x < T(0) ? math::sub(T(0), x) : x;
  }
  template <class T>
  DNN_HD T derivative(T x, T) const {
    return x > T(0) ? T(1) : x < T(0) ? T(-1) : T(0);
  }
};

// The nearest number in [low, high]; the derivative is 1 at both ends.
struct Clamp {
  static constexpr const char* name = "clamp";
  static constexpr Saves saves = Saves::input;
  static constexpr bool floating_only = false;
  double low = 0;
  double high = 0;
  template <class T>
  DNN_HD T forward(T x) const {
    return x < math::number<T>(low) ? math::number<T>(low) : x > math::number<T>(high) ? math::number<T>(high) : x;
  }
  template <class T>
  DNN_HD T derivative(T x, T) const {
    return x >= math::number<T>(low) && x <= math::number<T>(high) ? T(1) : T(0);
  }
};

struct Exp {
  static constexpr const char* name = "exp";
  static constexpr Saves saves = Saves::output;
  static constexpr bool floating_only = true;
  template <class T>
  DNN_HD T forward(T x) const {
    return math::exp(x);
  }
  template <class T>
  DNN_HD T derivative(T, T y) const {
    return y;
  }
};

struct Log {
  static constexpr const char* name = "log";
  static constexpr Saves saves = Saves::input;
  static constexpr bool floating_only = true;
  template <class T>
  DNN_HD T forward(T x) const {
    return math::log(x);
  }
  template <class T>
  DNN_HD T derivative(T x, T) const {
    return T(1) / x;
  }
};

struct Sqrt {
  static constexpr const char* name = "sqrt";
  static constexpr Saves saves = Saves::output;
  static constexpr bool floating_only = true;
  template <class T>
  DNN_HD T forward(T x) const {
    return math::sqrt(x);
  }
  template <class T>
  DNN_HD T derivative(T, T y) const {
    return T(0.5) / y;
  }
};

struct Tanh {
  static constexpr const char* name = "tanh";
  static constexpr Saves saves = Saves::output;
  static constexpr bool floating_only = true;
  template <class T>
  DNN_HD T forward(T x) const {
    return math::tanh(x);
  }
  template <class T>
  DNN_HD T derivative(T, T y) const {
    return T(1) - y * y;
  }
};

struct Square {
  static constexpr const char* name = "square";
  static constexpr Saves saves = Saves::input;
  static constexpr bool floating_only = false;
  template <class T>
  DNN_HD T forward(T x) const {
    return math::mul(x, x);
  }
  template <class T>
  DNN_HD T derivative(T x, T) const {
    return T(2) * x;
  }
};

struct Log1p {
  static constexpr const char* name = "log1p";
  static constexpr Saves saves = Saves::input;
  static constexpr bool floating_only = true;
  template <class T>
  DNN_HD T forward(T x) const {
    return math::log1p(x);
  }
  template <class T>
  DNN_HD T derivative(T x, T) const {
    return T(1) / (T(1) + x);
  }
};

struct Expm1 {
  static constexpr const char* name = "expm1";
  static constexpr Saves saves = Saves::output;
  static constexpr bool floating_only = true;
  template <class T>
  DNN_HD T forward(T x) const {
    return math::expm1(x);
  }
  template <class T>
  DNN_HD T derivative(T, T y) const {
    return y + T(1);
  }
};

struct Rsqrt {
  static constexpr const char* name = "rsqrt";
  static constexpr Saves saves = Saves::output;
  static constexpr bool floating_only = true;
  template <class T>
  DNN_HD T forward(T x) const {
    return T(1) / math::sqrt(x);
  }
  template <class T>
  DNN_HD T derivative(T, T y) const {
    return T(-0.5) * y * y * y;
  }
};

struct Sin {
  static constexpr const char* name = "sin";
  static constexpr Saves saves = Saves::input;
  static constexpr bool floating_only = true;
  template <class T>
  DNN_HD T forward(T x) const {
    return math::sin(x);
  }
  template <class T>
  DNN_HD T derivative(T x, T) const {
    return math::cos(x);
  }
};

struct Cos {
  static constexpr const char* name = "cos";
  static constexpr Saves saves = Saves::input;
  static constexpr bool floating_only = true;
  template <class T>
  DNN_HD T forward(T x) const {
    return math::cos(x);
  }
  template <class T>
  DNN_HD T derivative(T x, T) const {
    return -math::sin(x);
  }
};

struct Erf {
  static constexpr const char* name = "erf";
  static constexpr Saves saves = Saves::input;
  static constexpr bool floating_only = true;
  template <class T>
  DNN_HD T forward(T x) const {
    return math::erf(x);
  }
  template <class T>
  DNN_HD T derivative(T x, T) const {
    return T(1.1283791670955126) * math::exp(-x * x);  // 2 / sqrt(pi)
  }
};

// The sign of NaN is 0.
struct Sign {
  static constexpr const char* name = "sign";
  static constexpr Saves saves = Saves::nothing;
  static constexpr bool floating_only = false;
  template <class T>
  DNN_HD T forward(T x) const {
    return x > T(0) ? T(1) : x < T(0) ? static_cast<T>(-1) : T(0);
  }
  template <class T>
  DNN_HD T derivative(T, T) const {
    return T(0);
  }
};

struct Floor {
  static constexpr const char* name = "floor";
  static constexpr Saves saves = Saves::nothing;
  static constexpr bool floating_only = false;
  template <class T>
  DNN_HD T forward(T x) const {
    return math::floor(x);
  }
  template <class T>
  DNN_HD T derivative(T, T) const {
    return T(0);
  }
};

struct Ceil {
  static constexpr const char* name = "ceil";
  static constexpr Saves saves = Saves::nothing;
  static constexpr bool floating_only = false;
  template <class T>
  DNN_HD T forward(T x) const {
    return math::ceil(x);
  }
  template <class T>
  DNN_HD T derivative(T, T) const {
    return T(0);
  }
};

// To the nearest whole number, halves to the even one.
struct Round {
  static constexpr const char* name = "round";
  static constexpr Saves saves = Saves::nothing;
  static constexpr bool floating_only = false;
  template <class T>
  DNN_HD T forward(T x) const {
    return math::round(x);
  }
  template <class T>
  DNN_HD T derivative(T, T) const {
    return T(0);
  }
};

// x^exponent; the derivative of x^0 is 0 everywhere.
struct PowNumber {
  static constexpr const char* name = "pow";
  static constexpr Saves saves = Saves::input;
  static constexpr bool floating_only = true;
  double exponent = 1;
  template <class T>
  DNN_HD T forward(T x) const {
    return math::pow(x, static_cast<T>(exponent));
  }
  template <class T>
  DNN_HD T derivative(T x, T) const {
    return exponent == 0 ? T(0) : static_cast<T>(exponent) * math::pow(x, static_cast<T>(exponent - 1));
  }
};

// base^x. At base 0 the derivative is 0 for x >= 0, not the NaN of 0^x * log 0.
struct NumberPow {
  static constexpr const char* name = "pow";
  static constexpr Saves saves = Saves::input;
  static constexpr bool floating_only = true;
  double base = 1;
  template <class T>
  DNN_HD T forward(T x) const {
    return math::pow(static_cast<T>(base), x);
  }
  template <class T>
  DNN_HD T derivative(T x, T) const {
    if (base == 0 && x >= T(0)) return T(0);
    return forward(x) * math::log(static_cast<T>(base));
  }
};

// x^2 / 2 near 0, |x| - 1 / 2 elsewhere, scaled by `delta`: the losses of Huber (slope = delta) and smooth L1 (slope =
// 1).
struct HuberLoss {
  static constexpr const char* name = "huber_loss";
  static constexpr Saves saves = Saves::input;
  static constexpr bool floating_only = true;
  double delta = 1;
  double slope = 1;
  template <class T>
  DNN_HD T forward(T x) const {
    const T d = static_cast<T>(delta), size = x < T(0) ? -x : x;
    return static_cast<T>(slope) * (size < d ? T(0.5) * x * x / d : size - T(0.5) * d);
  }
  template <class T>
  DNN_HD T derivative(T x, T) const {
    const T d = static_cast<T>(delta);
    return static_cast<T>(slope) * (x >= d ? T(1) : x <= -d ? T(-1) : x / d);
  }
};

using Unary = List<Affine, DivideBy, Reciprocal, Abs, Clamp, Exp, Log, Sqrt, Tanh, Square, Log1p, Expm1, Rsqrt, Sin,
                   Cos, Erf, Sign, Floor, Ceil, Round, PowNumber, NumberPow, HuberLoss>;

}  // namespace dnn::functor
