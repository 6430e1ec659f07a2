// Every optimizer.
#pragma once

#include "dnn/optim/adam.h"
#include "dnn/optim/optimizer.h"
#include "dnn/optim/sgd.h"
