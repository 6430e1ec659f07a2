// Rows into works, works into pairs.
#include "examples/bench/pairs.h"

#include <algorithm>
#include <tuple>

namespace {

auto key_of(const Row& r) { return std::tie(r.device, r.workload, r.phase, r.dtype, r.batch, r.threads); }

}  // namespace

bool Work::same_as(const Work& other) const { return key_of(first) == key_of(other.first); }

const std::vector<Row>& Work::best() const {
  return std::ranges::max_element(modes, {}, [](const auto& mode) { return rate(mode.second); })->second;
}

std::vector<Work> works_of(const std::vector<Row>& rows) {
  std::vector<Work> works;
  for (const Row& row : rows) {
    auto there = std::ranges::find_if(works, [&](const Work& work) { return key_of(work.first) == key_of(row); });
    if (there == works.end()) there = works.insert(works.end(), {row, {}});
    there->modes[row.mode].push_back(row);
  }
  return works;
}

double rate(const std::vector<Row>& rounds) {
  std::vector<double> rates;
  for (const Row& row : rounds) rates.push_back(row.samples_per_s);
  return median(rates);
}

std::optional<Pair> pair_of(const Work& ours, const Work& peer) {
  if (!ours.same_as(peer)) return std::nullopt;
  const std::vector<Row>&a = ours.best(), &b = peer.best();
  std::vector<double> ratios;
  for (const Row& x : a)
    for (const Row& y : b)
      if (x.round == y.round) ratios.push_back(x.samples_per_s / y.samples_per_s);
  if (ratios.empty()) return std::nullopt;
  const auto [low, high] = std::ranges::minmax(ratios);
  Pair pair{.ours = medians(a).front(), .peer = medians(b).front(), .ratio = median(ratios), .low = low, .high = high};
  pair.rounds = ratios.size();
  std::optional<int64_t> least;
  for (const auto& [mode, rounds] : peer.modes)
    if (const int64_t bytes = medians(rounds).front().peak_bytes.value_or(0); bytes > 0)
      least = std::min(least.value_or(bytes), bytes);
  if (least && pair.ours.peak_bytes.value_or(0) > 0)
    pair.memory = static_cast<double>(*pair.ours.peak_bytes) / static_cast<double>(*least);
  return pair;
}

std::vector<Pair> pairs(const std::vector<Row>& ours, const std::vector<Row>& peers) {
  const std::vector<Work> others = works_of(peers);
  std::vector<Pair> found;
  for (const Work& work : works_of(ours))
    for (const Work& other : others)
      if (const auto pair = pair_of(work, other)) found.push_back(*pair);
  return found;
}
