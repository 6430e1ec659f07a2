// Memory that shows mistakes: every block that the library allocates is filled with NaN and stands between guard bands.
//
// `install` wraps the allocate and release entries of the devices' runtime tables. A kernel that reads what nobody
// wrote computes NaN; one that writes outside its output damages a band, which is noticed when the block is released
// (under AddressSanitizer at once).
#pragma once

#include <cstdint>
#include <string>

namespace dnn::test::memory {

// Wraps the allocator of every device in this build; once per process.
void install();

// The damaged bands found so far, in words, and forgets them; empty when there are none. Looks at live blocks too.
std::string faults();

// Number of blocks allocated since `install` and not yet released.
int64_t live_blocks();

}  // namespace dnn::test::memory
