// Compares the kernels that cuda/*.cu defines with those that ran.
#pragma once

namespace dnn::simt::test {

// Adds the comparison to the end of the run, when no filter leaves tests out.
void check_coverage_at_end();

}  // namespace dnn::simt::test
