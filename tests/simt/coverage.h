// Compares the kernels that cuda/*.cu defines with those that ran.
#pragma once

#include <set>
#include <string>

namespace dnn::simt::test {

// Names of the `__global__` functions in the .cu and .cuh files of a folder.
std::set<std::string> defined_kernels(const std::string& folder);

// Names in a list of exemptions: `kernel_name: reason` a line, # begins a comment. A name without a reason throws.
std::set<std::string> exempt_kernels(const std::string& file);

// Adds the comparison to the end of the run, when no filter leaves tests out.
void check_coverage_at_end();

}  // namespace dnn::simt::test
