// The element-wise functions, written once for every device: value and derivative.
//
// A unary functor says what its derivative needs (`saves`): derivative(x, y) gets the input, the output or neither, and
// must not look at the other. A binary functor gives both partial derivatives from a, b and y; `saves` as for unary. To
// add an operation: a struct, its entry in the list below, a declaration in dnn/ops, a line in core/ops, a row in
// tests. Values of 16-bit types arrive as float; `floating_only` functors never see an integer.
#pragma once

#include "core/math.h"

namespace dnn::functor {

enum class Saves { nothing, input, output };

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

struct Relu {
  static constexpr const char* name = "relu";
  static constexpr Saves saves = Saves::output;
  static constexpr bool floating_only = false;
  template <class T>
  DNN_HD T forward(T x) const {
    return x < T(0) ? T(0) : x;  // NaN stays NaN
  }
  template <class T>
  DNN_HD T derivative(T, T y) const {
    return y > T(0) ? T(1) : T(0);
  }
};

struct Sigmoid {
  static constexpr const char* name = "sigmoid";
  static constexpr Saves saves = Saves::output;
  static constexpr bool floating_only = true;
  template <class T>
  DNN_HD T forward(T x) const {
    return T(1) / (T(1) + math::exp(-x));
  }
  template <class T>
  DNN_HD T derivative(T, T y) const {
    return y * (T(1) - y);
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

struct Silu {
  static constexpr const char* name = "silu";
  static constexpr Saves saves = Saves::input;
  static constexpr bool floating_only = true;
  template <class T>
  DNN_HD T forward(T x) const {
    return x / (T(1) + math::exp(-x));
  }
  template <class T>
  DNN_HD T derivative(T x, T) const {
    const T gate = T(1) / (T(1) + math::exp(-x));
    return gate * (T(1) + x * (T(1) - gate));
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

template <class... Ts>
struct List {};

// Calls visit(functor) for one default-made value of each type.
template <class... Ts, class Visit>
void for_each(List<Ts...>, Visit&& visit) {
  (visit(Ts{}), ...);
}

using Unary =
    List<Affine, DivideBy, Reciprocal, Abs, Clamp, Exp, Log, Sqrt, Square, Relu, Sigmoid, Tanh, Silu, HuberLoss>;
using Binary = List<Add, Sub, Mul, Div, BceWithLogits, KlDivergence>;

}  // namespace dnn::functor
