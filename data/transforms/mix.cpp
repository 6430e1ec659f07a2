// Mixing samples of a batch: a partner for each, a share for all.
#include "dnn/data/transforms/mix.h"

#include <fmt/format.h>

#include <algorithm>
#include <cmath>
#include <numeric>
#include <utility>
#include <vector>

#include "data/transforms/image.h"
#include "data/transforms/random.h"
#include "dnn/error.h"
#include "dnn/ops/binary.h"
#include "dnn/ops/factory.h"
#include "dnn/ops/index.h"

namespace dnn {
namespace {

void check_options(const char* where, int64_t classes, const MixOptions& options) {
  if (classes < 1) throw ArgumentError(fmt::format("{}: classes is {}, expected 1 or more", where, classes));
  if (!(options.alpha > 0 && std::isfinite(options.alpha)))
    throw ArgumentError(fmt::format("{}: alpha is {}, expected a positive number", where, options.alpha));
  detail::checked_probability(where, options.p);
}

void check_input(const char* where, const Batch& batch, bool images) {
  if (!batch.input.defined() || !batch.target.defined())
    throw ArgumentError(fmt::format("{}: input or target is undefined, expected a batch", where));
  const std::string shape = batch.input.shape().str();
  if (images ? batch.input.rank() != 4 : batch.input.rank() < 1)
    throw ShapeError(fmt::format("{}: input is {}, expected {}", where, shape, images ? "[n, c, h, w]" : "[n, ...]"));
  if (batch.input.dtype() != DType::float32)
    throw DTypeError(
        fmt::format("{}: input is {}, expected float32 (input {})", where, name_of(batch.input.dtype()), shape));
  if (batch.input.device() != batch.target.device())
    throw DeviceError(fmt::format("{}: input is on {} and target on {}, expected one device", where,
                                  batch.input.device().str(), batch.target.device().str()));
}

// The targets as probabilities, a new tensor [n, classes] on their device.
Tensor probabilities(const char* where, const Batch& batch, int64_t classes) {
  const Tensor& target = batch.target;
  const int64_t n = batch.input.size(0);
  const auto facts = [&] {
    return fmt::format("input {}, target {} {}", batch.input.shape().str(), name_of(target.dtype()),
                       target.shape().str());
  };
  if (is_floating(target.dtype())) {
    if (target.shape() != Shape{n, classes})
      throw ShapeError(fmt::format("{}: expected targets [{}, {}] ({})", where, n, classes, facts()));
    return target.to(DType::float32).clone();
  }
  if (target.dtype() != DType::int64 && target.dtype() != DType::int32)
    throw DTypeError(fmt::format("{}: expected targets of int64, int32 or float32 ({})", where, facts()));
  if (target.shape() != Shape{n}) throw ShapeError(fmt::format("{}: expected targets [{}] ({})", where, n, facts()));
  const Tensor result = zeros({n, classes});
  const std::vector<int64_t> labels = target.to(Device::cpu()).to(DType::int64).to_vector<int64_t>();
  float* row = result.data<float>();
  for (int64_t i = 0; i < n; ++i, row += classes) {
    const int64_t label = labels[static_cast<size_t>(i)];
    if (label < 0 || label >= classes)
      throw IndexError(fmt::format("{}: label {} of sample {} is out of range ({} classes)", where, label, i, classes));
    row[label] = 1;
  }
  return result.to(target.device());
}

// A partner for each of n samples.
std::vector<int64_t> permutation(Generator& generator, int64_t n) {
  std::vector<int64_t> order(static_cast<size_t>(n));
  std::iota(order.begin(), order.end(), 0);
  for (size_t i = order.size(); i > 1; --i) std::swap(order[i - 1], order[generator.below(i)]);
  return order;
}

// Each partner's row, on any device.
Tensor rows_of(const Tensor& rows, const std::vector<int64_t>& partners) {
  return index_select(rows, 0, from_values(partners, {std::ssize(partners)}).to(rows.device()));
}

// share * each row + (1 - share) * its partner's row, a new tensor. On a CPU one loop, which stays in the thread of the
// loader that runs it.
Tensor mix_rows(const Tensor& rows, const std::vector<int64_t>& partners, float share) {
  if (!rows.device().is_cpu()) return rows * share + rows_of(rows, partners) * (1 - share);
  const Tensor source = rows.contiguous(), result = empty(rows.shape());
  const int64_t size = rows.shape().without(0).numel();
  const float* row = source.data<float>();
  float* out = result.data<float>();
  for (int64_t partner : partners) {
    const float* other = source.data<float>() + partner * size;
    for (int64_t i = 0; i < size; ++i) out[i] = share * row[i] + (1 - share) * other[i];
    row += size, out += size;
  }
  return result;
}

// The images with a window of their partners' in them, a new tensor.
Tensor cut_rows(const Tensor& images, const std::vector<int64_t>& partners, const detail::Window& window) {
  if (!images.device().is_cpu()) {
    const auto cut = [&](const Tensor& t) {
      return t.slice(2, window.top, window.top + window.h).slice(3, window.left, window.left + window.w);
    };
    const Tensor mixed = images.clone();
    cut(mixed).copy_(cut(rows_of(images, partners)));
    return mixed;
  }
  const Tensor source = images.contiguous(), result = detail::copy_of(source);
  const int64_t channels = images.size(1), height = images.size(2), width = images.size(3);
  float* out = result.data<float>();
  for (int64_t partner : partners) {
    const float* other = source.data<float>() + partner * channels * height * width;
    for (int64_t c = 0; c < channels; ++c, out += height * width, other += height * width) {
      for (int64_t y = window.top; y < window.top + window.h; ++y)
        std::copy_n(other + y * width + window.left, window.w, out + y * width + window.left);
    }
  }
  return result;
}

}  // namespace

Mixup::Mixup(int64_t classes, MixOptions options) : classes_(classes), options_(options) {
  check_options("Mixup", classes, options);
}

void Mixup::operator()(Batch& batch, Generator& generator) const {
  check_input("Mixup", batch, false);
  batch.target = probabilities("Mixup", batch, classes_);
  if (!detail::happens(generator, options_.p)) return;
  const auto share = static_cast<float>(detail::beta(generator, options_.alpha));
  const std::vector<int64_t> partners = permutation(generator, batch.input.size(0));
  batch.input = mix_rows(batch.input, partners, share);
  batch.target = mix_rows(batch.target, partners, share);
}

CutMix::CutMix(int64_t classes, MixOptions options) : classes_(classes), options_(options) {
  check_options("CutMix", classes, options);
}

void CutMix::operator()(Batch& batch, Generator& generator) const {
  check_input("CutMix", batch, true);
  batch.target = probabilities("CutMix", batch, classes_);
  const int64_t height = batch.input.size(2), width = batch.input.size(3);
  if (batch.input.numel() == 0 || !detail::happens(generator, options_.p)) return;
  const double side = 0.5 * std::sqrt(1 - detail::beta(generator, options_.alpha));
  const auto half = [&](int64_t size) { return static_cast<int64_t>(side * static_cast<double>(size)); };
  const int64_t y = detail::choose(generator, height), x = detail::choose(generator, width);
  const int64_t top = std::max<int64_t>(y - half(height), 0), bottom = std::min(y + half(height), height);
  const int64_t left = std::max<int64_t>(x - half(width), 0), right = std::min(x + half(width), width);
  const std::vector<int64_t> partners = permutation(generator, batch.input.size(0));
  batch.input = cut_rows(batch.input, partners, {top, left, bottom - top, right - left});
  const double cut = static_cast<double>((bottom - top) * (right - left)) / static_cast<double>(height * width);
  batch.target = mix_rows(batch.target, partners, static_cast<float>(1 - cut));
}

}  // namespace dnn
