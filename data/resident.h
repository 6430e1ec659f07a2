// A data set in the memory of a device, where its batches are made.
#pragma once

#include <memory>
#include <optional>
#include <span>

#include "dnn/data/dataset.h"
#include "dnn/ops/augment.h"

namespace dnn::detail {

class ResidentData {
 public:
  // Copies the data set to the device. Throws ArgumentError when it is neither tensors nor images, nor a part of such a
  // one, or when there are no images to augment.
  ResidentData(const SharedDataset& dataset, Device device, const AugmentOptions& augment);

  // The samples in that order, as their indices in the tensors here; on the CPU.
  Tensor order(std::span<const int64_t> indices) const;
  // The batch of some of these, which lie on the device, with the random numbers of a pass.
  Batch batch(const Tensor& order, const std::shared_ptr<const Generator>& generator) const;
  static Generator generator(const Pass& pass);
  Device device() const { return targets_.device(); }

 private:
  std::vector<std::vector<int64_t>> parts_;  // of a part of a part: the outer one's indices first
  Tensor inputs_, targets_;
  std::optional<AugmentOptions> augment_;  // of images
};

// The samples of a pass, in their order.
std::vector<int64_t> order_of(const Pass& pass, int64_t samples, bool shuffle);

}  // namespace dnn::detail
