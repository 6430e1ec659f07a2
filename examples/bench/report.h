// The report: one page of HTML with everything inside, for a browser of any kind, on light and dark screens.
#pragma once

#include "examples/bench/charts.h"
#include "examples/bench/machine.h"

struct Report {
  std::vector<Row> ours, peers;  // every round of them
  std::vector<Machine> machines;
};

std::string report(const Report& contents);
