// Times libdnn on reference networks, on CPU and GPU: how many samples a second, how near to what the machine can do,
// in how much memory.
//
//   bench                                  every workload on every device that there is
//   bench --devices cpu --workloads lenet5,resnet18 --phases train --threads 2
//
// Standard output has one JSON object a line for each case, the table for people goes to standard error. A step is a
// whole optimisation step (train) or a forward pass (infer) on a batch that already lies on the device. On a CPU each
// case runs in a process of its own, so that its peak memory is its own.
#include <CLI/CLI.hpp>
#include <cstdio>
#include <cstdlib>
#include <iostream>
#include <nlohmann/json.hpp>

#include "measure.h"

using namespace dnn;
using nlohmann::json;

namespace {

struct Settings {
  std::vector<std::string> workloads, phases{"train", "infer"}, devices, precisions, modes{"eager"};
  int threads = 0;
  int64_t batch = 0;
  double seconds = 3;
  bool in_process = false;
};

json to_json(const Measurement& m) {
  const bool cpu = m.what.device.is_cpu();
  return {{"framework", "libdnn"},
          {"version", system_report().version},
          {"device", cpu ? "cpu" : "cuda"},
          {"workload", m.what.workload},
          {"phase", m.what.train ? "train" : "infer"},
          {"dtype", m.what.precision},
          {"mode", m.what.mode},
          {"batch", m.what.batch},
          {"threads", cpu ? json(m.threads) : json()},
          {"median_ms", m.median_ms},
          {"min_ms", m.min_ms},
          {"max_ms", m.max_ms},
          {"samples_per_s", m.samples_per_s()},
          {"loss", m.loss ? json(*m.loss) : json()},
          {"peak_bytes", m.peak_bytes},
          {"flops", m.flops}};
}

}  // namespace

int main(int argc, char** argv) try {
  Settings set;
  CLI::App app("Times libdnn on reference networks");
  app.option_defaults()->always_capture_default()->delimiter(',');
  for (const Workload& work : workloads()) set.workloads.push_back(work.name);
  for (const DeviceType type : {DeviceType::cpu, DeviceType::cuda})
    if (device_count(type) > 0) set.devices.push_back(type == DeviceType::cpu ? "cpu" : "cuda");
  app.add_option("--workloads", set.workloads);
  app.add_option("--phases", set.phases)->check(CLI::IsMember({"train", "infer"}));
  app.add_option("--devices", set.devices);
  app.add_option("--precision", set.precisions);
  app.add_option("--modes", set.modes);
  app.add_option("--threads", set.threads);
  app.add_option("--batch", set.batch);
  app.add_option("--seconds", set.seconds);
  app.add_flag("--in-process", set.in_process);
  CLI11_PARSE(app, argc, argv);
  if (set.threads > 0 && std::to_string(set.threads) != (getenv("OMP_NUM_THREADS") ? getenv("OMP_NUM_THREADS") : "")) {
    setenv("OMP_NUM_THREADS", std::to_string(set.threads).c_str(), 1);
    execv("/proc/self/exe", argv);
  }
  const bool alone = set.in_process || set.workloads.size() * set.phases.size() == 1;
  for (const auto& w : set.workloads)
    for (const auto& ph : set.phases)
      if (alone) {
        std::cout << to_json(measure({.workload = w,
                                      .train = ph == "train",
                                      .device = Device("cpu"),
                                      .precision = "fp32",
                                      .batch = set.batch,
                                      .seconds = set.seconds}))
                  << std::endl;
      } else {
        const std::string command = std::string(argv[0]) + " --in-process --workloads " + w + " --phases " + ph +
                                    " --devices cpu --seconds " + std::to_string(set.seconds) + " --batch " +
                                    std::to_string(set.batch);
        if (std::system(command.c_str()) != 0) return 1;
      }
} catch (const std::exception& error) {
  std::cerr << "bench: " << error.what() << "\n";
  return 1;
}
