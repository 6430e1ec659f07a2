// What libdnn keeps in files for the programs that run later.
//
// All of it can be made again, so the folder may be emptied at any time: the data sets that were downloaded, and the
// plans: which algorithm of cuDNN or cuBLASLt was the fastest for a convolution or a product of that shape on that GPU.
// Choosing a plan takes milliseconds to seconds, hundreds of times in the first step of a large network; a later
// program finds them in the file and computes the same bits, as it runs the same algorithms.
//
// There is a file for each library, with its version, GPU, driver and version of libdnn. DNN_PLAN_CACHE=0 in the
// environment keeps none and reads none.
#pragma once

#include <string>

namespace dnn {

/// The folder for files that libdnn can make again: `$DNN_CACHE_DIR`, else `$XDG_CACHE_HOME/dnn`, else `~/.cache/dnn`;
/// empty when none of these variables is set.
std::string cache_folder();

/// The folder of the plans, `plans` in `cache_folder()`; empty when none are kept.
std::string plan_folder();

/// Writes the plans chosen so far that are not in their files yet. It happens by itself, at most once a second, while
/// they are chosen or the program waits for a GPU, and at its end. Throws IoError.
void save_plans();

/// Removes all files of plans, so that later programs choose anew; this one goes on with what it has chosen. Throws
/// IoError.
void clear_plans();

}  // namespace dnn
