// Every layer.
#pragma once

#include "dnn/init.h"
#include "dnn/layer.h"
#include "dnn/layers/activation.h"
#include "dnn/layers/conv.h"
#include "dnn/layers/dropout.h"
#include "dnn/layers/embedding.h"
#include "dnn/layers/flatten.h"
#include "dnn/layers/linear.h"
#include "dnn/layers/module_list.h"
#include "dnn/layers/norm.h"
#include "dnn/layers/pool.h"
#include "dnn/layers/recurrent.h"
#include "dnn/layers/sequential.h"
#include "dnn/layers/upsample.h"
#include "dnn/module.h"
#include "dnn/summary.h"
