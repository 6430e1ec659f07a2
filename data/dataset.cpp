// Random choices of a pass, batches sample by sample, and the data set of two tensors.
#include "dnn/data/dataset.h"

#include <fmt/format.h>

#include <algorithm>
#include <cstring>
#include <numeric>

#include "data/bytes.h"
#include "dnn/error.h"
#include "dnn/ops/factory.h"

namespace dnn {

using detail::bytes_of;
using detail::row_bytes;

namespace detail {

std::byte* bytes_of(const Tensor& t) {
  const auto pointer = [&]<class T>(T*) { return reinterpret_cast<std::byte*>(t.data<T>()); };
  switch (t.dtype()) {
    case DType::float64: return pointer(static_cast<double*>(nullptr));
    case DType::float32: return pointer(static_cast<float*>(nullptr));
    case DType::float16: return pointer(static_cast<float16*>(nullptr));
    case DType::bfloat16: return pointer(static_cast<bfloat16*>(nullptr));
    case DType::int64: return pointer(static_cast<int64_t*>(nullptr));
    case DType::int32: return pointer(static_cast<int32_t*>(nullptr));
    case DType::uint8: return pointer(static_cast<uint8_t*>(nullptr));
    case DType::boolean: return pointer(static_cast<bool*>(nullptr));
  }
  return nullptr;
}

size_t row_bytes(const Tensor& t) { return static_cast<size_t>(t.shape().without(0).numel()) * size_of(t.dtype()); }

void check_destination(const Tensor& tensor, const Shape& shape, DType type, const std::string& name) {
  if (tensor.defined() && tensor.shape() == shape && tensor.dtype() == type && tensor.device().is_cpu() &&
      tensor.is_contiguous()) {
    return;
  }
  throw ArgumentError(
      fmt::format("{}: a batch to load into has {}, expected contiguous {} {} on cpu", name,
                  tensor.defined() ? fmt::format("{}{} {} on {}", tensor.is_contiguous() ? "" : "strided ",
                                                 name_of(tensor.dtype()), tensor.shape().str(), tensor.device().str())
                                   : "no tensor",
                  name_of(type), shape.str()));
}

}  // namespace detail

namespace {

// What tells the passes, samples, batches and orders apart that share a seed.
constexpr uint64_t order_stream = 0x6f72646572;
constexpr uint64_t nested_stream = 0x6e6573746564;
constexpr uint64_t batch_stream = 0x6261746368;
constexpr uint64_t default_stream = 0x64656661756c74;

uint64_t derive_seed(uint64_t seed, uint64_t stream, uint64_t counter) {
  const auto words = philox(seed, stream, counter);
  return uint64_t{words[0]} << 32 | words[1];
}

// Puts a sample's tensor into row `row` of `rows`, which is made at the first one. `what` is "input" or "target".
void put_row(const Tensor& value, Tensor& rows, int64_t row, int64_t count, int64_t index, const char* what,
             const Dataset& dataset) {
  const Shape shape = value.shape().with(0, count);
  if (!rows.defined()) rows = empty(shape, {.dtype = value.dtype()});
  if (row == 0) detail::check_destination(rows, shape, value.dtype(), dataset.name());
  if (rows.shape() != shape) {
    throw ShapeError(fmt::format("{}: the {} of sample {} is {}, in a batch of {}", dataset.name(), what, index,
                                 value.shape().str(), rows.shape().str()));
  }
  if (rows.dtype() != value.dtype()) {
    throw DTypeError(fmt::format("{}: the {} of sample {} is {}, in a batch of {}", dataset.name(), what, index,
                                 name_of(value.dtype()), name_of(rows.dtype())));
  }
  if (!value.device().is_cpu()) {
    throw DeviceError(fmt::format("{}: the {} of sample {} is on {}, expected cpu", dataset.name(), what, index,
                                  value.device().str()));
  }
  const size_t bytes = row_bytes(rows);
  const Tensor source = value.contiguous();
  if (bytes > 0) std::memcpy(bytes_of(rows) + static_cast<size_t>(row) * bytes, bytes_of(source), bytes);
}

}  // namespace

Generator Pass::generator(int64_t index) const {
  return Generator(derive_seed(seed, static_cast<uint64_t>(epoch), static_cast<uint64_t>(index)));
}

Generator Pass::batch_generator(int64_t batch) const {
  const uint64_t of_batches = derive_seed(seed, batch_stream, 0);
  return Generator(derive_seed(of_batches, static_cast<uint64_t>(epoch), static_cast<uint64_t>(batch)));
}

Generator Pass::default_generator(int64_t index) const { return nested(default_stream).generator(index); }

Pass Pass::nested(uint64_t which) const { return {derive_seed(seed, nested_stream, which), epoch}; }

std::vector<int64_t> Pass::permutation(int64_t n) const {
  std::vector<int64_t> order(static_cast<size_t>(n));
  std::iota(order.begin(), order.end(), 0);
  Generator generator(derive_seed(seed, order_stream, static_cast<uint64_t>(epoch)));
  for (size_t i = order.size(); i > 1; --i) std::swap(order[i - 1], order[generator.below(i)]);
  return order;
}

Batch Dataset::allocate(int64_t) const { return {}; }

void Dataset::gather(std::span<const int64_t> indices, const Pass& pass, Batch& batch) const {
  const int64_t count = std::ssize(indices);
  for (int64_t row = 0; row < count; ++row) {
    const int64_t index = indices[static_cast<size_t>(row)];
    const detail::GeneratorScope scope(pass.default_generator(index));
    const Sample sample = get(index, pass);
    put_row(sample.input, batch.input, row, count, index, "input", *this);
    put_row(sample.target, batch.target, row, count, index, "target", *this);
  }
}

Batch Dataset::batch(std::span<const int64_t> indices, const Pass& pass) const {
  Batch result = allocate(std::ssize(indices));
  gather(indices, pass, result);
  return result;
}

void Dataset::check_index(int64_t index) const {
  if (index < 0 || index >= size()) {
    throw IndexError(fmt::format("{}: there is no sample {} ({} samples)", name(), index, size()));
  }
}

std::shared_ptr<const Dataset> SharedDataset::checked(std::shared_ptr<const Dataset> dataset) {
  if (!dataset) throw ArgumentError("data set: a null pointer was given");
  return dataset;
}

TensorDataset::TensorDataset(Tensor inputs, Tensor targets, std::string name) : name_(std::move(name)) {
  if (inputs.rank() < 1 || targets.rank() < 1 || inputs.size(0) != targets.size(0)) {
    throw ShapeError(
        fmt::format("TensorDataset: inputs and targets need the same first dimension (inputs {}, targets {})",
                    inputs.shape().str(), targets.shape().str()));
  }
  if (!inputs.device().is_cpu() || !targets.device().is_cpu()) {
    throw DeviceError(fmt::format("TensorDataset: inputs are on {}, targets on {}, expected cpu", inputs.device().str(),
                                  targets.device().str()));
  }
  inputs_ = inputs.detach().contiguous();
  targets_ = targets.detach().contiguous();
  bytes_of(inputs_), bytes_of(targets_);  // whose memory is plain from here on: threads read it at once
}

Sample TensorDataset::get(int64_t index, const Pass&) const {
  check_index(index);
  return {inputs_[index].clone(), targets_[index].clone()};
}

Batch TensorDataset::allocate(int64_t count) const {
  return {empty(inputs_.shape().without(0).with(0, count), {.dtype = inputs_.dtype()}),
          empty(targets_.shape().without(0).with(0, count), {.dtype = targets_.dtype()})};
}

void TensorDataset::gather(std::span<const int64_t> indices, const Pass&, Batch& batch) const {
  if (!batch.input.defined()) batch = allocate(std::ssize(indices));
  const auto copy_rows = [&](const Tensor& from, const Tensor& to) {
    detail::check_destination(to, from.shape().without(0).with(0, std::ssize(indices)), from.dtype(), name_);
    const size_t bytes = row_bytes(from);
    const std::byte* source = bytes_of(from);
    std::byte* destination = bytes_of(to);
    for (int64_t index : indices) {
      check_index(index);
      if (bytes > 0) std::memcpy(destination, source + static_cast<size_t>(index) * bytes, bytes);
      destination += bytes;
    }
  };
  copy_rows(inputs_, batch.input);
  copy_rows(targets_, batch.target);
}

}  // namespace dnn
