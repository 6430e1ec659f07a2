// The pictures of the report.
#include "examples/bench/charts.h"

#include <fmt/format.h>

#include <algorithm>
#include <cmath>
#include <map>
#include <set>

#include "examples/bench/numbers.h"
#include "examples/bench/svg.h"

namespace {

constexpr double page = 1000;  // pixels, the width of a picture

// A logarithmic axis over pixels from `from` to `to`.
struct LogAxis {
  double low, high, from, to;

  double at(double value) const {
    return from + (to - from) * std::log(std::max(value, low) / low) / std::log(high / low);
  }
  // The powers of ten; where there are few of them, also 2 and 5 times them.
  std::vector<double> ticks() const {
    std::vector<double> all;
    const bool dense = high / low < 1e3;
    for (double power = std::pow(10, std::floor(std::log10(low))); power <= high; power *= 10)
      for (const double factor : dense ? std::vector<double>{1, 2, 5} : std::vector<double>{1})
        if (power * factor >= low * 0.999 && power * factor <= high * 1.001) all.push_back(power * factor);
    return all;
  }
};

// The largest power of ten at most `value`, the smallest at least `value`.
double below(double value) { return std::pow(10, std::floor(std::log10(value))); }
double above(double value) { return std::pow(10, std::ceil(std::log10(value))); }

std::string tick_text(double value) {
  if (value < 1) return fmt::format("{:g}", value);
  std::string text = scaled(value);
  if (const size_t point = text.find('.'); point != std::string::npos) {  // "1.00 k" -> "1 k"
    const size_t space = text.find(' ');
    std::string digits = text.substr(0, space);
    while (digits.ends_with('0')) digits.pop_back();
    if (digits.ends_with('.')) digits.pop_back();
    text = digits + text.substr(space);
  }
  if (text.ends_with(' ')) text.pop_back();
  return text;
}

// Where a row's colour comes from: whose it is and where it ran.
std::string color_of(const Row& row) {
  return std::string(row.framework == "libdnn" ? "ours" : "peer") + (row.device == "cpu" ? "" : "-gpu");
}

std::string device_name(const Row& row) { return row.device == "cpu" ? "CPU" : "GPU"; }
std::string series_name(const Row& row) {
  return device_name(row) + ", " + (row.framework == "pytorch" ? "PyTorch" : row.framework);
}

std::pair<std::string, bool> bar_order(const Row& row) { return {row.device, row.framework != "libdnn"}; }

std::string tip_of(const Row& r) {
  return fmt::format("{} {}, {}, {} {}, batch {}: {} samples/s, {} ms a step", r.workload, r.phase, series_name(r),
                     r.dtype, r.mode, r.batch, rounded(r.samples_per_s), rounded(r.median_ms));
}

// Small squares with names, from x on.
void legend(Svg& svg, double x, double y, const std::vector<std::pair<std::string, std::string>>& entries) {
  for (const auto& [css, name] : entries) {
    svg.bar(x, y - 9, 10, 10, css);
    svg.text(x + 15, y, name, "small");
    x += 36 + width_of(name);
  }
}

void keep_fastest(std::vector<Row>& kept, const Row& row, const auto& alike) {
  const auto there = std::ranges::find_if(kept, [&](const Row& other) { return alike(row, other); });
  if (there == kept.end())
    kept.push_back(row);
  else if (row.samples_per_s > there->samples_per_s)
    *there = row;
}

// The fastest row for each workload, phase, device and framework.
std::vector<Row> fastest(const std::vector<Row>& rows) {
  std::vector<Row> kept;
  for (const Row& row : rows)
    keep_fastest(kept, row, [](const Row& a, const Row& b) {
      return a.workload == b.workload && a.phase == b.phase && a.device == b.device && a.framework == b.framework;
    });
  return kept;
}

}  // namespace

std::string throughput_chart(const Results& results) {
  std::vector<Row> all = results.ours;
  all.insert(all.end(), results.peers.begin(), results.peers.end());
  all = fastest(all);
  if (all.empty()) return "";
  // Groups in the order of the rows, in each the bars in the order of their colours.
  std::vector<std::pair<std::string, std::vector<Row>>> groups;
  double low = all.front().samples_per_s, high = low;
  std::map<std::pair<std::string, bool>, std::pair<std::string, std::string>> series;  // in the order of the bars
  for (const Row& row : all) {
    const std::string name = row.workload + " " + row.phase;
    auto group = std::ranges::find_if(groups, [&](const auto& g) { return g.first == name; });
    if (group == groups.end()) group = groups.insert(groups.end(), {name, {}});
    group->second.push_back(row);
    low = std::min(low, row.samples_per_s), high = std::max(high, row.samples_per_s);
    series[bar_order(row)] = {color_of(row), series_name(row)};
  }
  constexpr double bar = 13, gap = 10, left = 160, right = 120, top = 40;
  double height = top + 40;
  for (auto& [name, rows] : groups) {
    std::ranges::stable_sort(rows, {}, bar_order);
    height += bar * static_cast<double>(rows.size()) + gap;
  }
  const LogAxis axis{below(low * 0.8), above(high), left, page - right};
  Svg svg(page, height, "Samples a second of each workload");
  std::vector<std::pair<std::string, std::string>> entries;
  for (const auto& [order, entry] : series) entries.push_back(entry);
  legend(svg, left, 16, entries);
  const double bottom = height - 34;
  for (const double tick : axis.ticks()) {
    svg.line(axis.at(tick), top - 6, axis.at(tick), bottom, "grid");
    svg.text(axis.at(tick), bottom + 16, tick_text(tick), "small soft", "middle");
  }
  svg.text(page - right, height - 3, "samples a second, logarithmic", "small soft", "end");
  double y = top;
  for (const auto& [name, rows] : groups) {
    svg.text(left - 10, y + bar * static_cast<double>(rows.size()) / 2 + 4, name, "", "end");
    for (const Row& row : rows) {
      const double end = axis.at(row.samples_per_s);
      svg.bar(left, y + 1, end - left, bar - 2, color_of(row), tip_of(row));
      svg.text(end + 6, y + bar - 3, rounded(row.samples_per_s), "small");
      y += bar;
    }
    y += gap;
  }
  return svg.str();
}

std::string ratio_chart(const std::vector<Pair>& all) {
  if (all.empty()) return "";
  double high = 1.5;
  bool several_batches = false;
  for (const Pair& pair : all) {
    high = std::max({high, pair.ratio, std::min(pair.high, 1.5 * pair.ratio)});
    for (const Pair& other : all)
      several_batches =
          several_batches || (pair.ours.workload == other.ours.workload && pair.ours.phase == other.ours.phase &&
                              pair.ours.device == other.ours.device && pair.ours.batch != other.ours.batch);
  }
  high = std::ceil(high * 2) / 2;
  constexpr double bar = 16, gap = 6, left = 230, right = 250, top = 16;
  const double height = top + 44 + (bar + gap) * static_cast<double>(all.size()), bottom = height - 36;
  const auto at = [&](double ratio) { return left + (page - right - left) * ratio / high; };
  Svg svg(page, height, "Speed of libdnn over that of the peer");
  const double step = high > 6 ? 2 : high > 3 ? 1 : 0.5;
  for (double tick = 0; tick <= high + 1e-9; tick += step) {
    svg.line(at(tick), top - 4, at(tick), bottom, "grid");
    svg.text(at(tick), bottom + 16, fmt::format("{:g}", tick), "small soft", "middle");
  }
  double y = top;
  for (const Pair& pair : all) {
    std::string name = fmt::format("{} {}", pair.ours.workload, pair.ours.phase);
    if (pair.ours.device != "cpu") name += ", GPU " + pair.ours.dtype;
    if (several_batches) name += fmt::format(", batch {}", pair.ours.batch);
    svg.text(left - 10, y + bar - 4, name, "", "end");
    const bool loses = pair.ratio < 1;
    svg.bar(left, y, at(pair.ratio) - left, bar, loses ? "loss" : color_of(pair.ours), tip_of(pair.ours));
    if (pair.rounds > 1) svg.line(at(pair.low), y + bar / 2, at(std::min(pair.high, high)), y + bar / 2, "range");
    svg.text(page - right + 14, y + bar - 4, fmt::format("{:.2f}", pair.ratio), loses ? "lost" : "strong");
    svg.text(page - right + 62, y + bar - 4,
             fmt::format("{} : {} /s", rounded(pair.ours.samples_per_s), rounded(pair.peer.samples_per_s)),
             "small soft");
    y += bar + gap;
  }
  svg.line(at(1), top - 8, at(1), bottom, "mark");
  svg.text(page - right, height - 4, "libdnn's samples a second over the peer's in its best mode; the line is 1",
           "small soft", "end");
  return svg.str();
}

namespace {

// Labels that keep off each other: of a few places around a point the first that is free.
class Labels {
 public:
  explicit Labels(Svg& svg) : svg_(svg) {}

  void keep_off(double left, double top, double right, double bottom) { boxes_.push_back({left, top, right, bottom}); }
  void place(double x, double y, const std::string& text) {
    const double width = width_of(text), rise = 5;
    Box best{};
    for (const double distance : {9.0, 20.0, 32.0})
      for (const auto& [dx, dy] : {std::pair{1.0, 0.0},
                                   {-1.0, 0.0},
                                   {0.0, -1.0},
                                   {0.0, 1.0},
                                   {0.7, -0.7},
                                   {0.7, 0.7},
                                   {-0.7, -0.7},
                                   {-0.7, 0.7}}) {
        const double middle = y + dy * distance * 1.3;
        const double left = dx > 0.1 ? x + distance * dx : dx < -0.1 ? x + distance * dx - width : x - width / 2;
        const Box box{left, middle - rise, left + width, middle + rise};
        const bool free = std::ranges::none_of(boxes_, [&](const Box& other) { return box.meets(other); });
        if (best.right == 0 || free) best = box;
        if (free) {
          draw(best, x, y, text, distance > 9);
          return;
        }
      }
    draw(best, x, y, text, false);
  }

 private:
  struct Box {
    double left, top, right, bottom;
    bool meets(const Box& o) const { return left < o.right && o.left < right && top < o.bottom && o.top < bottom; }
  };
  void draw(const Box& box, double x, double y, const std::string& text, bool far) {
    boxes_.push_back(box);
    if (far) svg_.line(x, y, std::clamp(x, box.left, box.right), (box.top + box.bottom) / 2, "grid");
    const bool before = box.right<x, after = box.left> x;
    svg_.text(before  ? box.right
              : after ? box.left
                      : (box.left + box.right) / 2,
              box.bottom - 1, text, "small",
              before  ? "end"
              : after ? "start"
                      : "middle");
  }

  Svg& svg_;
  std::vector<Box> boxes_;
};

}  // namespace

namespace {

// The roofline of one device.
std::string roofline_of(const std::string& device, const std::vector<Row>& measured) {
  std::vector<Row> rows;
  for (const Row& row : fastest(measured))
    if (row.device == device && row.flops.value_or(0) > 0 && row.layer_bytes.value_or(0) > 0) rows.push_back(row);
  struct Roof {
    double flops_per_s = 0, bytes_per_s = 0;
    void include(double flops, double bytes) {
      flops_per_s = std::max(flops_per_s, flops), bytes_per_s = std::max(bytes_per_s, bytes);
    }
  };
  std::map<std::string, Roof> roofs;  // by dtype
  for (const Row& row : rows)
    if (row.peak_flops_per_s && row.peak_bytes_per_s)
      roofs[row.dtype].include(*row.peak_flops_per_s, *row.peak_bytes_per_s);
  if (rows.empty() || roofs.empty()) return "";

  double left = INFINITY, right = 0, low = INFINITY, high = 0;
  for (const Row& row : rows) {
    const double intensity = *row.flops / *row.layer_bytes;
    left = std::min(left, intensity), right = std::max(right, intensity);
    low = std::min(low, row.flops_per_s()), high = std::max(high, row.flops_per_s());
  }
  for (const auto& [key, roof] : roofs) {
    const double ridge = roof.flops_per_s / roof.bytes_per_s;
    left = std::min(left, ridge / 4), right = std::max(right, ridge * 4), high = std::max(high, roof.flops_per_s);
  }
  constexpr double height = 440, top = 30, bottom = height - 46;
  const LogAxis x{left / 1.5, right * 1.7, 80, page - 30}, y{low / 2, high * 1.8, bottom, top};
  Svg svg(page, height, "Roofline of the " + device_name(rows.front()));
  for (const double tick : x.ticks()) {
    svg.line(x.at(tick), top, x.at(tick), bottom, "grid");
    svg.text(x.at(tick), bottom + 16, tick_text(tick), "small soft", "middle");
  }
  for (const double tick : y.ticks()) {
    svg.line(x.from, y.at(tick), x.to, y.at(tick), "grid");
    svg.text(x.from - 8, y.at(tick) + 4, tick_text(tick), "small soft", "end");
  }
  svg.text(page - 30, height - 6, "operations for each byte of the layers' traffic", "small soft", "end");
  svg.text(10, 14, "FLOP/s", "small soft");
  legend(svg, 120, 14,
         {{"dot-train " + color_of(rows.front()), "train"}, {"dot-infer " + color_of(rows.front()), "infer"}});
  Labels labels(svg);
  for (const auto& [key, roof] : roofs) {
    const double ridge = roof.flops_per_s / roof.bytes_per_s;
    const double start = std::max(x.low, y.low / roof.bytes_per_s);
    svg.path({{x.at(start), y.at(start * roof.bytes_per_s)},
              {x.at(ridge), y.at(roof.flops_per_s)},
              {x.to, y.at(roof.flops_per_s)}},
             "roof");
    const std::string name = fmt::format("{} {}: {}FLOP/s, {}B/s", device_name(rows.front()), key,
                                         scaled(roof.flops_per_s), scaled(roof.bytes_per_s));
    svg.text(x.to - 4, y.at(roof.flops_per_s) - 7, name, "small", "end");
    labels.keep_off(x.to - width_of(name), y.at(roof.flops_per_s) - 18, x.to, y.at(roof.flops_per_s) + 2);
  }
  for (const Row& row : rows) {
    const double px = x.at(*row.flops / *row.layer_bytes), py = y.at(row.flops_per_s());
    labels.keep_off(px - 6, py - 6, px + 6, py + 6);
  }
  for (const Row& row : rows) {
    const double px = x.at(*row.flops / *row.layer_bytes), py = y.at(row.flops_per_s());
    svg.dot(px, py, 5, fmt::format("dot-{} {}", row.phase, color_of(row)),
            fmt::format("{}; {}FLOP/s, {} FLOP/B", tip_of(row), scaled(row.flops_per_s()),
                        rounded(*row.flops / *row.layer_bytes)));
    labels.place(px, py, row.workload);
  }
  return svg.str();
}

}  // namespace

std::string roofline_charts(const std::vector<Row>& rows) {
  return roofline_of("cpu", rows) + roofline_of("cuda", rows);
}

std::string scaling_charts(const Results& results) {
  std::vector<Row> all = results.ours, best;
  all.insert(all.end(), results.peers.begin(), results.peers.end());
  for (const Row& row : all)
    keep_fastest(best, row, [](const Row& a, const Row& b) {
      return a.framework == b.framework && a.device == b.device && a.workload == b.workload && a.phase == b.phase &&
             a.batch == b.batch;
    });
  // Panels by workload and device, in each the lines by framework and phase, in each the points by batch.
  using Line = std::map<int64_t, Row>;
  std::vector<std::pair<std::string, std::map<std::string, Line>>> panels;
  for (const Row& row : best) {
    const std::string name = row.workload + ", " + device_name(row);
    auto panel = std::ranges::find_if(panels, [&](const auto& p) { return p.first == name; });
    if (panel == panels.end()) panel = panels.insert(panels.end(), {name, {}});
    panel->second[row.framework + " " + row.phase][row.batch] = row;
  }
  std::erase_if(panels, [](const auto& panel) {
    return std::ranges::all_of(panel.second, [](const auto& line) { return line.second.size() < 2; });
  });
  std::string text;
  for (const auto& [name, lines] : panels) {
    constexpr double width = 490, height = 250, left = 62, right = 110, top = 34, bottom = height - 40;
    double low = INFINITY, high = 0, most = 0;
    for (const auto& [series, line] : lines)
      for (const auto& [batch, row] : line) {
        low = std::min(low, static_cast<double>(batch)), high = std::max(high, static_cast<double>(batch));
        most = std::max(most, row.samples_per_s);
      }
    const LogAxis x{low, std::max(high, low * 2), left, width - right};
    const double power = below(most), share = most / power, round = share <= 2 ? 2 : share <= 5 ? 5 : 10;
    const auto y = [&](double rate) { return bottom - (bottom - top) * rate / (round * power); };
    Svg svg(width, height, "Samples a second over the batch: " + name);
    svg.text(left, 16, name, "strong");
    for (int i = 0; i <= 5; ++i) {
      const double rate = round * power * i / 5;
      svg.line(left, y(rate), width - right, y(rate), "grid");
      svg.text(left - 8, y(rate) + 4, tick_text(rate), "small soft", "end");
    }
    std::set<int64_t> batches;
    std::vector<double> ends;  // where the lines' names stand
    for (const auto& [series, line] : lines) {
      const Row& last = line.rbegin()->second;
      const std::string css = color_of(last);
      std::vector<std::pair<double, double>> points;
      for (const auto& [batch, row] : line) points.emplace_back(x.at(static_cast<double>(batch)), y(row.samples_per_s));
      if (points.size() > 1) svg.path(points, fmt::format("line-{} {}", last.phase, css));
      for (const auto& [batch, row] : line) {
        const double px = x.at(static_cast<double>(batch));
        svg.dot(px, y(row.samples_per_s), 3.5, fmt::format("dot-{} {}", row.phase, css), tip_of(row));
        if (batches.insert(batch).second) svg.text(px, bottom + 16, std::to_string(batch), "small soft", "middle");
      }
      double end = y(last.samples_per_s) + 4;
      while (std::ranges::any_of(ends, [&](double other) { return std::fabs(other - end) < 13; })) end -= 1;
      ends.push_back(end);
      svg.text(width - right + 10, end, series, "small");
    }
    svg.text(width - right, height - 4, "batch", "small soft", "end");
    text += svg.str();
  }
  return text;
}
