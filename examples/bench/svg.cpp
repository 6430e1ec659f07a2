// The elements as text.
#include "examples/bench/svg.h"

#include <fmt/format.h>

namespace {

std::string with_tip(const std::string& tip) { return tip.empty() ? "/>\n" : "><title>" + escaped(tip) + "</title>"; }
std::string end_of(const char* element, const std::string& tip) {
  return tip.empty() ? "" : fmt::format("</{}>\n", element);
}

}  // namespace

const char* picture_style() {
  return R"(
:root { color-scheme: light dark; --paper: #ffffff; --card: #f6f8fa; --ink: #1b2430; --soft: #5b6675; --grid: #d9dfe7;
  --ours: #2f6fdb; --peer: #e08a3c; --ours-gpu: #12946a; --peer-gpu: #c85a7c; --loss: #cf3a3a; --roof: #7a8696; }
@media (prefers-color-scheme: dark) { :root { --paper: #12161c; --card: #1a2029; --ink: #e4e9f0; --soft: #98a4b3;
  --grid: #2f3844; --ours: #5b95f5; --peer: #e9a15c; --ours-gpu: #35c08f; --peer-gpu: #e0809d; --loss: #f06a6a; --roof: #8b97a6; } }
svg text { fill: var(--ink); font: 13px system-ui, "Segoe UI", "DejaVu Sans", sans-serif; }
svg .small { font-size: 12px; } svg .soft { fill: var(--soft); } svg .strong { font-weight: 600; }
svg .lost { font-weight: 600; fill: var(--loss); }
.grid { stroke: var(--grid); } .card { fill: var(--card); } .range { stroke: var(--ink); stroke-width: 1.5; } .mark { stroke: var(--ink); stroke-width: 1.5; stroke-dasharray: 4 3; }
.roof { fill: none; stroke: var(--roof); stroke-width: 2; } .loss { fill: var(--loss); }
rect.ours, circle.ours { fill: var(--ours); } rect.peer, circle.peer { fill: var(--peer); }
rect.ours-gpu, circle.ours-gpu { fill: var(--ours-gpu); } rect.peer-gpu, circle.peer-gpu { fill: var(--peer-gpu); }
polyline.ours, .ours { stroke: var(--ours); } polyline.peer, .peer { stroke: var(--peer); }
polyline.ours-gpu, .ours-gpu { stroke: var(--ours-gpu); } polyline.peer-gpu, .peer-gpu { stroke: var(--peer-gpu); }
rect { stroke: none !important; } polyline { fill: none; stroke-width: 2; } .line-infer { stroke-dasharray: 6 4; }
circle.dot-infer { fill: var(--card); stroke-width: 2; }
rect.dot-infer { fill: var(--card); stroke-width: 2; }
rect.dot-infer.ours { stroke: var(--ours) !important; } rect.dot-infer.ours-gpu { stroke: var(--ours-gpu) !important; }
)";
}

std::string standalone(const std::string& svg) {
  const size_t inside = svg.find('>') + 1;
  return svg.substr(0, inside) + "\n<style>" + picture_style() + "</style>\n" +
         "<rect width=\"100%\" height=\"100%\" class=\"card\"/>" + svg.substr(inside);
}

std::string escaped(const std::string& text) {
  std::string result;
  for (const char c : text) {
    if (c == '<')
      result += "&lt;";
    else if (c == '>')
      result += "&gt;";
    else if (c == '&')
      result += "&amp;";
    else if (c == '"')
      result += "&quot;";
    else
      result += c;
  }
  return result;
}

double width_of(const std::string& text) { return 6.4 * static_cast<double>(text.size()); }

Svg::Svg(double width, double height, const std::string& title)
    : text_(fmt::format("<svg xmlns=\"http://www.w3.org/2000/svg\" viewBox=\"0 0 {0:.0f} {1:.0f}\" width=\"{0:.0f}\" "
                        "role=\"img\" aria-label=\"{2}\">\n",
                        width, height, escaped(title))) {}

void Svg::text(double x, double y, const std::string& text, const std::string& css, const char* anchor) {
  text_ += fmt::format("<text x=\"{:.1f}\" y=\"{:.1f}\" class=\"{}\" text-anchor=\"{}\">{}</text>\n", x, y, css, anchor,
                       escaped(text));
}

void Svg::line(double x1, double y1, double x2, double y2, const std::string& css) {
  text_ += fmt::format("<line x1=\"{:.1f}\" y1=\"{:.1f}\" x2=\"{:.1f}\" y2=\"{:.1f}\" class=\"{}\"/>\n", x1, y1, x2, y2,
                       css);
}

void Svg::bar(double x, double y, double width, double height, const std::string& css, const std::string& tip) {
  text_ += fmt::format(
      "<rect x=\"{:.1f}\" y=\"{:.1f}\" width=\"{:.1f}\" height=\"{:.1f}\" rx=\"2\" "
      "class=\"{}\"{}{}",
      x, y, width, height, css, with_tip(tip), end_of("rect", tip));
}

void Svg::dot(double x, double y, double radius, const std::string& css, const std::string& tip) {
  text_ += fmt::format("<circle cx=\"{:.1f}\" cy=\"{:.1f}\" r=\"{:.1f}\" class=\"{}\"{}{}", x, y, radius, css,
                       with_tip(tip), end_of("circle", tip));
}

void Svg::path(const std::vector<std::pair<double, double>>& points, const std::string& css) {
  text_ += "<polyline points=\"";
  for (const auto& [x, y] : points) text_ += fmt::format("{:.1f},{:.1f} ", x, y);
  text_.back() = '"';
  text_ += fmt::format(" class=\"{}\"/>\n", css);
}
