// Looking up packed weights.
#include "core/cpu/packed_weights.h"

#include <algorithm>

namespace dnn::cpu {

PackedWeights::Entry& PackedWeights::find(const Tensor& weight, const onednn::MemoryDesc& format) {
  const detail::TensorImpl& impl = detail::Access::impl(weight);
  const auto same_storage = [&](const Entry& entry) {
    return !entry.storage.owner_before(impl.storage) && !impl.storage.owner_before(entry.storage);
  };
  const auto found = std::find_if(entries_.begin(), entries_.end(), [&](const Entry& entry) {
    return same_storage(entry) && entry.offset == impl.offset && onednn::same(entry.format, format);
  });
  if (found != entries_.end()) {
    entries_.splice(entries_.begin(), entries_, found);
    return entries_.front();
  }
  entries_.remove_if([](const Entry& entry) { return entry.storage.expired(); });
  if (entries_.size() >= capacity) entries_.pop_back();
  Entry entry;
  entry.storage = impl.storage;
  entry.offset = impl.offset;
  entry.format = format;
  entry.memory = Buffer(onednn::bytes_of(format), Purpose::lasting);
  entries_.push_front(std::move(entry));
  return entries_.front();
}

PackedWeights& packed_weights() {
  static PackedWeights* const instance = new PackedWeights;
  return *instance;
}

}  // namespace dnn::cpu
