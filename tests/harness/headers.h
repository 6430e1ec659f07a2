// Reading the public headers: which operations there are, so that none stays without a row in the table.
#pragma once

#include <set>
#include <string>

namespace dnn::test {

// The names of the operations that a header's text declares outside `detail`: functions that return a tensor, and
// functions that change one in place (their names end in _). Operators are left out, they call these.
std::set<std::string> operations_in(const std::string& header);

// The same over all headers of a folder.
std::set<std::string> operations_in_folder(const std::string& folder);

// The operations that have no row in the table.
std::set<std::string> without_row(const std::set<std::string>& operations);

}  // namespace dnn::test
