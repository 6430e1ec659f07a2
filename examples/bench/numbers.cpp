// Numbers as people read them.
#include "examples/bench/numbers.h"

#include <fmt/format.h>

#include <algorithm>
#include <cmath>

namespace {

// Three significant digits, without an exponent.
std::string three_digits(double value) {
  if (value == 0 || !std::isfinite(value)) return fmt::format("{}", value);
  const int before = static_cast<int>(std::floor(std::log10(std::fabs(value) * 1.0005))) + 1;
  return fmt::format("{:.{}f}", value, std::clamp(3 - before, 0, 9));
}

std::string with_prefix(double value, double step, std::initializer_list<const char*> prefixes) {
  const auto* prefix = prefixes.begin();
  while (std::fabs(value) >= 0.9995 * step && prefix + 1 != prefixes.end()) value /= step, ++prefix;
  return three_digits(value) + " " + *prefix;
}

}  // namespace

std::string scaled(double value) { return with_prefix(value, 1000, {"", "k", "M", "G", "T", "P"}); }

std::string binary_scaled(double value) { return with_prefix(value, 1024, {"", "Ki", "Mi", "Gi", "Ti"}); }

std::string rounded(double value) {
  std::string text = three_digits(value);
  const size_t point = std::min(text.find('.'), text.size());
  for (auto at = static_cast<int64_t>(point) - 3; at > 0 && text[static_cast<size_t>(at) - 1] != '-'; at -= 3)
    text.insert(static_cast<size_t>(at), ",");
  return text;
}
