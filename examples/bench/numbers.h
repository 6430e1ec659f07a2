// Numbers as people read them.
#pragma once

#include <string>

// Three digits and a prefix of the power of 1000: "221 G", "24.1 G", "0.5 ".
std::string scaled(double value);
// The same with powers of 1024: "256 Mi".
std::string binary_scaled(double value);
// Three digits or all those before the point, thousands with commas: "0.0583", "24.1", "120,313".
std::string rounded(double value);
