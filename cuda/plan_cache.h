// A bounded cache of what is costly to find: the least recently used entry gives way.
#pragma once

#include <functional>
#include <list>
#include <mutex>
#include <unordered_map>
#include <utility>

namespace dnn::cuda {

template <class Key, class Value, class Hash>
class PlanCache {
 public:
  explicit PlanCache(size_t limit) : limit_(limit) {}

  // The value of a key, made by `make()` when it is not there. One thread makes at a time, so nothing is made twice.
  template <class Make>
  Value get(const Key& key, Make&& make) {
    const std::lock_guard lock(mutex_);
    if (const auto found = places_.find(key); found != places_.end()) {
      entries_.splice(entries_.begin(), entries_, found->second);
      return found->second->second;
    }
    Value value = make();
    entries_.emplace_front(key, value);
    places_.emplace(key, entries_.begin());
    if (entries_.size() > limit_) {
      places_.erase(entries_.back().first);
      entries_.pop_back();
    }
    return value;
  }

 private:
  using Entries = std::list<std::pair<Key, Value>>;  // most recently used first
  const size_t limit_;
  std::mutex mutex_;
  Entries entries_;
  std::unordered_map<Key, typename Entries::iterator, Hash> places_;
};

}  // namespace dnn::cuda
