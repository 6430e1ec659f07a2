// Printing tensors the way PyTorch does: four decimals or whole numbers or powers of ten, aligned, long ones shortened.
#include <algorithm>
#include <cmath>
#include <ostream>

#include "core/text.h"
#include "dnn/autograd.h"
#include "dnn/tensor.h"

namespace dnn {

namespace {

constexpr int64_t summarize_above = 1000;  // elements
constexpr int64_t edge_items = 3;
constexpr size_t line_width = 80;

// How all numbers of one tensor are written.
class NumberFormat {
 public:
  NumberFormat(DType type, const std::vector<long double>& shown) : type_(type) {
    long double smallest = INFINITY, largest = 0;
    for (long double value : shown) {
      if (!std::isfinite(value)) continue;
      whole_ = whole_ && value == std::ceil(value);
      if (value == 0) continue;
      smallest = std::min(smallest, std::abs(value));
      largest = std::max(largest, std::abs(value));
    }
    if (largest > 0) scientific_ = largest / smallest > 1000 || largest > 1e8 || (!whole_ && smallest < 1e-4);
    // NaN and infinities do not widen the column.
    for (long double value : shown)
      if (!is_floating(type) || (std::isfinite(value) && value != 0)) width_ = std::max(width_, text(value).size());
  }

  size_t width() const { return width_; }
  std::string padded(long double value) const { return fmt::format("{:>{}}", text(value), width_); }

 private:
  std::string text(long double value) const {
    if (type_ == DType::boolean) return value != 0 ? "True" : "False";
    if (!is_floating(type_)) return fmt::format("{}", static_cast<int64_t>(value));
    const double x = static_cast<double>(value);
    if (!std::isfinite(x)) return std::isnan(x) ? "nan" : x > 0 ? "inf" : "-inf";
    if (scientific_) return fmt::format("{:.4e}", x);
    if (whole_) return fmt::format("{:.0f}.", x);
    return fmt::format("{:.4f}", x);
  }

  DType type_;
  bool whole_ = true;
  bool scientific_ = false;
  size_t width_ = 0;
};

// The positions of a dimension that are shown; -1 stands for the dots.
std::vector<int64_t> positions(int64_t size, bool shorten) {
  std::vector<int64_t> list;
  for (int64_t i = 0; i < size; ++i) {
    const bool hidden = shorten && size > 2 * edge_items && i >= edge_items && i < size - edge_items;
    if (!hidden)
      list.push_back(i);
    else if (list.back() != -1)
      list.push_back(-1);
  }
  return list;
}

class Printer {
 public:
  explicit Printer(const Tensor& t) : shape_(t.shape()), shorten_(t.numel() > summarize_above) {
    const Tensor host = t.to(Device::cpu());
    if (t.dtype() == DType::int64) {
      const auto values = host.to_vector<int64_t>();
      values_.assign(values.begin(), values.end());
    } else {
      const auto values = host.to(DType::float64).to_vector<double>();
      values_.assign(values.begin(), values.end());
    }
    std::vector<long double> shown;
    collect(0, 0, shown);
    format_.emplace_back(t.dtype(), shown);
  }

  std::string body(size_t indent) const { return write(0, 0, indent); }

 private:
  int64_t inner(int64_t dim) const {
    int64_t product = 1;
    for (int64_t d = dim + 1; d < shape_.rank(); ++d) product *= shape_[d];
    return product;
  }

  void collect(int64_t dim, int64_t offset, std::vector<long double>& shown) const {
    if (dim == shape_.rank()) return shown.push_back(values_[static_cast<size_t>(offset)]);
    for (int64_t i : positions(shape_[dim], shorten_))
      if (i >= 0) collect(dim + 1, offset + i * inner(dim), shown);
  }

  std::string write(int64_t dim, int64_t offset, size_t indent) const {
    if (dim == shape_.rank()) return format_[0].padded(values_[static_cast<size_t>(offset)]);
    const bool last = dim == shape_.rank() - 1;
    // As many items fill a line as fit by the width of a number, whatever the dots need.
    const size_t per_line = std::max<size_t>(1, (line_width - std::min(indent, line_width)) / (format_[0].width() + 2));
    std::string out = "[";
    size_t count = 0;
    for (int64_t i : positions(shape_[dim], shorten_)) {
      const std::string item = i < 0 ? (last ? " ..." : "...") : write(dim + 1, offset + i * inner(dim), indent + 1);
      if (count > 0 && last && count % per_line != 0) {
        out += ", ";
      } else if (count > 0) {
        // A blank line more for every dimension around the two innermost.
        out += ',';
        out.append(last ? 1 : static_cast<size_t>(shape_.rank() - 1 - dim), '\n');
        out.append(indent + 1, ' ');
      }
      out += item;
      ++count;
    }
    return out + "]";
  }

  Shape shape_;
  bool shorten_;
  std::vector<long double> values_;  // which holds every int64 and every double
  std::vector<NumberFormat> format_;
};

}  // namespace

std::string Tensor::str() const {
  if (!defined()) return "tensor(undefined)";
  NoGrad no_grad;
  std::string out = "tensor(";
  if (numel() == 0) {
    out += "[]";
    if (rank() != 1) out += fmt::format(", size={}", shape());
  } else {
    out += Printer(*this).body(out.size());
  }
  if (!device().is_cpu()) out += fmt::format(", device='{}'", device());
  const bool obvious = dtype() == DType::float32 || dtype() == DType::boolean || dtype() == DType::int64;
  if (!obvious || (numel() == 0 && dtype() != DType::float32)) out += fmt::format(", dtype={}", dtype());
  if (requires_grad()) out += ", requires_grad=True";
  return out + ")";
}

std::ostream& operator<<(std::ostream& stream, const Tensor& tensor) { return stream << tensor.str(); }

}  // namespace dnn
