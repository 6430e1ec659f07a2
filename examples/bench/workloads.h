// What is measured: networks with the shape of a sample, batch sizes and the optimizer, the same as the peer's.
#pragma once

#include <dnn/dnn.h>

#include <functional>
#include <memory>
#include <string>
#include <vector>

struct Workload {
  std::string name;
  std::function<std::unique_ptr<dnn::Layer>()> network;
  dnn::Shape sample;
  int64_t classes;
  int64_t cpu_batch, gpu_batch;
  bool adam;  // otherwise SGD with momentum

  int64_t batch(dnn::Device device) const { return device.is_cpu() ? cpu_batch : gpu_batch; }
  std::shared_ptr<dnn::Optimizer> optimizer(const std::vector<dnn::Tensor>& parameters) const;
};

const std::vector<Workload>& workloads();
// Throws ArgumentError, which lists the names, when there is no such workload.
const Workload& workload(const std::string& name);
