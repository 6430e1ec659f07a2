// The checks that many operations share; each throws with the operation's name and the facts.
#pragma once

#include <initializer_list>
#include <utility>

#include "core/text.h"
#include "dnn/error.h"
#include "dnn/tensor.h"

namespace dnn::detail {

using NamedTensor = std::pair<const char*, const Tensor*>;

// All tensors are defined.
void check_defined(const char* where, std::initializer_list<NamedTensor> tensors);
// All defined tensors lie on one device, which is returned; the first one must be defined.
Device check_same_device(const char* where, std::initializer_list<NamedTensor> tensors);
// All defined tensors have one type, which is returned; the first one must be defined.
DType check_same_dtype(const char* where, std::initializer_list<NamedTensor> tensors);
// The tensor has that rank.
void check_rank(const char* where, const char* name, const Tensor& t, int rank);
// The element type is floating.
void check_floating(const char* where, const char* name, const Tensor& t);
// A dimension counted from the front; throws IndexError unless -rank <= dim < rank (a scalar has one, 0).
int64_t check_dim(const char* where, int64_t dim, int64_t rank);

}  // namespace dnn::detail
