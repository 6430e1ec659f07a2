// The showcase networks.
#pragma once

#include "dnn/models/alexnet.h"
#include "dnn/models/ciresan.h"
#include "dnn/models/create.h"
#include "dnn/models/lenet.h"
#include "dnn/models/mlp.h"
#include "dnn/models/resnet.h"
#include "dnn/models/row_lstm.h"
#include "dnn/models/vgg.h"
