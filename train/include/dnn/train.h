// All of training.
#pragma once

#include "dnn/train/callback.h"
#include "dnn/train/checkpoint.h"
#include "dnn/train/clock.h"
#include "dnn/train/evaluate.h"
#include "dnn/train/history.h"
#include "dnn/train/interrupt.h"
#include "dnn/train/lr_schedule.h"
#include "dnn/train/metric.h"
#include "dnn/train/progress.h"
#include "dnn/train/trainer.h"
