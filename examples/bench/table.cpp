// The table for people.
#include "examples/bench/table.h"

#include <fmt/format.h>

#include <algorithm>

#include "examples/bench/numbers.h"

namespace {

constexpr const char* layout = "{:<15}{:<6}{:<7}{:<6}{:<8}{:>5}{:>11}{:>12}{:>12}{:>10}{:>6}{:>9}{:>6}{:>10}\n";

const Row* fastest(const std::vector<Row>& rows, const Row& like, const std::string& device) {
  const Row* best = nullptr;
  for (const Row& row : rows)
    if (row.device == device && row.workload == like.workload && row.phase == like.phase &&
        (best == nullptr || row.samples_per_s > best->samples_per_s))
      best = &row;
  return best;
}

}  // namespace

std::string spread(const Row& row) {
  const auto percent = [&](double ms) { return 100 * (ms / row.median_ms - 1); };
  std::string text = fmt::format("{:+.0f}", std::min(percent(row.min_ms), -0.0));
  if (row.p90_ms) text += fmt::format(" {:+.0f}", std::max(percent(*row.p90_ms), 0.0));
  return text + " %";
}

std::string share(double value, std::optional<double> peak) {
  return value > 0 && peak && *peak > 0 ? fmt::format("{:.0f} %", 100 * value / *peak) : "";
}

std::string table_head() {
  return fmt::format(layout, "workload", "phase", "device", "dtype", "mode", "batch", "ms", "samples/s", "spread",
                     "FLOP/s", "", "bytes/s", "", "memory");
}

std::string table_line(const Row& row) {
  std::string line = fmt::format(
      layout, row.workload, row.phase, row.device, row.dtype, row.mode, row.batch, rounded(row.median_ms),
      rounded(row.samples_per_s), spread(row), row.flops ? scaled(row.flops_per_s()) : "",
      share(row.flops_per_s(), row.peak_flops_per_s), row.layer_bytes ? scaled(row.layer_bytes_per_s()) : "",
      share(row.layer_bytes_per_s(), row.peak_bytes_per_s),
      row.peak_bytes ? binary_scaled(static_cast<double>(*row.peak_bytes)) + "B" : "");
  line.erase(line.find_last_not_of(" \n") + 1);
  return line + "\n";
}

std::string table_legend() {
  return "ms: the median step. spread: how far below it the fastest step lies, and how far above it nine of ten stay.\n"
         "FLOP/s and bytes/s: what a step needs by its layers' shapes (each layer reads and writes its tensors once),\n"
         "over the median; beside them the share of the machine's peak, above 100 % where caches and fused kernels "
         "save\n"
         "traffic and Winograd's convolutions operations. memory: what the steps added to the process (CPU), the most\n"
         "that tensors took (GPU).\n";
}

std::string speed_up_table(const std::vector<Row>& rows) {
  std::string text;
  std::vector<const Row*> done;
  for (const Row& row : rows) {
    const Row* const cpu = fastest(rows, row, "cpu");
    const Row* const gpu = fastest(rows, row, "cuda");
    if (cpu == nullptr || gpu == nullptr || std::ranges::find(done, cpu) != done.end()) continue;
    done.push_back(cpu);
    text += fmt::format("{:<15}{:<6}{:>16}{:>22}{:>10}\n", row.workload, row.phase,
                        fmt::format("{} ({})", rounded(cpu->samples_per_s), cpu->batch),
                        fmt::format("{} ({}, {})", rounded(gpu->samples_per_s), gpu->batch, gpu->dtype),
                        rounded(gpu->samples_per_s / cpu->samples_per_s));
  }
  if (text.empty()) return "";
  return fmt::format("{:<15}{:<6}{:>16}{:>22}{:>10}\n", "workload", "phase", "CPU (batch)", "GPU (batch, dtype)",
                     "speed-up") +
         text;
}
