// Questions about one or two elements of any type, bool included; the answers are a bool tensor, without a derivative.
#pragma once

#include "core/functors/common.h"

namespace dnn::functor {

struct IsNan {
  static constexpr const char* name = "isnan";
  template <class T>
  DNN_HD bool test([[maybe_unused]] T x) const {
    return x != x;
  }
};

struct IsInf {
  static constexpr const char* name = "isinf";
  template <class T>
  DNN_HD bool test([[maybe_unused]] T x) const {
    if constexpr (std::is_integral_v<T>)
      return false;
    else
      return x - x != T(0) && x == x;
  }
};

struct IsFinite {
  static constexpr const char* name = "isfinite";
  template <class T>
  DNN_HD bool test([[maybe_unused]] T x) const {
    if constexpr (std::is_integral_v<T>)
      return true;
    else
      return x - x == T(0);
  }
};

struct LogicalNot {
  static constexpr const char* name = "logical_not";
  template <class T>
  DNN_HD bool test([[maybe_unused]] T x) const {
    return x == T(0);
  }
};

struct Eq {
  static constexpr const char* name = "eq";
  template <class T>
  DNN_HD bool test(T a, T b) const {
    return a == b;
  }
};

struct Ne {
  static constexpr const char* name = "ne";
  template <class T>
  DNN_HD bool test(T a, T b) const {
    return a != b;
  }
};

struct Lt {
  static constexpr const char* name = "lt";
  template <class T>
  DNN_HD bool test(T a, T b) const {
    return a < b;
  }
};

struct Le {
  static constexpr const char* name = "le";
  template <class T>
  DNN_HD bool test(T a, T b) const {
    return a <= b;
  }
};

struct Gt {
  static constexpr const char* name = "gt";
  template <class T>
  DNN_HD bool test(T a, T b) const {
    return a > b;
  }
};

struct Ge {
  static constexpr const char* name = "ge";
  template <class T>
  DNN_HD bool test(T a, T b) const {
    return a >= b;
  }
};

struct LogicalAnd {
  static constexpr const char* name = "logical_and";
  template <class T>
  DNN_HD bool test(T a, T b) const {
    return (a != T(0)) & (b != T(0));
  }
};

struct LogicalOr {
  static constexpr const char* name = "logical_or";
  template <class T>
  DNN_HD bool test(T a, T b) const {
    return (a != T(0)) | (b != T(0));
  }
};

struct LogicalXor {
  static constexpr const char* name = "logical_xor";
  template <class T>
  DNN_HD bool test(T a, T b) const {
    return (a != T(0)) != (b != T(0));
  }
};

using UnaryPredicates = List<IsNan, IsInf, IsFinite, LogicalNot>;
using BinaryPredicates = List<Eq, Ne, Lt, Le, Gt, Ge, LogicalAnd, LogicalOr, LogicalXor>;

}  // namespace dnn::functor
