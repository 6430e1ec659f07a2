// The showcase networks.
#pragma once

#include "dnn/models/lenet.h"
#include "dnn/models/resnet.h"
