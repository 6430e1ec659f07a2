// A row of results: one case with its times, as a line of JSON has it. The peers in examples/peers write the same
// fields.
#pragma once

#include <cstdint>
#include <iosfwd>
#include <nlohmann/json_fwd.hpp>
#include <optional>
#include <string>
#include <vector>

struct Row {
  std::string framework = {}, version = {};
  std::string device = {};                              // "cpu" or "cuda"
  std::string workload = {}, phase = {};                // "train" or "infer"
  std::string dtype = {}, mode = {};                    // "fp32", "tf32", ...; "eager", ...
  int64_t batch = 0;                                    // samples of a step
  std::optional<int64_t> threads = {};                  // of the CPU kernels
  double median_ms = 0, min_ms = 0, samples_per_s = 0;  // of one step
  std::optional<double> p90_ms = {}, max_ms = {};
  std::optional<double> loss = {};  // after the timed steps of training
  std::optional<int64_t> peak_bytes =
      {};  // that the steps added to resident memory, or the peak of the GPU's allocator
  // Of a step, see cost.h; what a peer does not say is none.
  std::optional<double> flops = {}, layer_bytes = {};
  // What the machine was measured to do in such arithmetic, and in copies of memory.
  std::optional<double> peak_flops_per_s = {}, peak_bytes_per_s = {};
  int64_t round = 0;  // of a paired run

  bool same_case(const Row& other) const;  // all that says what was run, framework included
  double flops_per_s() const { return flops.value_or(0) / median_ms * 1e3; }
  double layer_bytes_per_s() const { return layer_bytes.value_or(0) / median_ms * 1e3; }
};

nlohmann::json to_json(const Row& row);
// Throws dnn::FormatError when a field is missing or of another type.
Row row_of(const nlohmann::json& json);

// The rows of a file of JSON lines; other lines are passed over, as they are in what a program prints. Throws
// dnn::IoError, and dnn::FormatError with the line's number.
std::vector<Row> read_rows(const std::string& path);

// Each case once, in the order in which they come first: of repeated ones the median of each time, the most memory.
std::vector<Row> medians(const std::vector<Row>& rows);

double median(std::vector<double> values);
