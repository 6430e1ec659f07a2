// A bounded cache of what is costly to find: the least recently used entry gives way.
#pragma once

#include <cstdint>
#include <functional>
#include <list>
#include <memory>
#include <mutex>
#include <unordered_map>
#include <utility>

#include "dnn/device.h"

namespace dnn::cuda {

// The hash of a key that is these numbers.
template <class Numbers>
size_t hash_of(const Numbers& numbers) {
  size_t hash = 0;
  for (const int64_t number : numbers)
    hash ^= std::hash<int64_t>{}(number) + 0x9e3779b97f4a7c15u + (hash << 6) + (hash >> 2);
  return hash;
}

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

  size_t size() {
    const std::lock_guard lock(mutex_);
    return entries_.size();
  }
  void clear() {
    const std::lock_guard lock(mutex_);
    places_.clear(), entries_.clear();
  }

 private:
  using Entries = std::list<std::pair<Key, Value>>;  // most recently used first
  const size_t limit_;
  std::mutex mutex_;
  Entries entries_;
  std::unordered_map<Key, typename Entries::iterator, Hash> places_;
};

// What was chosen among the plans of a library, for each device and graph. A choice is made under a lock of its own, so
// that threads that need others go on.
template <class Graph, class GraphHash, class Choice>
class Choices {
 public:
  struct Entry {
    std::mutex mutex;
    std::unique_ptr<Choice> choice;  // null until it is made
  };

  explicit Choices(size_t limit) : entries_(limit) {}
  std::shared_ptr<Entry> of(Device device, const Graph& graph) {
    return entries_.get({device, graph}, [] { return std::make_shared<Entry>(); });
  }
  size_t size() { return entries_.size(); }
  void clear() { entries_.clear(); }

 private:
  struct Key {
    Device device;
    Graph graph;
    friend bool operator==(const Key&, const Key&) = default;
  };
  struct KeyHash {
    size_t operator()(const Key& key) const { return GraphHash{}(key.graph) + static_cast<size_t>(key.device.index()); }
  };
  PlanCache<Key, std::shared_ptr<Entry>, KeyHash> entries_;
};

}  // namespace dnn::cuda
