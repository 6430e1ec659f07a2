// A data set in the memory of a device, where its batches are made.
#pragma once

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

  // The samples in that order, as their indices in the tensors here.
  Tensor order(std::span<const int64_t> indices) const;
  // The batch of some of these.
  Batch batch(const Tensor& order, const Pass& pass) const;

 private:
  std::vector<std::vector<int64_t>> parts_;  // of a part of a part: the outer one's indices first
  Tensor inputs_, targets_;
  std::optional<AugmentOptions> augment_;  // of images
};

}  // namespace dnn::detail
