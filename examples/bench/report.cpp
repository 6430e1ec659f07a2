// The page around the pictures. It is XML as well as HTML, so that programs can read it.
#include "examples/bench/report.h"

#include <fmt/format.h>

#include <set>

#include "examples/bench/numbers.h"
#include "examples/bench/svg.h"
#include "examples/bench/table.h"

namespace {

constexpr const char* style = R"(
body { margin: 0 auto; max-width: 1064px; padding: 24px 16px 48px; background: var(--paper); color: var(--ink);
  font: 15px/1.5 system-ui, "Segoe UI", "DejaVu Sans", sans-serif; }
h1 { font-size: 26px; margin: 0 0 8px; } h2 { font-size: 19px; margin: 36px 0 6px; }
p { margin: 6px 0; max-width: 820px; } .soft, p.note { color: var(--soft); }
figure { margin: 12px 0; padding: 16px; background: var(--card); border-radius: 8px; overflow-x: auto; }
figure svg { margin-bottom: 10px; max-width: 100%; height: auto; display: inline-block; vertical-align: top; }
table { border-collapse: collapse; font-size: 13px; font-variant-numeric: tabular-nums; }
th, td { padding: 3px 7px; text-align: right; white-space: nowrap; } th { color: var(--soft); font-weight: 600; }
th:nth-child(-n+4), td:nth-child(-n+4) { text-align: left; } tbody tr:nth-child(even) { background: color-mix(in srgb, var(--grid) 35%, transparent); }
)";

std::string section(const std::string& title, const std::string& note, const std::string& picture) {
  if (picture.empty()) return "";
  return fmt::format("<h2>{}</h2>\n<p class=\"note\">{}</p>\n<figure>\n{}</figure>\n", escaped(title), escaped(note),
                     picture);
}

std::string table_of(const std::vector<Row>& rows) {
  std::string text = "<thead><tr>";
  for (const char* head : {"framework", "workload", "phase", "device, threads", "dtype", "mode", "batch", "ms",
                           "spread", "samples/s", "FLOP/s", "of peak", "memory"})
    text += fmt::format("<th>{}</th>", head);
  text += "</tr></thead>\n<tbody>\n";
  for (const Row& r : rows) {
    const std::string where = r.device == "cpu" ? fmt::format("CPU, {}", r.threads.value_or(0)) : std::string("GPU");
    text += "<tr>";
    for (const std::string& cell : {r.framework, r.workload, r.phase, where, r.dtype, r.mode, std::to_string(r.batch),
                                    rounded(r.median_ms), spread(r), rounded(r.samples_per_s),
                                    r.flops ? scaled(r.flops_per_s()) : "", share(r.flops_per_s(), r.peak_flops_per_s),
                                    r.peak_bytes ? binary_scaled(static_cast<double>(*r.peak_bytes)) + "B" : ""})
      text += fmt::format("<td>{}</td>", escaped(cell));
    text += "</tr>\n";
  }
  return "<table>\n" + text + "</tbody>\n</table>\n";
}

}  // namespace

std::string report(const Report& contents) {
  const Results results{medians(contents.ours), medians(contents.peers)};
  std::vector<Row> all = results.ours;
  all.insert(all.end(), results.peers.begin(), results.peers.end());
  std::set<std::string> versions;
  for (const Row& row : all) versions.insert(row.framework + " " + row.version);
  std::string who;
  for (const std::string& version : versions) who += (who.empty() ? "" : ", ") + version;

  std::string text = fmt::format(
      "<!DOCTYPE html>\n<html xmlns=\"http://www.w3.org/1999/xhtml\" lang=\"en\">\n<head>\n<meta charset=\"utf-8\"/>\n"
      "<meta name=\"viewport\" content=\"width=device-width, initial-scale=1\"/>\n<title>libdnn: benchmark</title>\n"
      "<style>{}{}</style>\n</head>\n<body>\n<h1>Benchmark</h1>\n<p>{}</p>\n",
      picture_style(), style, escaped(who));
  for (const Machine& machine : contents.machines)
    text += fmt::format("<p class=\"soft\">{}</p>\n", escaped(describe(machine)));
  text +=
      "<p>train is a whole optimisation step, infer a forward pass, on a batch that already lies on the device. A "
      "number is the median of single steps.</p>\n";
  text += section("Throughput",
                  "The fastest case of each workload, of all batches, precisions and modes that were measured.",
                  throughput_chart(results));
  text += section(
      "Against the peer",
      "The same work on the same machine: device, batch, precision and threads are equal, and each side "
      "runs in its best mode. Longer is better for libdnn; of several rounds the median, and a line over their range.",
      ratio_chart(pairs(contents.ours, contents.peers)));
  text +=
      section("Roofline",
              "The roof is what the machine was measured to do: copies of memory on the left, products on the right. "
              "A layer's traffic is its input, its output and its parameters, once each; in training also what the "
              "backward pass and the optimizer read and write. A point above the slope runs from caches, or fuses "
              "layers, and so moves less than that; one above the flat roof convolves as Winograd does, in fewer "
              "operations than a convolution is counted for.",
              roofline_charts(results.ours));
  text += section("Scaling over the batch", "Samples a second; solid lines are training, broken ones inference.",
                  scaling_charts(results));
  text += section("All cases", "FLOP/s: what convolutions, products and recurrent layers need, over the median.",
                  table_of(all));
  return text + "</body>\n</html>\n";
}
