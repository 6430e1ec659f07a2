// Parts of data sets and their concatenation: arithmetic on indices.
#include "dnn/data/subset.h"

#include <fmt/format.h>

#include <algorithm>
#include <cmath>
#include <utility>

#include "dnn/error.h"

namespace dnn {

Subset::Subset(SharedDataset dataset, std::vector<int64_t> indices)
    : dataset_(std::move(dataset)), indices_(std::move(indices)) {
  const int64_t samples = dataset_->size();
  for (int64_t index : indices_) {
    if (index < 0 || index >= samples) {
      throw IndexError(
          fmt::format("Subset: there is no sample {} in {} ({} samples)", index, dataset_->name(), samples));
    }
  }
}

Sample Subset::get(int64_t index, const Pass& pass) const {
  check_index(index);
  return dataset_->get(indices_[static_cast<size_t>(index)], pass);
}

void Subset::gather(std::span<const int64_t> indices, const Pass& pass, Batch& batch) const {
  std::vector<int64_t> in_whole;
  in_whole.reserve(indices.size());
  for (int64_t index : indices) {
    check_index(index);
    in_whole.push_back(indices_[static_cast<size_t>(index)]);
  }
  dataset_->gather(in_whole, pass, batch);
}

namespace {

// The numbers of samples of parts that are shares of the whole.
std::vector<int64_t> counts_of_shares(const std::vector<double>& shares, int64_t samples) {
  std::vector<int64_t> counts;
  int64_t left = samples;
  for (double share : shares) {
    counts.push_back(static_cast<int64_t>(std::floor(share * static_cast<double>(samples))));
    left -= counts.back();
  }
  for (size_t i = 0; left > 0; i = (i + 1) % counts.size(), --left) ++counts[i];
  return counts;
}

}  // namespace

std::vector<Subset> random_split(const SharedDataset& dataset, const std::vector<Scalar>& parts, uint64_t seed) {
  const int64_t samples = dataset->size();
  std::vector<double> numbers;
  bool shares = !parts.empty(), counts = !parts.empty();
  double total = 0;
  for (const Scalar& part : parts) {
    numbers.push_back(part.to_double());
    total += numbers.back();
    shares = shares && part.is_floating() && numbers.back() >= 0;
    counts = counts && !part.is_floating() && numbers.back() >= 0;
  }
  shares = shares && std::abs(total - 1) < 1e-9;
  counts = counts && total == static_cast<double>(samples);
  if (!shares && !counts) {
    throw ArgumentError(
        fmt::format("random_split: expected shares that add up to 1, or counts that add up to the "
                    "samples ({}: {} samples, parts [{}])",
                    dataset->name(), samples, fmt::join(numbers, ", ")));
  }
  std::vector<int64_t> sizes;
  if (shares) sizes = counts_of_shares(numbers, samples);
  if (counts) std::ranges::transform(parts, std::back_inserter(sizes), &Scalar::to_int64);
  const std::vector<int64_t> order = Pass{.seed = seed}.permutation(samples);
  std::vector<Subset> result;
  auto begin = order.begin();
  for (int64_t size : sizes) {
    result.emplace_back(dataset, std::vector<int64_t>(begin, begin + size));
    begin += size;
  }
  return result;
}

ConcatDataset::ConcatDataset(std::vector<SharedDataset> datasets) : datasets_(std::move(datasets)) {
  if (datasets_.empty()) throw ArgumentError("ConcatDataset: there are no data sets, expected at least one");
  int64_t end = 0;
  for (const SharedDataset& dataset : datasets_) {
    ends_.push_back(end += dataset->size());
    if (dataset->class_names() != class_names()) {
      throw ArgumentError(fmt::format("ConcatDataset: {} and {} have different classes ({} and {})",
                                      datasets_.front()->name(), dataset->name(), class_names().size(),
                                      dataset->class_names().size()));
    }
  }
}

std::string ConcatDataset::name() const {
  std::vector<std::string> names;
  for (const SharedDataset& dataset : datasets_) names.push_back(dataset->name());
  return fmt::format("{}", fmt::join(names, " + "));
}

Sample ConcatDataset::get(int64_t index, const Pass& pass) const {
  check_index(index);
  const auto part = static_cast<size_t>(std::ranges::upper_bound(ends_, index) - ends_.begin());
  const int64_t begin = part == 0 ? 0 : ends_[part - 1];
  return datasets_[part]->get(index - begin, pass.nested(part + 1));
}

}  // namespace dnn
