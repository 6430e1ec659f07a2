// Transforms made of transforms.
#include "dnn/data/transforms/combine.h"

#include <fmt/format.h>

#include <algorithm>
#include <utility>

#include "data/transforms/image.h"
#include "data/transforms/random.h"
#include "dnn/error.h"

namespace dnn {
namespace {

std::vector<Transform> checked(const char* where, std::vector<Transform> transforms) {
  if (!std::ranges::all_of(transforms, [](const Transform& t) { return static_cast<bool>(t); }))
    throw ArgumentError(fmt::format("{}: a transform is an empty function", where));
  return transforms;
}

}  // namespace

Compose::Compose(std::vector<Transform> transforms) : transforms_(checked("Compose", std::move(transforms))) {}

void Compose::operator()(Sample& sample, Generator& generator) const {
  for (const Transform& transform : transforms_) transform(sample, generator);
}

RandomApply::RandomApply(std::vector<Transform> transforms, double p)
    : transforms_(checked("RandomApply", std::move(transforms))), p_(detail::checked_probability("RandomApply", p)) {}

void RandomApply::operator()(Sample& sample, Generator& generator) const {
  if (!detail::happens(generator, p_)) return;
  for (const Transform& transform : transforms_) transform(sample, generator);
}

RandomChoice::RandomChoice(std::vector<Transform> transforms, std::vector<double> weights)
    : transforms_(checked("RandomChoice", std::move(transforms))) {
  if (transforms_.empty()) throw ArgumentError("RandomChoice: there are no transforms, expected at least one");
  if (weights.empty()) weights.assign(transforms_.size(), 1);
  double sum = 0;
  bool good = weights.size() == transforms_.size();
  for (double weight : weights) {
    good = good && weight >= 0;
    sums_.push_back(sum += weight);
  }
  if (!good || !(sum > 0))
    throw ArgumentError(
        fmt::format("RandomChoice: expected a weight of 0 or more for each transform, and one that is positive ({} "
                    "transforms, weights [{}])",
                    transforms_.size(), fmt::join(weights, ", ")));
}

void RandomChoice::operator()(Sample& sample, Generator& generator) const {
  const double place = generator.uniform() * sums_.back();
  const auto chosen = std::ranges::upper_bound(sums_, place) - sums_.begin();
  transforms_[static_cast<size_t>(std::min(chosen, std::ssize(sums_) - 1))](sample, generator);
}

}  // namespace dnn
