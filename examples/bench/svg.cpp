// The elements as text.
#include "examples/bench/svg.h"

#include <fmt/format.h>

namespace {

std::string with_tip(const std::string& tip) { return tip.empty() ? "/>\n" : "><title>" + escaped(tip) + "</title>"; }
std::string end_of(const char* element, const std::string& tip) {
  return tip.empty() ? "" : fmt::format("</{}>\n", element);
}

}  // namespace

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

double width_of(const std::string& text) { return 6.6 * static_cast<double>(text.size()); }

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
