// What the functors of this folder share: what a derivative needs, and lists of functors.
#pragma once

#include "core/special_functions.h"

namespace dnn::functor {

enum class Saves { nothing, input, output };

template <class... Ts>
struct List {};

// Calls visit(functor) for one default-made value of each type.
template <class... Ts, class Visit>
void for_each(List<Ts...>, Visit&& visit) {
  (visit(Ts{}), ...);
}

}  // namespace dnn::functor
