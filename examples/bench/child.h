// This program run once more, as a process of its own: its memory is its own, its OpenMP has its own number of threads,
// and what goes wrong in it ends nothing else.
#pragma once

#include <string>
#include <vector>

struct ChildResult {
  std::string output;   // what it wrote to standard output
  std::string failure;  // "it ended with 1", "it was ended by signal 11 (Segmentation fault)"; empty when it went well
};

// Runs this program with these arguments and waits. Standard error is shared. `threads` of OpenMP, or as the
// environment has it when 0. Throws dnn::Error when no process can be started.
ChildResult run_child(const std::vector<std::string>& arguments, int threads);
