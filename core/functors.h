// The element-wise functions, written once for every device: value and derivative. A list in each of these headers
// names its functors; every list is compiled apart.
#pragma once

#include "core/functors/activation.h"
#include "core/functors/binary.h"
#include "core/functors/predicate.h"
#include "core/functors/unary.h"
