// The page around the pictures. It is XML as well as HTML, so that programs can read it.
#include "examples/bench/report.h"

#include <fmt/format.h>

#include <set>

#include "examples/bench/numbers.h"
#include "examples/bench/svg.h"
#include "examples/bench/table.h"

namespace {

constexpr const char* style = R"(
:root { color-scheme: light dark; --paper: #ffffff; --card: #f6f8fa; --ink: #1b2430; --soft: #5b6675; --grid: #d9dfe7;
  --ours: #2f6fdb; --peer: #e08a3c; --ours-gpu: #12946a; --peer-gpu: #c85a7c; --loss: #cf3a3a; --roof: #7a8696; }
@media (prefers-color-scheme: dark) { :root { --paper: #12161c; --card: #1a2029; --ink: #e4e9f0; --soft: #98a4b3;
  --grid: #2f3844; --ours: #5b95f5; --peer: #e9a15c; --ours-gpu: #35c08f; --peer-gpu: #e0809d; --loss: #f06a6a; --roof: #8b97a6; } }
body { margin: 0 auto; max-width: 1064px; padding: 24px 16px 48px; background: var(--paper); color: var(--ink);
  font: 15px/1.5 system-ui, "Segoe UI", "DejaVu Sans", sans-serif; }
h1 { font-size: 26px; margin: 0 0 8px; } h2 { font-size: 19px; margin: 36px 0 6px; }
p { margin: 6px 0; max-width: 820px; } .soft, p.note { color: var(--soft); }
figure { margin: 12px 0; padding: 16px; background: var(--card); border-radius: 8px; overflow-x: auto; }
figure svg { max-width: 100%; height: auto; display: inline-block; vertical-align: top; }
svg text { fill: var(--ink); font: 13px system-ui, "Segoe UI", "DejaVu Sans", sans-serif; }
svg .small { font-size: 12px; } svg .soft { fill: var(--soft); } svg .strong { font-weight: 600; }
svg .lost { font-weight: 600; fill: var(--loss); }
.grid { stroke: var(--grid); } .mark { stroke: var(--ink); stroke-width: 1.5; stroke-dasharray: 4 3; }
.roof { fill: none; stroke: var(--roof); stroke-width: 2; } .loss { fill: var(--loss); }
rect.ours, circle.ours { fill: var(--ours); } rect.peer, circle.peer { fill: var(--peer); }
rect.ours-gpu, circle.ours-gpu { fill: var(--ours-gpu); } rect.peer-gpu, circle.peer-gpu { fill: var(--peer-gpu); }
polyline.ours, .ours { stroke: var(--ours); } polyline.peer, .peer { stroke: var(--peer); }
polyline.ours-gpu, .ours-gpu { stroke: var(--ours-gpu); } polyline.peer-gpu, .peer-gpu { stroke: var(--peer-gpu); }
rect { stroke: none !important; } polyline { fill: none; stroke-width: 2; } .line-infer { stroke-dasharray: 6 4; }
circle.dot-infer { fill: var(--card); stroke-width: 2; }
rect.dot-infer { fill: var(--card); stroke-width: 2; }
rect.dot-infer.ours { stroke: var(--ours) !important; } rect.dot-infer.ours-gpu { stroke: var(--ours-gpu) !important; }
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
  const Results results{contents.ours, contents.peers};
  std::vector<Row> all = contents.ours;
  all.insert(all.end(), contents.peers.begin(), contents.peers.end());
  std::set<std::string> versions;
  for (const Row& row : all) versions.insert(row.framework + " " + row.version);
  std::string who;
  for (const std::string& version : versions) who += (who.empty() ? "" : ", ") + version;

  std::string text = fmt::format(
      "<!DOCTYPE html>\n<html xmlns=\"http://www.w3.org/1999/xhtml\" lang=\"en\">\n<head>\n<meta charset=\"utf-8\"/>\n"
      "<meta name=\"viewport\" content=\"width=device-width, initial-scale=1\"/>\n<title>libdnn: benchmark</title>\n"
      "<style>{}</style>\n</head>\n<body>\n<h1>Benchmark</h1>\n<p>{}</p>\n",
      style, escaped(who));
  for (const Machine& machine : contents.machines)
    text += fmt::format("<p class=\"soft\">{}</p>\n", escaped(describe(machine)));
  text +=
      "<p>train is a whole optimisation step, infer a forward pass, on a batch that already lies on the device. A "
      "number is the median of single steps.</p>\n";
  text += section("Throughput", "The fastest case of each workload.", throughput_chart(results));
  text += section("Against the peer",
                  "The same work on the same machine: device, batch, precision and threads are equal, and each side "
                  "runs in its best mode. Longer is better for libdnn.",
                  ratio_chart(pairs(results)));
  text +=
      section("Roofline",
              "The roof is what the machine was measured to do: copies of memory on the left, products on the right. "
              "A layer's traffic is its input, its output and its parameters, once each; in training also what the "
              "backward pass and the optimizer read and write. A point above the slope runs from caches, or fuses "
              "layers, and so moves less than that.",
              roofline_charts(contents.ours));
  text += section("Scaling over the batch", "Samples a second; solid lines are training, broken ones inference.",
                  scaling_charts(results));
  text += section("All cases", "FLOP/s: what convolutions, products and recurrent layers need, over the median.",
                  table_of(all));
  return text + "</body>\n</html>\n";
}
