// Mean and deviation by blocks of samples, which are merged in their order: the threads cannot be told from the result.
#include "dnn/data/statistics.h"

#include <fmt/format.h>

#include <algorithm>
#include <cmath>
#include <exception>
#include <vector>

#include "dnn/autograd.h"
#include "dnn/error.h"

namespace dnn {
namespace {

constexpr int64_t block_size = 64;  // samples

// Number, mean and squared distance from the mean of the pixels of a channel.
struct Moments {
  double count = 0, mean = 0, squares = 0;

  // Chan, Golub and LeVeque, "Updating formulae and a pairwise algorithm for computing sample variances", 1982.
  void merge(const Moments& other) {
    if (other.count == 0) return;
    const double total = count + other.count, difference = other.mean - mean;
    squares += other.squares + difference * difference * count * (other.count / total);
    mean += difference * (other.count / total);
    count = total;
  }
};

Moments moments_of(const float* pixels, int64_t count) {
  double sum = 0, squares = 0;
  for (int64_t i = 0; i < count; ++i) sum += static_cast<double>(pixels[i]);
  const double mean = sum / static_cast<double>(count);
  for (int64_t i = 0; i < count; ++i) {
    const double distance = static_cast<double>(pixels[i]) - mean;
    squares += distance * distance;
  }
  return {static_cast<double>(count), mean, squares};
}

void add_sample(const Dataset& dataset, int64_t index, std::vector<Moments>& channels) {
  Tensor image = dataset.get(index, {}).input;
  const auto facts = [&] { return fmt::format("{}: sample {} is {}", dataset.name(), index, image.shape().str()); };
  if (image.rank() != 3 || image.numel() == 0)
    throw ShapeError(fmt::format("channel_statistics: expected images [c, h, w] ({})", facts()));
  if (!is_floating(image.dtype()))
    throw DTypeError(fmt::format("channel_statistics: the images are {}, expected a floating type ({})",
                                 name_of(image.dtype()), facts()));
  if (channels.empty()) channels.resize(static_cast<size_t>(image.size(0)));
  if (std::ssize(channels) != image.size(0))
    throw ShapeError(
        fmt::format("channel_statistics: expected {} channels as in other images ({})", channels.size(), facts()));
  if (!image.device().is_cpu())
    throw DeviceError(
        fmt::format("channel_statistics: the images are on {}, expected cpu ({})", image.device().str(), facts()));
  image = image.to(DType::float32).contiguous();
  const int64_t plane = image.size(1) * image.size(2);
  for (size_t c = 0; c < channels.size(); ++c)
    channels[c].merge(moments_of(image.data<float>() + static_cast<int64_t>(c) * plane, plane));
}

}  // namespace

Normalization channel_statistics(const SharedDataset& dataset) {
  const int64_t samples = dataset->size();
  if (samples < 1) throw ArgumentError(fmt::format("channel_statistics: the data set is empty ({})", dataset->name()));
  const int64_t blocks = (samples + block_size - 1) / block_size;
  // The first sample says how many channels there are.
  std::vector<Moments> first;
  add_sample(*dataset, 0, first);
  std::vector<std::vector<Moments>> parts(static_cast<size_t>(blocks), std::vector<Moments>(first.size()));
  std::exception_ptr error;
#pragma omp parallel for schedule(dynamic)
  for (int64_t block = 0; block < blocks; ++block) {
    try {
      const NoGrad no_grad;
      for (int64_t i = block * block_size; i < std::min(samples, (block + 1) * block_size); ++i)
        add_sample(*dataset, i, parts[static_cast<size_t>(block)]);
    } catch (...) {
#pragma omp critical(dnn_channel_statistics)
      error = std::current_exception();
    }
  }
  if (error) std::rethrow_exception(error);
  Normalization result;
  for (size_t c = 0; c < first.size(); ++c) {
    Moments total;
    for (const auto& part : parts) total.merge(part[c]);
    result.mean.push_back(static_cast<float>(total.mean));
    result.deviation.push_back(static_cast<float>(std::sqrt(total.squares / total.count)));
  }
  return result;
}

}  // namespace dnn
