// Panels side by side, three in a row. A panel is axes with round ticks and up to two lines; under its title stand the
// last and the best value of each line.
#include "dnn/train/curves.h"

#include <fmt/format.h>

#include <algorithm>
#include <cmath>
#include <utility>
#include <vector>

#include "dnn/error.h"
#include "dnn/io.h"
#include "dnn/train/trainer.h"

namespace dnn {
namespace {

constexpr int panels_in_a_row = 3;
constexpr int left = 58, right = 18, above = 68, below = 44;  // around the axes of a panel
constexpr const char* train_color = "#1f77b4";
constexpr const char* validation_color = "#e4631b";

struct Line {
  const char* label;
  const char* color;
  std::vector<double> values;  // one for each epoch
};

enum class Best { lowest, highest, unknown };

struct Panel {
  std::string title;
  bool percent = false;
  Best best = Best::unknown;
  std::vector<Line> lines;
};

std::string escaped(const std::string& text) {
  std::string result;
  for (const char c : text) {
    if (c == '<')
      result += "&lt;";
    else if (c == '>')
      result += "&gt;";
    else if (c == '&')
      result += "&amp;";
    else
      result += c;
  }
  return result;
}

// The largest of 1, 2, 5, 10, ... times a power of ten that gives at least about `count` steps over `range`.
double round_step(double range, int count) {
  const double raw = range / count, power = std::pow(10.0, std::floor(std::log10(raw)));
  for (const double factor : {5.0, 2.0, 1.0})
    if (factor * power <= raw * 1.0001) return factor * power;
  return power;
}

// An axis from `low` to `high` with a tick at each multiple of `step`.
struct Axis {
  double low, high, step;

  double share(double value) const { return (value - low) / (high - low); }
  std::string text(int64_t i) const {
    const double value = static_cast<double>(i) * step;
    if (std::fabs(value) >= 1e5 || (step < 1e-4 && value != 0)) return fmt::format("{:.3g}", value);
    const int decimals = std::max(0, -static_cast<int>(std::floor(std::log10(step) + 1e-9)));
    return fmt::format("{:.{}f}", value, decimals);
  }
  int64_t first() const { return static_cast<int64_t>(std::ceil(low / step - 1e-9)); }
  int64_t last() const { return static_cast<int64_t>(std::floor(high / step + 1e-9)); }
};

// Round bounds around all finite values.
Axis value_axis(const std::vector<Line>& lines) {
  double low = INFINITY, high = -INFINITY;
  for (const Line& line : lines)
    for (const double value : line.values)
      if (std::isfinite(value)) low = std::min(low, value), high = std::max(high, value);
  if (low > high) low = 0, high = 1;
  if (low >= 0 && low < 0.35 * high) low = 0;  // a zero that is near is worth showing
  if (high - low <= 1e-9 * std::max(std::fabs(high), 1e-30)) {
    const double half = high == 0 ? 1 : 0.1 * std::fabs(high);
    low -= half, high += half;
  }
  const double step = round_step(high - low, 4);
  return {.low = step * std::floor(low / step + 1e-9), .high = step * std::ceil(high / step - 1e-9), .step = step};
}

Axis epoch_axis(size_t epochs) {
  const double last = static_cast<double>(std::max<size_t>(epochs, 2));
  return {.low = 1, .high = last, .step = std::max(1.0, round_step(last - 1, 6))};
}

std::string number_text(double value, bool percent) {
  if (percent) return fmt::format("{:.2f} %", value);
  const double size = std::fabs(value);
  return size == 0 || (size >= 1e-3 && size < 1e4) ? fmt::format("{:.4f}", value) : fmt::format("{:.3e}", value);
}

// "last 0.0712, best 0.0689 (epoch 4)", or the first half where it is not known what is best.
std::string summary(const Line& line, const Panel& panel) {
  size_t best = line.values.size();
  for (size_t i = 0; i < line.values.size(); ++i) {
    const double value = line.values[i];
    if (!std::isfinite(value)) continue;
    if (best == line.values.size() ||
        (panel.best == Best::highest ? value > line.values[best] : value < line.values[best]))
      best = i;
  }
  if (best == line.values.size()) return "no finite number";
  const std::string last =
      std::isfinite(line.values.back()) ? number_text(line.values.back(), panel.percent) : "not finite";
  if (panel.best == Best::unknown) return "last " + last;
  return fmt::format("last {}, best {} (epoch {})", last, number_text(line.values[best], panel.percent), best + 1);
}

// The points of a line; a number that is not finite ends one polyline.
std::string draw_line(const Line& line, const Axis& x, const Axis& y, double x0, double y0, double width,
                      double height) {
  std::string text;
  std::vector<std::pair<double, double>> points;
  const bool dots = line.values.size() <= 40;
  const auto finish = [&] {
    if (points.size() > 1) {
      text += "<polyline points=\"";
      for (const auto& [px, py] : points) text += fmt::format("{:.1f},{:.1f} ", px, py);
      text.back() = '"';
      text += fmt::format(" fill=\"none\" stroke=\"{}\" stroke-width=\"2\" stroke-linejoin=\"round\"/>\n", line.color);
    }
    if (dots || points.size() == 1)
      for (const auto& [px, py] : points)
        text += fmt::format("<circle cx=\"{:.1f}\" cy=\"{:.1f}\" r=\"2.6\" fill=\"{}\"/>\n", px, py, line.color);
    points.clear();
  };
  for (size_t i = 0; i < line.values.size(); ++i) {
    if (std::isfinite(line.values[i]))
      points.emplace_back(x0 + width * x.share(static_cast<double>(i + 1)),
                          y0 + height * (1 - y.share(line.values[i])));
    else
      finish();
  }
  finish();
  return text;
}

std::string draw_panel(const Panel& panel, double x0, double y0, const CurvesOptions& options) {
  const double width = options.panel_width - left - right, height = options.panel_height - above - below;
  const double ax = x0 + left, ay = y0 + above;
  const Axis x = epoch_axis(panel.lines.front().values.size()), y = value_axis(panel.lines);
  std::string text = fmt::format("<text x=\"{:.1f}\" y=\"{:.1f}\" font-size=\"15\" font-weight=\"bold\">{}</text>\n",
                                 ax, y0 + 20, escaped(panel.title));
  double legend = y0 + 38;
  for (const Line& line : panel.lines) {
    text += fmt::format(
        "<line x1=\"{0:.1f}\" y1=\"{1:.1f}\" x2=\"{2:.1f}\" y2=\"{1:.1f}\" stroke=\"{3}\" "
        "stroke-width=\"3\"/>\n",
        ax, legend - 4, ax + 18, line.color);
    text += fmt::format("<text x=\"{:.1f}\" y=\"{:.1f}\">{}<tspan fill=\"#666\">: {}</tspan></text>\n", ax + 24, legend,
                        line.label, summary(line, panel));
    legend += 15;
  }
  for (int64_t i = y.first(); i <= y.last(); ++i) {
    const double at = ay + height * (1 - y.share(static_cast<double>(i) * y.step));
    text += fmt::format("<line x1=\"{0:.1f}\" y1=\"{1:.1f}\" x2=\"{2:.1f}\" y2=\"{1:.1f}\" stroke=\"#e2e2e2\"/>\n", ax,
                        at, ax + width);
    text += fmt::format("<text x=\"{:.1f}\" y=\"{:.1f}\" text-anchor=\"end\">{}{}</text>\n", ax - 7, at + 4, y.text(i),
                        panel.percent ? " %" : "");
  }
  // Epoch 1, then round numbers that keep a distance from it.
  std::vector<int64_t> ticks{1};
  for (int64_t i = 1; i <= x.last(); ++i) {
    const int64_t epoch = i * static_cast<int64_t>(x.step);
    if (epoch > 1 && (x.step == 1 || 2 * (epoch - 1) >= static_cast<int64_t>(x.step))) ticks.push_back(epoch);
  }
  for (const int64_t epoch : ticks) {
    const double at = ax + width * x.share(static_cast<double>(epoch));
    text += fmt::format("<line x1=\"{0:.1f}\" y1=\"{1:.1f}\" x2=\"{0:.1f}\" y2=\"{2:.1f}\" stroke=\"#333\"/>\n", at,
                        ay + height, ay + height + 5);
    text +=
        fmt::format("<text x=\"{:.1f}\" y=\"{:.1f}\" text-anchor=\"middle\">{}</text>\n", at, ay + height + 18, epoch);
  }
  text += fmt::format("<text x=\"{:.1f}\" y=\"{:.1f}\" text-anchor=\"middle\">epoch</text>\n", ax + width / 2,
                      ay + height + 34);
  text += fmt::format("<path d=\"M{0:.1f} {1:.1f}V{2:.1f}H{3:.1f}\" fill=\"none\" stroke=\"#333\"/>\n", ax, ay,
                      ay + height, ax + width);
  for (const Line& line : panel.lines) text += draw_line(line, x, y, ax, ay, width, height);
  return text;
}

// The panel of one number; without lines when no epoch has it.
Panel panel_of(const History& history, const std::string& name, Best best) {
  const bool percent = name == "accuracy";
  Panel panel{.title = name, .percent = percent, .best = best, .lines = {}};
  panel.title[0] = static_cast<char>(std::toupper(static_cast<unsigned char>(panel.title[0])));
  for (const auto& [label, prefix, color] :
       {std::tuple{"train", "", train_color}, {"validation", "val_", validation_color}}) {
    Line line{.label = label, .color = color, .values = {}};
    bool any = false;
    for (const EpochStats& stats : history) {
      const double value = stats.find(prefix + name).value_or(EpochStats::none);
      any |= !std::isnan(value);
      line.values.push_back(percent ? 100 * value : value);
    }
    if (any) panel.lines.push_back(std::move(line));
  }
  return panel;
}

}  // namespace

std::string curves_svg(const History& history, const CurvesOptions& options) {
  if (options.panel_width < 200 || options.panel_height < 150)
    throw ArgumentError(fmt::format("curves_svg: a panel is {} x {}, expected at least 200 x 150", options.panel_width,
                                    options.panel_height));
  std::vector<Panel> panels{panel_of(history, "loss", Best::lowest), panel_of(history, "accuracy", Best::highest)};
  for (const std::string& name : names_of(history)) {
    const bool is_metric = std::any_of(history.begin(), history.end(), [&](const EpochStats& stats) {
      return stats.metrics.contains(name) || stats.val_metrics.contains(name);
    });
    if (is_metric) panels.push_back(panel_of(history, name, Best::unknown));
  }
  std::erase_if(panels, [](const Panel& panel) { return panel.lines.empty(); });

  const int count = static_cast<int>(panels.size()), columns = std::clamp(count, 1, panels_in_a_row);
  const int rows = std::max(1, (count + columns - 1) / columns), top = options.title.empty() ? 8 : 40;
  const int width = columns * options.panel_width, height = top + rows * options.panel_height;
  std::string text = fmt::format(
      "<svg xmlns=\"http://www.w3.org/2000/svg\" width=\"{0}\" height=\"{1}\" viewBox=\"0 0 {0} {1}\" "
      "font-family=\"Helvetica, Arial, 'DejaVu Sans', sans-serif\" font-size=\"12\" fill=\"#222\">\n"
      "<rect width=\"{0}\" height=\"{1}\" fill=\"#fff\"/>\n",
      width, height);
  if (!options.title.empty())
    text += fmt::format("<text x=\"{}\" y=\"27\" text-anchor=\"middle\" font-size=\"18\">{}</text>\n", width / 2,
                        escaped(options.title));
  for (int i = 0; i < count; ++i) {
    const Panel& panel = panels[static_cast<size_t>(i)];
    text += draw_panel(panel, i % columns * options.panel_width, top + i / columns * options.panel_height, options);
  }
  return text + "</svg>\n";
}

void CurvesSvg::on_fit_begin(Trainer&) { prepare_to_write(path_); }

void CurvesSvg::on_epoch_end(Trainer& trainer, const EpochStats&) {
  const std::string text = curves_svg(trainer.history(), options_);
  write_atomically(path_, [&](OutputFile& file) { file.write(text); });
}

}  // namespace dnn
