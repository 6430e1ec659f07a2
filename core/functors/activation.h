// The activations: functors of one argument, with the rules of unary.h.
#pragma once

#include "core/functors/common.h"

namespace dnn::functor {

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

struct LeakyRelu {
  static constexpr const char* name = "leaky_relu";
  static constexpr Saves saves = Saves::input;
  static constexpr bool floating_only = true;
  double slope = 0.01;
  template <class T>
  DNN_HD T forward(T x) const {
    return x > T(0) ? x : static_cast<T>(slope) * x;
  }
  template <class T>
  DNN_HD T derivative(T x, T) const {
    return x > T(0) ? T(1) : static_cast<T>(slope);
  }
};

// The derivative is 0 at both ends, unlike that of Clamp.
struct Relu6 {
  static constexpr const char* name = "relu6";
  static constexpr Saves saves = Saves::input;
  static constexpr bool floating_only = false;
  template <class T>
  DNN_HD T forward(T x) const {
    return x < T(0) ? T(0) : x > T(6) ? T(6) : x;
  }
  template <class T>
  DNN_HD T derivative(T x, T) const {
    return x <= T(0) || x >= T(6) ? T(0) : T(1);
  }
};

// scale * x, below 0 scale * alpha * (e^x - 1): also selu.
struct Elu {
  static constexpr const char* name = "elu";
  static constexpr Saves saves = Saves::input;
  static constexpr bool floating_only = true;
  double alpha = 1;
  double scale = 1;
  template <class T>
  DNN_HD T forward(T x) const {
    const T s = static_cast<T>(scale);
    return x <= T(0) ? s * static_cast<T>(alpha) * math::expm1(x) : s * x;
  }
  template <class T>
  DNN_HD T derivative(T x, T) const {
    const T s = static_cast<T>(scale);
    return x <= T(0) ? s * static_cast<T>(alpha) * math::exp(x) : s;
  }
};

struct Gelu {
  static constexpr const char* name = "gelu";
  static constexpr Saves saves = Saves::input;
  static constexpr bool floating_only = true;
  template <class T>
  DNN_HD T forward(T x) const {
    return T(0.5) * x * (T(1) + math::erf(x * T(0.70710678118654752)));
  }
  template <class T>
  DNN_HD T derivative(T x, T) const {
    const T cdf = T(0.5) * (T(1) + math::erf(x * T(0.70710678118654752)));
    return cdf + x * T(0.39894228040143268) * math::exp(T(-0.5) * x * x);  // 1 / sqrt(2 pi)
  }
};

// Gelu with tanh in the place of erf.
struct GeluTanh {
  static constexpr const char* name = "gelu";
  static constexpr Saves saves = Saves::input;
  static constexpr bool floating_only = true;
  template <class T>
  DNN_HD T forward(T x) const {
    return T(0.5) * x * (T(1) + math::tanh(T(0.79788456080286536) * (x + T(0.044715) * x * x * x)));
  }
  template <class T>
  DNN_HD T derivative(T x, T) const {
    const T k = T(0.79788456080286536);  // sqrt(2 / pi)
    const T t = math::tanh(k * (x + T(0.044715) * x * x * x));
    return T(0.5) * (T(1) + t) + T(0.5) * x * (T(1) - t * t) * k * (T(1) + T(3 * 0.044715) * x * x);
  }
};

struct Softplus {
  static constexpr const char* name = "softplus";
  static constexpr Saves saves = Saves::input;
  static constexpr bool floating_only = true;
  double beta = 1;
  double threshold = 20;
  template <class T>
  DNN_HD T forward(T x) const {
    const T b = static_cast<T>(beta), scaled = b * x;
    return scaled > static_cast<T>(threshold) ? x : math::log1p(math::exp(scaled)) / b;
  }
  template <class T>
  DNN_HD T derivative(T x, T) const {
    const T scaled = static_cast<T>(beta) * x;
    return scaled > static_cast<T>(threshold) ? T(1) : T(1) / (T(1) + math::exp(-scaled));
  }
};

struct Hardswish {
  static constexpr const char* name = "hardswish";
  static constexpr Saves saves = Saves::input;
  static constexpr bool floating_only = true;
  template <class T>
  DNN_HD T forward(T x) const {
    const T gate = x + T(3);
    return x * (gate < T(0) ? T(0) : gate > T(6) ? T(6) : gate) / T(6);
  }
  template <class T>
  DNN_HD T derivative(T x, T) const {
    return x <= T(-3) ? T(0) : x >= T(3) ? T(1) : x / T(3) + T(0.5);
  }
};

struct Hardsigmoid {
  static constexpr const char* name = "hardsigmoid";
  static constexpr Saves saves = Saves::input;
  static constexpr bool floating_only = true;
  template <class T>
  DNN_HD T forward(T x) const {
    const T gate = x + T(3);
    return (gate < T(0) ? T(0) : gate > T(6) ? T(6) : gate) / T(6);
  }
  template <class T>
  DNN_HD T derivative(T x, T) const {
    return x > T(-3) && x < T(3) ? T(1) / T(6) : T(0);
  }
};

// x tanh(log(1 + e^x)). With n = e^x (e^x + 2), that tanh is n / (n + 2); beyond 20 it is 1.
struct Mish {
  static constexpr const char* name = "mish";
  static constexpr Saves saves = Saves::input;
  static constexpr bool floating_only = true;
  template <class T>
  DNN_HD T forward(T x) const {
    const T e = math::exp(x > T(20) ? T(20) : x), n = e * (e + T(2));
    return x * (n / (n + T(2)));
  }
  template <class T>
  DNN_HD T derivative(T x, T) const {
    const T e = math::exp(x > T(20) ? T(20) : x), n = e * (e + T(2));
    const T slope = T(4) * e * (e + T(1)) / ((n + T(2)) * (n + T(2)));  // of the tanh
    return n / (n + T(2)) + (x > T(20) ? T(0) : x * slope);
  }
};

struct LogSigmoid {
  static constexpr const char* name = "logsigmoid";
  static constexpr Saves saves = Saves::input;
  static constexpr bool floating_only = true;
  template <class T>
  DNN_HD T forward(T x) const {
    return (x > T(0) ? T(0) : x) - math::log1p(math::exp(x < T(0) ? x : -x));
  }
  template <class T>
  DNN_HD T derivative(T x, T) const {
    return T(1) / (T(1) + math::exp(x));
  }
};

using Activations = List<Relu, Sigmoid, Silu, LeakyRelu, Relu6, Elu, Gelu, GeluTanh, Softplus, Hardswish, Hardsigmoid,
                         Mish, LogSigmoid>;

}  // namespace dnn::functor
