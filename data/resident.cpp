// Copying a data set to a device, and its batches.
#include "data/resident.h"

#include <fmt/format.h>

#include <algorithm>
#include <numeric>
#include <typeinfo>
#include <utility>

#include "dnn/autograd.h"
#include "dnn/data/cifar.h"
#include "dnn/data/image_dataset.h"
#include "dnn/data/mnist.h"
#include "dnn/data/resident.h"
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
  return from_values(order, {std::ssize(order)});
}

Batch ResidentData::batch(const Tensor& order, const std::shared_ptr<const Generator>& generator) const {
  const NoGrad no_grad;
  if (!augment_) return {index_select(inputs_, 0, order), index_select(targets_, 0, order)};
  return {augment_images(inputs_, order, *augment_, generator), index_select(targets_, 0, order)};
}

Generator ResidentData::generator(const Pass& pass) {
  Generator generator;
  generator.set_state(pass.nested(augment_pass).seed, static_cast<uint64_t>(pass.epoch));
  return generator;
}

std::vector<int64_t> order_of(const Pass& pass, int64_t samples, bool shuffle) {
  if (shuffle) return pass.permutation(samples);
  std::vector<int64_t> order(static_cast<size_t>(samples));
  std::iota(order.begin(), order.end(), 0);
  return order;
}

}  // namespace dnn::detail

namespace dnn {

// Its memory stays where it is from epoch to epoch, so that graphs do.
class ResidentBatches::State : public std::enable_shared_from_this<ResidentBatches::State> {
 public:
  State(std::shared_ptr<const detail::ResidentData> data, const DataLoader& loader)
      : data_(std::move(data)),
        options_(loader.options()),
        samples_(loader.dataset().size()),
        count_(loader.size()),
        order_(zeros({samples_}, {.dtype = DType::int64, .device = data_->device()})) {
    begin(0);
  }

  void begin(int64_t epoch) {
    const Pass pass{options_.seed, epoch};
    order_.copy_(data_->order(detail::order_of(pass, samples_, options_.shuffle)));
    *generator_ = detail::ResidentData::generator(pass);
  }
  int64_t count() const { return count_; }
  int64_t samples(int64_t batch) const {
    if (batch < 0 || batch >= count_)
      throw ArgumentError(fmt::format("ResidentBatches: there is no batch {} ({} batches)", batch, count_));
    return std::min(options_.batch_size, samples_ - batch * options_.batch_size);
  }
  Batch make(int64_t number) const {
    const int64_t size = samples(number), begin = number * options_.batch_size;
    return data_->batch(order_.slice(0, begin, begin + size), generator_);
  }
  Batch make(const std::function<int64_t()>& number) const {
    const int64_t size = samples(number());
    const auto start = [self = shared_from_this(), number, size] {
      const int64_t now = number();
      if (const int64_t samples = self->samples(now); samples != size)
        throw ArgumentError(fmt::format(
            "ResidentBatches: batch {} has {} samples, expected {} as when the step was captured", now, samples, size));
      return now * self->options_.batch_size;
    };
    return data_->batch(dynamic_slice(order_, start, size), generator_);
  }

 private:
  const std::shared_ptr<const detail::ResidentData> data_;
  const LoaderOptions options_;
  const int64_t samples_, count_;
  Tensor order_;
  const std::shared_ptr<Generator> generator_ = std::make_shared<Generator>();  // of each batch of the epoch
};

namespace {

std::shared_ptr<const detail::ResidentData> checked(std::shared_ptr<const detail::ResidentData> data,
                                                    const DataLoader& loader) {
  const auto facts = [&] { return fmt::format("({})", loader.dataset().name()); };
  if (!data) throw ArgumentError("ResidentBatches: the loader is not resident " + facts());
  if (!loader.options().batch_transforms.empty())
    throw ArgumentError(fmt::format("ResidentBatches: the loader has {} batch transforms, expected none {}",
                                    loader.options().batch_transforms.size(), facts()));
  return data;
}

}  // namespace

ResidentBatches::ResidentBatches(const DataLoader& loader)
    : state_(std::make_shared<State>(checked(loader.resident_, loader), loader)) {}
ResidentBatches::~ResidentBatches() = default;
ResidentBatches::ResidentBatches(ResidentBatches&&) noexcept = default;
ResidentBatches& ResidentBatches::operator=(ResidentBatches&&) noexcept = default;

void ResidentBatches::begin(int64_t epoch) {
  if (epoch < 0) throw ArgumentError(fmt::format("ResidentBatches: epoch is {}, expected 0 or more", epoch));
  state_->begin(epoch);
}
int64_t ResidentBatches::count() const { return state_->count(); }
int64_t ResidentBatches::samples(int64_t batch) const { return state_->samples(batch); }
Batch ResidentBatches::make(int64_t number) const { return state_->make(number); }
Batch ResidentBatches::make(const std::function<int64_t()>& number) const {
  if (!number) throw ArgumentError("ResidentBatches: number is an empty function");
  return state_->make(number);
}

}  // namespace dnn
