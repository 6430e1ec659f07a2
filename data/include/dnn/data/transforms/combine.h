// Transforms made of transforms.
#pragma once

#include <vector>

#include "dnn/data/transform.h"

namespace dnn {

/// Transforms one after the other, as one. Throws ArgumentError for an empty function.
class Compose {
 public:
  explicit Compose(std::vector<Transform> transforms);
  void operator()(Sample& sample, Generator& generator) const;

 private:
  std::vector<Transform> transforms_;
};

/// All of the transforms, one after the other, with probability p, else none. Throws ArgumentError for an empty
/// function or unless 0 <= p <= 1.
class RandomApply {
 public:
  explicit RandomApply(std::vector<Transform> transforms, double p = 0.5);
  void operator()(Sample& sample, Generator& generator) const;

 private:
  std::vector<Transform> transforms_;
  double p_;
};

/// One of the transforms, each as often as its weight says (all alike without weights). Throws ArgumentError when there
/// is none, for an empty function, or unless there is a weight >= 0 for each and one is positive.
class RandomChoice {
 public:
  explicit RandomChoice(std::vector<Transform> transforms, std::vector<double> weights = {});
  void operator()(Sample& sample, Generator& generator) const;

 private:
  std::vector<Transform> transforms_;
  std::vector<double> sums_;  // of the weights up to each transform
};

}  // namespace dnn
