// The best of a few large products, a convolution and a copy.
#include "examples/bench/machine.h"

#include <fmt/format.h>

#include <algorithm>
#include <fstream>
#include <nlohmann/json.hpp>

#include "examples/bench/measure.h"
#include "examples/bench/numbers.h"

using namespace dnn;
using nlohmann::json;

namespace {

constexpr double seconds = 0.3;  // of each attempt
constexpr int rounds = 3;        // of all attempts: what another program takes away for a second is not missed in each

// The processor's name as Linux has it.
std::string processor() {
  std::ifstream info("/proc/cpuinfo");
  for (std::string line; std::getline(info, line);)
    if (line.starts_with("model name")) return line.substr(line.find(':') + 2);
  return "CPU";
}

std::string name_of(Device device) {
  const SystemReport report = system_report();
  if (device.is_cpu())
    return fmt::format("{}, {}, {} thread{}", processor(), report.cpu.instructions, report.cpu.threads,
                       report.cpu.threads == 1 ? "" : "s");
  for (const GpuInfo& gpu : report.gpus)
    if (gpu.index == device.index()) return gpu.name;
  return device.str();
}

// Operations a second in the fastest step.
double rate(double operations, const std::function<void()>& step, Device device) {
  return operations / time_steps(step, device, seconds).min * 1e3;
}

}  // namespace

Machine measure_machine(Device device) {
  const NoGrad no_grad;
  Machine machine{.device = device.is_cpu() ? "cpu" : "cuda", .name = name_of(device)};
  const TensorOptions there{.device = device};
  const bool cpu = device.is_cpu();
  std::vector<std::pair<Tensor, Tensor>> factors;
  for (const int64_t n : {cpu ? 1024 : 4096, cpu ? 2048 : 8192})
    factors.emplace_back(randn({n, n}, there), randn({n, n}, there));
  // With a stride, since Winograd's and Fourier's ways to convolve take fewer operations than are counted.
  const Tensor x = randn({cpu ? 8 : 256, 256, 56, 56}, there), w = randn({256, 256, 3, 3}, there);
  const int64_t elements = int64_t{cpu ? 64 : 256} << 20;
  const Tensor from = randn({elements}, there);
  Tensor to = zeros({elements}, there);
  machine.copied = 4 * elements;
  for (int round = 0; round < rounds; ++round) {
    for (const std::string& precision : precisions(device)) {
      if (device.is_cuda()) use_precision(precision);
      const DType type = autocast_of(precision);
      double& best = machine.flops_per_s[precision];
      const auto attempt = [&](const std::string& what, double flops, const std::function<void()>& step) {
        const double reached = rate(flops, step, device);
        if (reached > best) best = reached, machine.fastest[precision] = what;
      };
      for (const auto& [a, b] : factors) {
        const auto size = static_cast<double>(a.size(0));
        const Tensor left = a.to(type), right = b.to(type);
        attempt(fmt::format("product of {0} x {0}", a.size(0)), 2 * size * size * size, [&] { matmul(left, right); });
      }
      const Tensor image = x.to(type), filters = w.to(type);
      attempt("convolution 3 x 3 of 256 channels, stride 2", 2.0 * static_cast<double>(x.numel() / 4) * 256 * 9,
              [&] { conv2d(image, filters, {}, {.stride = 2, .padding = 1}); });
    }
    machine.bytes_per_s =
        std::max(machine.bytes_per_s, rate(
                                          2.0 * static_cast<double>(machine.copied), [&] { to.copy_(from); }, device));
  }
  return machine;
}

json to_json(const Machine& machine) {
  return {{"device", machine.device},           {"name", machine.name},
          {"flops_per_s", machine.flops_per_s}, {"fastest", machine.fastest},
          {"bytes_per_s", machine.bytes_per_s}, {"copied", machine.copied}};
}

Machine machine_of(const json& from) {
  Machine machine{.device = from.at("device"), .name = from.at("name")};
  machine.flops_per_s = from.at("flops_per_s").get<std::map<std::string, double>>();
  machine.fastest = from.at("fastest").get<std::map<std::string, std::string>>();
  machine.bytes_per_s = from.at("bytes_per_s"), machine.copied = from.at("copied");
  return machine;
}

std::string describe(const Machine& machine) {
  std::string text = fmt::format("{}: {}: ", machine.device, machine.name);
  for (const auto& [precision, flops] : machine.flops_per_s)
    text += fmt::format("{}FLOP/s in {} ({}), ", scaled(flops), precision, machine.fastest.at(precision));
  return text + fmt::format("{}B/s (copy of {}B, read and written)", scaled(machine.bytes_per_s),
                            binary_scaled(static_cast<double>(machine.copied)));
}
