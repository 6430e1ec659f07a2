// The table for people.
#pragma once

#include <string>
#include <vector>

#include "examples/bench/rows.h"

// The head of the table, and a line for each case: samples a second, how single steps lie around their median, the
// share of what the machine was measured to do, memory.
std::string table_head();
std::string table_line(const Row& row);

// What the columns mean.
std::string table_legend();

// CPU beside GPU with the speed-up, for every workload and phase that both have; the fastest case of each counts. Empty
// when there is none.
std::string speed_up_table(const std::vector<Row>& rows);

// "-4 +11 %": how far below the median the fastest step lies, and how far above it nine of ten stay; "-4 %" when that
// is not known.
std::string spread(const Row& row);
// "43 %" of `peak`, "" when one of them is not known.
std::string share(double value, std::optional<double> peak);
