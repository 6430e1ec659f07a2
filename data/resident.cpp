// Copying a data set to a device, and its batches.
#include "data/resident.h"

#include <fmt/format.h>

#include <typeinfo>

#include "dnn/autograd.h"
#include "dnn/data/cifar.h"
#include "dnn/data/image_dataset.h"
#include "dnn/data/mnist.h"
#include "dnn/data/subset.h"
#include "dnn/data/synthetic.h"
#include "dnn/error.h"
#include "dnn/ops/factory.h"
#include "dnn/ops/index.h"

namespace dnn::detail {

namespace {

// Tells the random choices of augmentation from all others of a pass.
constexpr uint64_t augment_pass = 0x61756d656e74;

}  // namespace

ResidentData::ResidentData(const SharedDataset& dataset, Device device, const AugmentOptions& augment) {
  const Dataset* whole = &*dataset;
  while (const auto* const part = dynamic_cast<const Subset*>(whole)) {
    parts_.push_back(part->indices());
    whole = &part->whole();
  }
  // What a class of the user's overrides would not be asked.
  const std::type_info& type = typeid(*whole);
  const bool known = type == typeid(ImageDataset) || type == typeid(Cifar10) || type == typeid(Cifar100) ||
                     type == typeid(Mnist) || type == typeid(SyntheticDigits) || type == typeid(TensorDataset);
  if (!known) whole = nullptr;
  const bool augments = augment != AugmentOptions{};
  if (const auto* const images = dynamic_cast<const ImageDataset*>(whole)) {
    augment_ = augment;
    if (augment.mean.empty()) augment_->mean = images->normalization().mean;
    if (augment.deviation.empty()) augment_->deviation = images->normalization().deviation;
    Generator none;  // not the default one, of which a loader takes no numbers
    augment_images(images->images(), zeros({0}, {.dtype = DType::int64}), *augment_, none);  // throws for bad options
    inputs_ = images->images().to(device);
    targets_ = images->labels().to(device);
  } else if (const auto* const tensors = dynamic_cast<const TensorDataset*>(whole)) {
    if (augments)
      throw ArgumentError(
          fmt::format("DataLoader: augment is for images, expected an ImageDataset (resident {})", dataset->name()));
    inputs_ = tensors->inputs().to(device);
    targets_ = tensors->targets().to(device);
  } else {
    throw ArgumentError(fmt::format(
        "DataLoader: {} cannot be resident, expected a TensorDataset, an ImageDataset or a Subset of one without "
        "transforms (augment is done on the device)",
        dataset->name()));
  }
}

Tensor ResidentData::order(std::span<const int64_t> indices) const {
  std::vector<int64_t> order(indices.begin(), indices.end());
  for (const std::vector<int64_t>& part : parts_) {
    for (int64_t& index : order) index = part[static_cast<size_t>(index)];
  }
  return from_values(order, {std::ssize(order)}).to(inputs_.device());
}

Batch ResidentData::batch(const Tensor& order, const Pass& pass) const {
  const NoGrad no_grad;
  if (!augment_) return {index_select(inputs_, 0, order), index_select(targets_, 0, order)};
  Generator generator;
  generator.set_state(pass.nested(augment_pass).seed, static_cast<uint64_t>(pass.epoch));
  return {augment_images(inputs_, order, *augment_, generator), index_select(targets_, 0, order)};
}

}  // namespace dnn::detail
