// Rows to JSON and back.
#include "examples/bench/rows.h"

#include <dnn/dnn.h>
#include <fmt/format.h>

#include <algorithm>
#include <fstream>
#include <nlohmann/json.hpp>
#include <tuple>

using nlohmann::json;

namespace {

auto case_of(const Row& r) {
  return std::tie(r.framework, r.version, r.device, r.workload, r.phase, r.dtype, r.mode, r.batch, r.threads);
}

template <class T>
json or_null(const std::optional<T>& value) {
  return value ? json(*value) : json();
}

template <class T>
void read(const json& from, const char* name, std::optional<T>& to) {
  const auto found = from.find(name);
  if (found != from.end() && !found->is_null()) to = found->get<T>();
}

}  // namespace

bool Row::same_case(const Row& other) const { return case_of(*this) == case_of(other); }

json to_json(const Row& r) {
  return {{"framework", r.framework},
          {"version", r.version},
          {"device", r.device},
          {"workload", r.workload},
          {"phase", r.phase},
          {"dtype", r.dtype},
          {"mode", r.mode},
          {"batch", r.batch},
          {"threads", or_null(r.threads)},
          {"median_ms", r.median_ms},
          {"min_ms", r.min_ms},
          {"p90_ms", or_null(r.p90_ms)},
          {"max_ms", or_null(r.max_ms)},
          {"samples_per_s", r.samples_per_s},
          {"loss", or_null(r.loss)},
          {"peak_bytes", or_null(r.peak_bytes)},
          {"flops", or_null(r.flops)},
          {"layer_bytes", or_null(r.layer_bytes)},
          {"peak_flops_per_s", or_null(r.peak_flops_per_s)},
          {"peak_bytes_per_s", or_null(r.peak_bytes_per_s)}};
}

Row row_of(const json& from) try {
  Row r;
  for (const auto& [name, field] : {std::pair{"framework", &r.framework},
                                    {"version", &r.version},
                                    {"device", &r.device},
                                    {"workload", &r.workload},
                                    {"phase", &r.phase},
                                    {"dtype", &r.dtype},
                                    {"mode", &r.mode}})
    *field = from.at(name).get<std::string>();
  r.batch = from.at("batch");
  r.median_ms = from.at("median_ms"), r.min_ms = from.at("min_ms"), r.samples_per_s = from.at("samples_per_s");
  if (!(r.median_ms > 0) || !(r.samples_per_s > 0))
    throw dnn::FormatError(fmt::format("benchmark: a step takes {} ms, expected more than 0", r.median_ms));
  read(from, "threads", r.threads), read(from, "p90_ms", r.p90_ms), read(from, "max_ms", r.max_ms),
      read(from, "loss", r.loss);
  read(from, "peak_bytes", r.peak_bytes), read(from, "flops", r.flops), read(from, "layer_bytes", r.layer_bytes);
  read(from, "peak_flops_per_s", r.peak_flops_per_s), read(from, "peak_bytes_per_s", r.peak_bytes_per_s);
  r.round = from.value("round", int64_t{0});
  return r;
} catch (const json::exception& error) {
  throw dnn::FormatError(fmt::format("benchmark: a row is not what bench writes ({})", error.what()));
}

std::vector<Row> read_rows(const std::string& path) {
  std::ifstream file(path);
  if (!file) throw dnn::IoError("benchmark: cannot open " + path + ", expected a file of JSON lines");
  std::vector<Row> rows;
  int number = 0;
  for (std::string line; std::getline(file, line);) {
    ++number;
    if (!line.starts_with('{')) continue;
    try {
      rows.push_back(row_of(json::parse(line)));
    } catch (const std::exception& error) {
      throw dnn::FormatError(fmt::format("benchmark: line {} of {}: {}", number, path, error.what()));
    }
  }
  return rows;
}

std::vector<Row> medians(const std::vector<Row>& rows) {
  std::vector<Row> result;
  for (const Row& first : rows) {
    if (std::ranges::any_of(result, [&](const Row& there) { return there.same_case(first); })) continue;
    std::vector<double> times, lows, nineties, highs, rates;
    Row row = first;
    for (const Row& r : rows) {
      if (!r.same_case(first)) continue;
      times.push_back(r.median_ms), lows.push_back(r.min_ms), rates.push_back(r.samples_per_s);
      if (r.p90_ms) nineties.push_back(*r.p90_ms);
      if (r.max_ms) highs.push_back(*r.max_ms);
      // What the machine can do is the best that was seen of it.
      if (r.peak_flops_per_s) row.peak_flops_per_s = std::max(row.peak_flops_per_s.value_or(0), *r.peak_flops_per_s);
      if (r.peak_bytes_per_s) row.peak_bytes_per_s = std::max(row.peak_bytes_per_s.value_or(0), *r.peak_bytes_per_s);
      if (r.peak_bytes) row.peak_bytes = std::max(row.peak_bytes.value_or(0), *r.peak_bytes);
    }
    row.median_ms = median(times), row.min_ms = median(lows), row.samples_per_s = median(rates);
    if (!nineties.empty()) row.p90_ms = median(nineties);
    if (!highs.empty()) row.max_ms = median(highs);
    result.push_back(row);
  }
  return result;
}

double median(std::vector<double> values) {
  std::ranges::sort(values);
  const size_t half = values.size() / 2;
  return values.size() % 2 == 1 ? values[half] : (values[half - 1] + values[half]) / 2;
}
