// The kernels that cuda/*.cu defines, and lists of kernels that are let off a rule.
#pragma once

#include <set>
#include <string>

namespace dnn::simt::test {

// Names of the `__global__` functions in the .cu and .cuh files of a folder.
std::set<std::string> defined_kernels(const std::string& folder);

// Names in a list of exemptions: `kernel_name: reason` a line, # begins a comment. A name without a reason throws.
std::set<std::string> exempt_kernels(const std::string& file);

}  // namespace dnn::simt::test
