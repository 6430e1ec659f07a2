// All of libdnn.
#pragma once

#include "dnn/autograd.h"
#include "dnn/data.h"
#include "dnn/error.h"
#include "dnn/gradcheck.h"
#include "dnn/interop/safetensors.h"
#include "dnn/io.h"
#include "dnn/layers.h"
#include "dnn/models.h"
#include "dnn/ops.h"
#include "dnn/optim.h"
#include "dnn/precision.h"
#include "dnn/random.h"
#include "dnn/state_dict.h"
#include "dnn/system.h"
#include "dnn/tensor.h"
#include "dnn/train.h"
