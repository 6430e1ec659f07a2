// Every operation.
#pragma once

#include "dnn/ops/binary.h"
#include "dnn/ops/conv.h"
#include "dnn/ops/dropout.h"
#include "dnn/ops/factory.h"
#include "dnn/ops/index.h"
#include "dnn/ops/linear.h"
#include "dnn/ops/loss.h"
#include "dnn/ops/norm.h"
#include "dnn/ops/optim.h"
#include "dnn/ops/pool.h"
#include "dnn/ops/reduce.h"
#include "dnn/ops/shape.h"
#include "dnn/ops/softmax.h"
#include "dnn/ops/sort.h"
#include "dnn/ops/unary.h"
