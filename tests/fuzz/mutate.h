// Damaged files: small changes of good ones, the same in every run.
#pragma once

#include <cstdint>
#include <random>
#include <string>
#include <vector>

namespace dnn::test {

class Mutator {
 public:
  Mutator(uint64_t seed, std::vector<std::string> originals) : random_(seed), originals_(std::move(originals)) {}

  // One of the originals after one to four changes: bits, bytes, lengths, a cut, bytes taken out, doubled or taken from
  // another original.
  std::string next();
  // A number below n.
  size_t below(size_t n) { return static_cast<size_t>(random_() % n); }

 private:
  void change(std::string& bytes);
  const std::string& any() { return originals_[below(originals_.size())]; }

  std::mt19937_64 random_;
  std::vector<std::string> originals_;
};

}  // namespace dnn::test
