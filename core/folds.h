// What the folds of reductions compute, written once for every device. A total is double for floating types, and
// uint64, which wraps around as PyTorch's integers do, for others.
#pragma once

#include <cmath>
#include <type_traits>

#include "core/kernels/reduce.h"
#include "core/math.h"

namespace dnn::folds {

using kernel::Fold;
using kernel::FoldRule;

template <class Total>
DNN_HD Total magnitude(Total x) {
  return x < Total(0) ? Total(0) - x : x;
}

// The total of no elements.
template <Fold fold, class Total>
DNN_HD Total neutral() {
  return fold == Fold::product || fold == Fold::product_of_nonzero || fold == Fold::all ? Total(1) : Total(0);
}

// What an element contributes.
template <Fold fold, class Total, class T>
DNN_HD Total map(T element, [[maybe_unused]] const FoldRule& rule) {
  const Total x = static_cast<Total>(element);
  if constexpr (fold == Fold::product_of_nonzero) return x == Total(0) ? Total(1) : x;
  if constexpr (fold == Fold::any || fold == Fold::all || fold == Fold::nonzeros)
    return x != Total(0) ? Total(1) : Total(0);
  if constexpr (fold == Fold::zeros) return x == Total(0) ? Total(1) : Total(0);
  if constexpr (fold == Fold::squares || fold == Fold::root_of_squares) return x * x;
  if constexpr (fold == Fold::largest_magnitude || fold == Fold::magnitudes) return magnitude(x);
  if constexpr (fold == Fold::norm) return ::pow(magnitude(x), rule.p);
  if constexpr (fold == Fold::log_of_exponentials) return static_cast<Total>(math::exp(element));
  return x;
}

template <Fold fold, class Total>
DNN_HD Total join(Total a, Total b) {
  if constexpr (fold == Fold::product || fold == Fold::product_of_nonzero) return a * b;
  if constexpr (fold == Fold::any) return a != Total(0) || b != Total(0) ? Total(1) : Total(0);
  if constexpr (fold == Fold::all) return a != Total(0) && b != Total(0) ? Total(1) : Total(0);
  if constexpr (fold == Fold::largest_magnitude)
    return b > a || b != b ? b : a;  // NaN stays: no comparison with it holds
  return a + b;
}

// The result of a total.
template <Fold fold, class Total>
DNN_HD Total finish(Total total, [[maybe_unused]] const FoldRule& rule) {
  if constexpr (fold == Fold::squares) return rule.scale * total;
  if constexpr (fold == Fold::root_of_squares) return ::sqrt(rule.scale * total);
  if constexpr (fold == Fold::norm) return ::pow(total, 1 / rule.p);
  if constexpr (fold == Fold::log_of_exponentials) return ::log(total);
  return total;
}

// d result / dx of one element. `result` is that of the fold, `count` the number of zeros in a product.
template <Fold fold, class T>
DNN_HD T slope(T x, T result, [[maybe_unused]] T count, [[maybe_unused]] const FoldRule& rule) {
  const T sign = x > T(0) ? T(1) : x < T(0) ? T(-1) : T(0) * x;  // NaN stays NaN
  if constexpr (fold == Fold::product_of_nonzero) {
    if (x == T(0)) return count == T(1) ? result : T(0);
    return count == T(0) ? result / x : T(0);
  }
  if constexpr (fold == Fold::magnitudes) return sign;
  if constexpr (fold == Fold::root_of_squares) return result == T(0) ? T(0) : x / result;
  if constexpr (fold == Fold::largest_magnitude) return magnitude(x) == result ? sign : T(0);
  if constexpr (fold == Fold::norm) {
    if (result == T(0) || x == T(0)) return T(0);
    const double share = static_cast<double>(magnitude(x)) / static_cast<double>(result);
    return sign * static_cast<T>(::pow(share, rule.p - 1));
  }
  if constexpr (fold == Fold::log_of_exponentials) return math::exp(x - result);
  return T(0);
}

// Calls body(std::integral_constant<Fold, fold>) for a fold of integers and numbers.
template <class Body>
DNN_HD auto visit_whole(Fold fold, const Body& body) {
  switch (fold) {
    case Fold::any: return body(std::integral_constant<Fold, Fold::any>{});
    case Fold::all: return body(std::integral_constant<Fold, Fold::all>{});
    default: return body(std::integral_constant<Fold, Fold::product>{});
  }
}

// The same for a fold of floating numbers alone.
template <class Body>
DNN_HD auto visit_fractional(Fold fold, const Body& body) {
  switch (fold) {
    case Fold::product_of_nonzero: return body(std::integral_constant<Fold, Fold::product_of_nonzero>{});
    case Fold::zeros: return body(std::integral_constant<Fold, Fold::zeros>{});
    case Fold::nonzeros: return body(std::integral_constant<Fold, Fold::nonzeros>{});
    case Fold::squares: return body(std::integral_constant<Fold, Fold::squares>{});
    case Fold::root_of_squares: return body(std::integral_constant<Fold, Fold::root_of_squares>{});
    case Fold::magnitudes: return body(std::integral_constant<Fold, Fold::magnitudes>{});
    case Fold::largest_magnitude: return body(std::integral_constant<Fold, Fold::largest_magnitude>{});
    case Fold::norm: return body(std::integral_constant<Fold, Fold::norm>{});
    case Fold::log_of_exponentials: return body(std::integral_constant<Fold, Fold::log_of_exponentials>{});
    default: return visit_whole(fold, body);
  }
}

}  // namespace dnn::folds
