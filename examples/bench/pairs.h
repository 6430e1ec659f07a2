// libdnn beside a peer: rows of equal work, compared round by round as a paired run has them.
#pragma once

#include <map>
#include <optional>
#include <string>
#include <vector>

#include "examples/bench/rows.h"

// All rows of the same work: device, workload, phase, dtype, batch and threads.
struct Work {
  Row first;
  std::map<std::string, std::vector<Row>> modes;  // the rounds of each mode

  bool same_as(const Work& other) const;
  // The rounds of the mode with the highest median.
  const std::vector<Row>& best() const;
};

// In the order in which each comes first.
std::vector<Work> works_of(const std::vector<Row>& rows);

// The median of samples a second.
double rate(const std::vector<Row>& rounds);

// Both sides in their best mode: each with its medians, and ours over theirs in samples a second.
struct Pair {
  Row ours, peer;
  double ratio = 0, low = 0, high = 0;  // median and range of the rounds
  size_t rounds = 0;                    // that both sides have
  // The most of all rounds, ours over that of their mode that needs least: a compiled mode's peak is the compiler's.
  std::optional<double> memory;
};

// None when the works differ or have no round in common.
std::optional<Pair> pair_of(const Work& ours, const Work& peer);
std::vector<Pair> pairs(const std::vector<Row>& ours, const std::vector<Row>& peers);
