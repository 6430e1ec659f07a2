// Every data set, transforms, and the loader.
#pragma once

#include "dnn/data/cifar.h"
#include "dnn/data/dataset.h"
#include "dnn/data/idx.h"
#include "dnn/data/image.h"
#include "dnn/data/image_dataset.h"
#include "dnn/data/image_folder.h"
#include "dnn/data/image_grid.h"
#include "dnn/data/loader.h"
#include "dnn/data/mnist.h"
#include "dnn/data/resident.h"
#include "dnn/data/statistics.h"
#include "dnn/data/subset.h"
#include "dnn/data/synthetic.h"
#include "dnn/data/transform.h"
#include "dnn/data/transforms.h"
