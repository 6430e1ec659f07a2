// What a device does at its best, measured through libdnn: the roof over all workloads.
#pragma once

#include <map>
#include <nlohmann/json_fwd.hpp>
#include <string>

#include "examples/bench/workloads.h"

struct Machine {
  std::string device;                               // "cpu" or "cuda"
  std::string name;                                 // "AMD EPYC 9B14, AVX-512, 2 threads"
  std::map<std::string, double> flops_per_s = {};   // by precision: the fastest of a few products and convolutions
  std::map<std::string, std::string> fastest = {};  // which of them that was
  double bytes_per_s = 0;                           // of a copy, what is read and what is written
  int64_t copied = 0;                               // bytes of the tensor that was copied
};

// Takes about four seconds for each precision.
Machine measure_machine(dnn::Device device);

nlohmann::json to_json(const Machine& machine);
Machine machine_of(const nlohmann::json& json);

// "cpu: ..., 221 GFLOP/s in fp32 (product of 2048 x 2048), 24.1 GB/s (copy of 256 MiB, read and written)"
std::string describe(const Machine& machine);
