// The table of what a state dict and a module do not have in common.
#include "dnn/load_report.h"

#include <fmt/format.h>

#include <algorithm>
#include <array>
#include <utility>

namespace dnn {
namespace {

constexpr size_t most_rows = 20;  // of each kind

std::string facts(const LoadReport::Row& row) {
  if (row.state && row.module) return row.state->str() + ", expected " + row.module->str();
  return (row.state ? *row.state : *row.module).str();
}

}  // namespace

namespace detail {

std::string load_table(const LoadReport& report) {
  const std::array<std::pair<const char*, const std::vector<LoadReport::Row>*>, 3> kinds{
      {{"missing", &report.missing}, {"unexpected", &report.unexpected}, {"mis-shaped", &report.misshaped}}};
  size_t width = 32;
  for (const auto& [kind, rows] : kinds)
    for (size_t i = 0; i < std::min(most_rows, rows->size()); ++i) width = std::max(width, (*rows)[i].name.size());
  std::string text;
  for (const auto& [kind, rows] : kinds) {
    for (size_t i = 0; i < std::min(most_rows, rows->size()); ++i)
      text += fmt::format("\n  {:<10}  {:<{}}  {}", kind, (*rows)[i].name, width, facts((*rows)[i]));
    if (rows->size() > most_rows) text += fmt::format("\n  {:<10}  ... and {} more", kind, rows->size() - most_rows);
  }
  if (!report.prefix.empty())
    text +=
        fmt::format("\n  the names begin with '{0}' in the state: with_prefix(\"{0}\") takes it off", report.prefix);
  return text;
}

}  // namespace detail

std::string LoadReport::str() const {
  return fmt::format("{} of {} tensors of {} match: {} missing, {} unexpected, {} mis-shaped{}", matched, names, module,
                     missing.size(), unexpected.size(), misshaped.size(), detail::load_table(*this));
}

}  // namespace dnn
