// Which plan of a GPU's library was the fastest for a problem, kept in a file for later processes.
//
// A plan is the library's name for it, a problem its canonical text. A file belongs to an origin: library, GPU and
// their versions, in words. It is text, a line for each problem, sealed with a checksum; what is damaged, or of another
// origin, is ignored, and gone at the next write. A name is no order: whoever asks looks for a plan of that name among
// those that the library offers, so that nothing in a file can make it run what it would not have chosen from.
//
// Processes that run at the same time add to one file: a write reads it under a lock, and puts what is new to it.
#pragma once

#include <chrono>
#include <cstdint>
#include <optional>
#include <string>

namespace dnn::detail {

struct KnownPlan {
  std::string name;         // empty: none of those tried will do
  double milliseconds = 0;  // that it took
  int64_t tried = 0;        // how many it was chosen among, at most
};

// What the files say; nothing when none are kept.
std::optional<KnownPlan> known_plan(const std::string& origin, const std::string& problem);

// Notes a choice. It is written together with others: by this call or `save_idle_plans` when the first of them is a
// second old, and at the end of the process. A file that cannot be written is left as it is.
void keep_plan(const std::string& origin, const std::string& problem, const KnownPlan& plan);

// To be called when the program waits anyway. Costs a look at a flag when nothing is to be written.
void save_idle_plans() noexcept;

// Forgets what was read and noted, as a new process begins; for tests.
void forget_plan_files();

// How long `save_plans` and `clear_plans` wait for other processes, of which many may write in turn; shorter in tests.
inline std::chrono::milliseconds lock_patience{30'000};

inline constexpr int64_t most_plans = 4096;                    // of a file; the oldest go first
inline constexpr int64_t most_plan_bytes = int64_t{16} << 20;  // a larger file is not one of ours

}  // namespace dnn::detail
