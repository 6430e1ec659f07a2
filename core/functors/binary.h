// The functors of two arguments: value and both partial derivatives from a and b.
//
// `saves` says whether the derivatives look at a and b (`input`) or at nothing; the rest is as in unary.h.
#pragma once

#include "core/functors/common.h"

namespace dnn::functor {

struct Add {
  static constexpr const char* name = "add";
  static constexpr Saves saves = Saves::nothing;
  static constexpr bool floating_only = false;
  template <class T>
  DNN_HD T forward(T a, T b) const {
    return math::add(a, b);
  }
  template <class T>
  DNN_HD T derivative_a(T, T, T) const {
    return T(1);
  }
  template <class T>
  DNN_HD T derivative_b(T, T, T) const {
    return T(1);
  }
};

struct Sub {
  static constexpr const char* name = "sub";
  static constexpr Saves saves = Saves::nothing;
  static constexpr bool floating_only = false;
  template <class T>
  DNN_HD T forward(T a, T b) const {
    return math::sub(a, b);
  }
  template <class T>
  DNN_HD T derivative_a(T, T, T) const {
    return T(1);
  }
  template <class T>
  DNN_HD T derivative_b(T, T, T) const {
    return T(-1);
  }
};

struct Mul {
  static constexpr const char* name = "mul";
  static constexpr Saves saves = Saves::input;
  static constexpr bool floating_only = false;
  template <class T>
  DNN_HD T forward(T a, T b) const {
    return math::mul(a, b);
  }
  template <class T>
  DNN_HD T derivative_a(T, T b, T) const {
    return b;
  }
  template <class T>
  DNN_HD T derivative_b(T a, T, T) const {
    return a;
  }
};

struct Div {
  static constexpr const char* name = "div";
  static constexpr Saves saves = Saves::input;
  static constexpr bool floating_only = true;
  template <class T>
  DNN_HD T forward(T a, T b) const {
    return a / b;
  }
  template <class T>
  DNN_HD T derivative_a(T, T b, T) const {
    return T(1) / b;
  }
  template <class T>
  DNN_HD T derivative_b(T a, T b, T) const {
    return -a / (b * b);
  }
};

// Binary cross-entropy of a logit a and a probability b: -b log s(a) - (1 - b) log(1 - s(a)).
struct BceWithLogits {
  static constexpr const char* name = "bce_with_logits";
  static constexpr Saves saves = Saves::input;
  static constexpr bool floating_only = true;
  template <class T>
  DNN_HD T forward(T a, T b) const {
    const T e = math::exp(a < T(0) ? a : -a), w = T(1) + e;
    const T log1p = w == T(1) ? e : math::log(w) * (e / (w - T(1)));  // of e, to the last digits
    return (a > T(0) ? a : T(0) * a) - a * b + log1p;
  }
  template <class T>
  DNN_HD T derivative_a(T a, T b, T) const {
    return T(1) / (T(1) + math::exp(-a)) - b;
  }
  template <class T>
  DNN_HD T derivative_b(T a, T, T) const {
    return -a;
  }
};

// b (log b - a) for a log-probability a and a probability b.
struct KlDivergence {
  static constexpr const char* name = "kl_div";
  static constexpr Saves saves = Saves::input;
  static constexpr bool floating_only = true;
  template <class T>
  DNN_HD T forward(T a, T b) const {
    return (b == T(0) ? T(0) : b * math::log(b)) - b * a;
  }
  template <class T>
  DNN_HD T derivative_a(T, T b, T) const {
    return -b;
  }
  template <class T>
  DNN_HD T derivative_b(T a, T b, T) const {
    return math::log(b) + T(1) - a;
  }
};

// a^b. The derivatives of x^0 and, for x >= 0, of 0^x are 0, also where the formulas give NaN.
struct Pow {
  static constexpr const char* name = "pow";
  static constexpr Saves saves = Saves::input;
  static constexpr bool floating_only = false;
  template <class T>
  DNN_HD T forward(T a, T b) const {
    return math::pow(a, b);
  }
  template <class T>
  DNN_HD T derivative_a(T a, T b, T) const {
    return b == T(0) ? T(0) : b * math::pow(a, b - T(1));
  }
  template <class T>
  DNN_HD T derivative_b(T a, T b, T) const {
    return a == T(0) && b >= T(0) ? T(0) : math::pow(a, b) * math::log(a);
  }
};

// The larger one, or NaN when one is NaN; equal ones share the gradient.
struct Maximum {
  static constexpr const char* name = "maximum";
  static constexpr Saves saves = Saves::input;
  static constexpr bool floating_only = false;
  template <class T>
  DNN_HD T forward(T a, T b) const {
    return a != a || a > b ? a : b;
  }
  template <class T>
  DNN_HD T derivative_a(T a, T b, T) const {
    return a == b ? T(0.5) : a < b ? T(0) : T(1);
  }
  template <class T>
  DNN_HD T derivative_b(T a, T b, T) const {
    return a == b ? T(0.5) : a > b ? T(0) : T(1);
  }
};

struct Minimum {
  static constexpr const char* name = "minimum";
  static constexpr Saves saves = Saves::input;
  static constexpr bool floating_only = false;
  template <class T>
  DNN_HD T forward(T a, T b) const {
    return a != a || a < b ? a : b;
  }
  template <class T>
  DNN_HD T derivative_a(T a, T b, T) const {
    return a == b ? T(0.5) : a > b ? T(0) : T(1);
  }
  template <class T>
  DNN_HD T derivative_b(T a, T b, T) const {
    return a == b ? T(0.5) : a < b ? T(0) : T(1);
  }
};

// What a floor division leaves: it has the sign of b.
struct Remainder {
  static constexpr const char* name = "remainder";
  static constexpr Saves saves = Saves::input;
  static constexpr bool floating_only = false;
  template <class T>
  DNN_HD T forward(T a, T b) const {
    return math::remainder(a, b);
  }
  template <class T>
  DNN_HD T derivative_a(T, T, T) const {
    return T(1);
  }
  template <class T>
  DNN_HD T derivative_b(T a, T b, T) const {
    return -math::floor_divide(a, b);
  }
};

struct FloorDivide {
  static constexpr const char* name = "floor_divide";
  static constexpr Saves saves = Saves::nothing;
  static constexpr bool floating_only = false;
  template <class T>
  DNN_HD T forward(T a, T b) const {
    return math::floor_divide(a, b);
  }
  template <class T>
  DNN_HD T derivative_a(T, T, T) const {
    return T(0);
  }
  template <class T>
  DNN_HD T derivative_b(T, T, T) const {
    return T(0);
  }
};

struct Atan2 {
  static constexpr const char* name = "atan2";
  static constexpr Saves saves = Saves::input;
  static constexpr bool floating_only = true;
  template <class T>
  DNN_HD T forward(T a, T b) const {
    return math::atan2(a, b);
  }
  template <class T>
  DNN_HD T derivative_a(T a, T b, T) const {
    return b / (a * a + b * b);
  }
  template <class T>
  DNN_HD T derivative_b(T a, T b, T) const {
    return -a / (a * a + b * b);
  }
};

// a, below 0 times b.
struct Prelu {
  static constexpr const char* name = "prelu";
  static constexpr Saves saves = Saves::input;
  static constexpr bool floating_only = true;
  template <class T>
  DNN_HD T forward(T a, T b) const {
    return a > T(0) ? a : b * a;
  }
  template <class T>
  DNN_HD T derivative_a(T a, T b, T) const {
    return a > T(0) ? T(1) : b;
  }
  template <class T>
  DNN_HD T derivative_b(T a, T, T) const {
    return a > T(0) ? T(0) : a;
  }
};

using Binary =
    List<Add, Sub, Mul, Div, Pow, Maximum, Minimum, Remainder, FloorDivide, Atan2, Prelu, BceWithLogits, KlDivergence>;

}  // namespace dnn::functor
