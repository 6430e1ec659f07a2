// Where the time of a case goes: its layers and operations, and a trace.
#pragma once

#include <string>

#include "examples/bench/measure.h"

// Runs the case for about its seconds under a profiler. Returns tables by layer and by operation, with the times of one
// step, and writes Chrome's trace of three steps to a file unless its name is empty. Throws what `measure` throws, and
// IoError.
std::string profile(const Case& what, const std::string& trace);
