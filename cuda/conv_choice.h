// Which plan computes a convolution: chosen once for each graph, then remembered.
//
// The first plans that the library offers are timed on random data in memory of their own, as many as DNN_CONV_PLANS
// says (8 when it is not set; 1 takes the library's first without timing). Their workspace is bounded by a quarter of
// the memory that is free. A fused plan whose ReLU turns NaN into something else is left out: a diverged net must not
// look healthy. A plan that fails when it runs is left out from then on, and the next takes its place.
//
// A plan that adds to what the result's memory holds (ConvGraph::accumulates) reads and writes the same memory, of
// which cuDNN says nothing: it is used when that gives the same bits as with memory apart, and is faster than the
// convolution and an addition after it.
//
// What was found is kept in a file (core/plan_file.h): a later process builds that one plan, and neither times nor
// waits. When it cannot be built or run there, or more plans may be tried than then, the choice is made anew.
#pragma once

#include "cuda/conv_plan.h"

namespace dnn::cuda {

// Computes the graph, whose alignments follow from the pointers; false when no plan is left that can. Throws
// OutOfMemory when there is no room for any.
bool try_conv(Device device, ConvGraph graph, const ConvPointers& pointers);

// The same, but throws BackendError when no plan can, OutOfMemory.
void run_conv(Device device, ConvGraph graph, const ConvPointers& pointers);

// Graphs whose choice is remembered, for tests; and the most there may be: the one unused for longest is forgotten.
size_t chosen_convs();
void forget_convs();
inline constexpr size_t conv_choices = 512;

}  // namespace dnn::cuda
