// Drawing digits: strokes are traced, bent, scaled into the box and inked pixel by pixel.
#include "dnn/data/synthetic.h"

#include <fmt/format.h>

#include <algorithm>
#include <array>
#include <cmath>
#include <numbers>
#include <span>

#include "data/digit_strokes.h"
#include "dnn/data/mnist.h"
#include "dnn/error.h"
#include "dnn/ops/factory.h"

namespace dnn {

namespace {

using detail::Point;
using detail::Stroke;

constexpr int side = 28;    // of an image, in pixels
constexpr double box = 20;  // of the digit in it, as in MNIST
constexpr int steps = 6;    // pieces of a stroke between two of its points
constexpr double two_pi = 2 * std::numbers::pi;

// A piece of a stroke, in pixels: the pen moves straight and changes its radius evenly.
struct Segment {
  Point from, to;
  double from_radius, to_radius;
};

double between(Generator& random, double low, double high) { return low + (high - low) * random.uniform(); }

Point operator+(Point a, Point b) { return {a.x + b.x, a.y + b.y}; }
Point operator-(Point a, Point b) { return {a.x - b.x, a.y - b.y}; }
Point operator*(double k, Point a) { return {k * a.x, k * a.y}; }

// The stroke as points close to each other, by Catmull and Rom's spline where it is smooth.
std::vector<Point> trace(const Stroke& stroke) {
  const auto& points = stroke.points;
  const auto at = [&](std::ptrdiff_t i) {
    return points[static_cast<size_t>(std::clamp<std::ptrdiff_t>(i, 0, std::ssize(points) - 1))];
  };
  std::vector<Point> traced{points.front()};
  for (std::ptrdiff_t i = 0; i + 1 < std::ssize(points); ++i) {
    const Point a = at(i - 1), b = at(i), c = at(i + 1), d = at(i + 2);
    for (int step = 1; step <= steps; ++step) {
      const double t = static_cast<double>(step) / steps;
      if (stroke.kind == Stroke::corners) {
        traced.push_back(b + t * (c - b));
      } else {
        const double t2 = t * t, t3 = t2 * t;
        traced.push_back(0.5 * (2 * b + t * (c - a) + t2 * (2 * a - 5 * b + 4 * c - d) + t3 * (3 * b - 3 * c + d - a)));
      }
    }
  }
  return traced;
}

// A random bending of the plane: width, slant and rotation, then a few slow waves.
class Distortion {
 public:
  explicit Distortion(Generator& random)
      : width_(between(random, 0.65, 1.4)), slant_(between(random, -0.25, 0.55)), angle_(between(random, -0.25, 0.25)) {
    for (Wave& wave : waves_) {
      const double direction = between(random, 0, two_pi), frequency = between(random, 0.3, 1.1) * two_pi;
      const double towards = between(random, 0, two_pi), height = 0.045 * random.normal();
      wave = {frequency * Point{std::cos(direction), std::sin(direction)}, between(random, 0, two_pi),
              height * Point{std::cos(towards), std::sin(towards)}};
    }
  }

  Point operator()(Point p) const {
    const double x = width_ * (p.x - 0.3) - slant_ * (p.y - 0.5), y = p.y - 0.5;
    const Point turned{std::cos(angle_) * x - std::sin(angle_) * y, std::sin(angle_) * x + std::cos(angle_) * y};
    Point result = turned;
    for (const Wave& wave : waves_) {
      result = result + std::sin(wave.number.x * turned.x + wave.number.y * turned.y + wave.phase) * wave.height;
    }
    return result;
  }

 private:
  struct Wave {
    Point number;  // radians per unit of length
    double phase;
    Point height;
  };
  double width_, slant_, angle_;
  std::array<Wave, 6> waves_;
};

// Scales the strokes into the box and moves their centre of mass to the centre of the image.
void fit(std::span<Segment> segments, Generator& random) {
  Point low = segments.front().from, high = low;
  double thickest = 0;
  for (const Segment& s : segments) {
    for (const Point p : {s.from, s.to}) {
      low = {std::min(low.x, p.x), std::min(low.y, p.y)};
      high = {std::max(high.x, p.x), std::max(high.y, p.y)};
    }
    thickest = std::max({thickest, s.from_radius, s.to_radius});
  }
  const double scale = (box * between(random, 0.92, 1.0) - 2 * thickest) / std::max(high.x - low.x, high.y - low.y);
  Point moment{0, 0};
  double mass = 0;
  for (Segment& s : segments) {
    s.from = scale * s.from, s.to = scale * s.to;
    const double ink = std::hypot(s.to.x - s.from.x, s.to.y - s.from.y) * (s.from_radius + s.to_radius);
    moment = moment + 0.5 * ink * (s.from + s.to);
    mass += ink;
  }
  const Point shift = Point{side / 2.0, side / 2.0} - (1 / mass) * moment;
  for (Segment& s : segments) s.from = s.from + shift, s.to = s.to + shift;
}

// Lays ink on every pixel near the segment, by the distance of the pixel's centre from the pen's edge.
void draw(const Segment& s, uint8_t* pixels) {
  constexpr double softness = 1.3;  // pixels from full ink to none
  const double reach = std::max(s.from_radius, s.to_radius) + softness;
  const auto first = [&](double a, double b) {
    return std::max(0, static_cast<int>(std::floor(std::min(a, b) - reach)));
  };
  const auto last = [&](double a, double b) {
    return std::min(side, static_cast<int>(std::ceil(std::max(a, b) + reach)));
  };
  const Point along = s.to - s.from;
  const double length2 = std::max(along.x * along.x + along.y * along.y, 1e-12);
  for (int y = first(s.from.y, s.to.y); y < last(s.from.y, s.to.y); ++y) {
    for (int x = first(s.from.x, s.to.x); x < last(s.from.x, s.to.x); ++x) {
      const Point p = Point{x + 0.5, y + 0.5} - s.from;
      const double t = std::clamp((p.x * along.x + p.y * along.y) / length2, 0.0, 1.0);
      const double dx = p.x - t * along.x, dy = p.y - t * along.y;
      const double radius = s.from_radius + t * (s.to_radius - s.from_radius);
      const double ink = std::clamp((radius - std::sqrt(dx * dx + dy * dy)) / softness + 0.5, 0.0, 1.0);
      uint8_t& pixel = pixels[y * side + x];
      pixel = std::max(pixel, static_cast<uint8_t>(std::lround(255 * ink)));
    }
  }
}

// Draws one digit into a black image; returns which.
int64_t draw_digit(Generator random, uint8_t* pixels) {
  const auto digit = static_cast<int>(random.below(10));
  const auto& ways = detail::ways_to_write(digit);
  const auto& strokes = ways[random.below(ways.size())];
  const Distortion bend(random);
  const double radius = between(random, 0.8, 1.9), unevenness = between(random, 0, 0.3);
  const double waves = between(random, 2, 8), phase = between(random, 0, two_pi);

  std::vector<Segment> segments;
  for (const Stroke& stroke : strokes) {
    const std::vector<Point> traced = trace(stroke);
    const auto pen = [&](size_t i) {
      return radius *
             (1 + unevenness * std::sin(phase + waves * static_cast<double>(i) / static_cast<double>(traced.size())));
    };
    for (size_t i = 1; i < traced.size(); ++i) {
      segments.push_back({bend(traced[i - 1]), bend(traced[i]), pen(i - 1), pen(i)});
    }
  }
  fit(segments, random);
  for (const Segment& segment : segments) draw(segment, pixels);
  return digit;
}

ImageDataset draw_digits(int64_t count, uint64_t seed, const SyntheticDigitsOptions& options) {
  if (count < 0) throw ArgumentError(fmt::format("SyntheticDigits: count is {}, expected 0 or more", count));
  const Tensor images = zeros({count, 1, side, side}, {.dtype = DType::uint8});
  const Tensor labels = empty({count}, {.dtype = DType::int64});
  uint8_t* pixels = images.data<uint8_t>();
  int64_t* label = labels.data<int64_t>();
  const Pass pass{.seed = seed};
#pragma omp parallel for schedule(static)
  for (int64_t i = 0; i < count; ++i) label[i] = draw_digit(pass.generator(i), pixels + i * side * side);
  ImageDataset result("synthetic digits", images, labels, {"0", "1", "2", "3", "4", "5", "6", "7", "8", "9"});
  if (options.normalize) result.normalize(Mnist::normalization());
  return result;
}

}  // namespace

SyntheticDigits::SyntheticDigits(int64_t count, uint64_t seed, const SyntheticDigitsOptions& options)
    : ImageDataset(draw_digits(count, seed, options)) {}

}  // namespace dnn
