// A drawing that grows element by element. Colours and fonts come from the page's style sheet through classes, so that
// one drawing suits a light and a dark page.
#pragma once

#include <string>
#include <utility>
#include <vector>

class Svg {
 public:
  // `title` is read out where the picture cannot be seen.
  Svg(double width, double height, const std::string& title);

  // `anchor` is start, middle or end: which point of the text lies at x. With `tip`, what a pointer over the element
  // shows.
  void text(double x, double y, const std::string& text, const std::string& css = "", const char* anchor = "start");
  void line(double x1, double y1, double x2, double y2, const std::string& css);
  void bar(double x, double y, double width, double height, const std::string& css, const std::string& tip = "");
  void dot(double x, double y, double radius, const std::string& css, const std::string& tip = "");
  void path(const std::vector<std::pair<double, double>>& points, const std::string& css);

  std::string str() const { return text_ + "</svg>\n"; }

 private:
  std::string text_;
};

// The colours and fonts of the drawings, for light and dark screens: CSS for the page that they stand in.
const char* picture_style();
// A drawing with its style inside, as a file of its own.
std::string standalone(const std::string& svg);

// With <, > and & written as XML wants them.
std::string escaped(const std::string& text);

// About how many pixels wide a text is in the small font of the drawings.
double width_of(const std::string& text);
