// Looking up packed filters.
#include "cuda/packed_filters.h"

#include <algorithm>
#include <list>
#include <mutex>

#include "core/kernels/copy.h"
#include "cuda/graph.h"

namespace dnn::cuda {

namespace {

struct Entry {
  std::weak_ptr<detail::Storage> storage;
  int64_t offset = 0;
  uint64_t recording = 0;  // 0: none
  Tensor packed;
  uint64_t version = 0;
  uint64_t exposures = 0;
};

struct Entries {
  std::mutex mutex;       // never held while work is given to a GPU, which may wait for another thread
  std::list<Entry> list;  // most recently used first
};

Entries& entries() {
  static auto* const instance = new Entries;  // never destroyed, as contexts are not
  return *instance;
}

// The entry of these filters, moved to the front; null when there is none.
Entry* find(std::list<Entry>& list, const Tensor& weight, detail::Layout layout, uint64_t recording) {
  const detail::TensorImpl& impl = detail::Access::impl(weight);
  const auto found = std::find_if(list.begin(), list.end(), [&](const Entry& entry) {
    const bool same_storage = !entry.storage.owner_before(impl.storage) && !impl.storage.owner_before(entry.storage);
    return same_storage && entry.offset == impl.offset && entry.recording == recording &&
           entry.packed.shape() == impl.shape && entry.packed.dtype() == impl.dtype &&
           detail::layout_of(entry.packed) == layout;
  });
  if (found == list.end()) return nullptr;
  list.splice(list.begin(), list, found);
  return &list.front();
}

void keep(std::list<Entry>& list, const Tensor& weight, Entry fresh) {
  if (Entry* const entry = find(list, weight, detail::layout_of(fresh.packed), fresh.recording)) {
    *entry = std::move(fresh);
    return;
  }
  list.remove_if([](const Entry& entry) { return entry.storage.expired(); });
  if (list.size() >= packed_filter_limit) list.pop_back();
  list.push_front(std::move(fresh));
}

}  // namespace

Tensor packed_filter(const Tensor& weight, detail::Layout layout) {
  Entries& all = entries();
  const detail::TensorImpl& impl = detail::Access::impl(weight);
  const Recording* const recording = Context::of(weight).recording();
  Entry entry{.storage = impl.storage,
              .offset = impl.offset,
              .recording = recording != nullptr ? recording->number() : 0,
              .version = impl.storage->version,
              .exposures = impl.storage->exposures};
  {
    const std::lock_guard lock(all.mutex);
    if (const Entry* const found = find(all.list, weight, layout, entry.recording)) {
      if (found->version == entry.version && found->exposures == entry.exposures) return found->packed;
      entry.packed = found->packed;  // the address stays
    }
  }
  if (!entry.packed.defined()) {
    entry.packed = detail::allocate(impl.shape, impl.dtype, weight.device());
    detail::set_layout(entry.packed, layout);
  }
  kernel::relayout[weight.device()](detail::raw(weight), detail::layout_of(weight), detail::raw(entry.packed), layout,
                                    weight.shape(), static_cast<int64_t>(size_of(weight.dtype())));
  const Tensor packed = entry.packed;
  const std::lock_guard lock(all.mutex);
  keep(all.list, weight, std::move(entry));
  return packed;
}

size_t packed_filters() {
  const std::lock_guard lock(entries().mutex);
  return entries().list.size();
}

void forget_packed_filters() {
  const std::lock_guard lock(entries().mutex);
  entries().list.clear();
}

void forget_packed_filters(uint64_t recording) noexcept {
  const std::lock_guard lock(entries().mutex);
  entries().list.remove_if([&](const Entry& entry) { return entry.recording == recording; });
}

}  // namespace dnn::cuda
