// All optimizers, schedules and what else belongs to a step.
#pragma once

#include "dnn/optim/adagrad.h"
#include "dnn/optim/adam.h"
#include "dnn/optim/clip.h"
#include "dnn/optim/ema.h"
#include "dnn/optim/grad_scaler.h"
#include "dnn/optim/optimizer.h"
#include "dnn/optim/rmsprop.h"
#include "dnn/optim/schedule.h"
#include "dnn/optim/sgd.h"
