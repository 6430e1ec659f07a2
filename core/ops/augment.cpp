// Augmentation: checks, and random numbers for the kernel.
#include "dnn/ops/augment.h"

#include <algorithm>

#include "core/capture.h"
#include "core/check.h"
#include "core/kernels/augment.h"
#include "core/kernels/conv.h"
#include "core/node.h"

namespace dnn {

namespace {

using detail::Layout;
using kernel::AugmentProblem;

AugmentProblem problem_of(const Tensor& images, const AugmentOptions& o) {
  const Shape& shape = images.shape();
  const auto facts = [&] { return fmt::format("(images {})", shape); };
  if (images.dtype() != DType::uint8)
    throw DTypeError(fmt::format("augment_images: images are {}, expected uint8 {}", images.dtype(), facts()));
  if (!is_floating(o.dtype))
    throw DTypeError(fmt::format("augment_images: options.dtype is {}, expected a floating type", o.dtype));
  AugmentProblem p;
  p.images = shape[0], p.channels = shape[1], p.height = shape[2], p.width = shape[3];
  if (p.channels > AugmentProblem::most_channels)
    throw ShapeError(fmt::format("augment_images: {} channels, expected at most {} {}", p.channels,
                                 AugmentProblem::most_channels, facts()));
  const auto check_range = [](const char* name, Size2 value) {
    if (value.h < 0 || value.w < 0 || value.h > INT32_MAX || value.w > INT32_MAX)
      throw ArgumentError(
          fmt::format("augment_images: {} is {}x{}, expected 0 to {}", name, value.h, value.w, INT32_MAX));
  };
  check_range("size", o.size), check_range("padding", o.padding);
  p.rows = o.size.h == 0 ? p.height : o.size.h, p.columns = o.size.w == 0 ? p.width : o.size.w;
  p.pad_height = o.padding.h, p.pad_width = o.padding.w, p.reflect = o.reflect;
  if (p.rows > p.height + 2 * p.pad_height || p.columns > p.width + 2 * p.pad_width)
    throw ShapeError(
        fmt::format("augment_images: a window of {}x{} is larger than the padded image {} with padding "
                    "{}x{}",
                    p.rows, p.columns, facts(), p.pad_height, p.pad_width));
  if (o.reflect && (p.pad_height >= std::max<int64_t>(p.height, 1) || p.pad_width >= std::max<int64_t>(p.width, 1)))
    throw ShapeError(
        fmt::format("augment_images: padding {}x{} mirrors more than there is, expected less than the "
                    "image {}",
                    p.pad_height, p.pad_width, facts()));
  if (!(o.flip >= 0 && o.flip <= 1))
    throw ArgumentError(fmt::format("augment_images: flip is {}, expected 0 to 1", o.flip));
  p.always_flip = o.flip == 1;
  p.flip_below = p.always_flip ? 0 : static_cast<uint32_t>(o.flip * 0x1p32);
  p.mean.fill(0), p.deviation.fill(1);
  const auto take = [&](const char* name, const std::vector<float>& values, auto& to) {
    if (values.empty()) return;
    if (std::ssize(values) != p.channels)
      throw ArgumentError(fmt::format("augment_images: {} has {} values, expected one for each of {} channels {}", name,
                                      values.size(), p.channels, facts()));
    std::ranges::copy(values, to.begin());
  };
  take("mean", o.mean, p.mean), take("deviation", o.deviation, p.deviation);
  if (!std::ranges::all_of(o.deviation, [](float d) { return d > 0; }))
    throw ArgumentError(
        fmt::format("augment_images: deviation is [{}], expected positive numbers", fmt::join(o.deviation, ", ")));
  return p;
}

// What the convolutions of a GPU read without a copy.
Layout layout_for(const Shape& shape, DType type, Device device) {
  Layout layout = Layout::plain;
  if (device.is_cpu() || shape.numel() == 0 || !kernel::conv2d_layout.filled(device)) return layout;
  const kernel::ConvProblem problem{shape, {shape[1], shape[1], 1, 1}, shape, 1, 0, 1, 1, type};
  kernel::conv2d_layout[device](problem, layout, &layout);
  return layout;
}

// `take_draw` takes the random numbers, when all else is in order.
template <class TakeDraw>
Tensor augment(const Tensor& images, const Tensor& indices, const AugmentOptions& options, const TakeDraw& take_draw) {
  const char* const where = "augment_images";
  detail::check_defined(where, {{"images", &images}});
  detail::check_same_device(where, {{"images", &images}, {"indices", &indices}});
  detail::check_rank(where, "images", images, 4);
  const AugmentProblem problem = problem_of(images, options);
  if (indices.defined()) {
    detail::check_rank(where, "indices", indices, 1);
    if (indices.dtype() != DType::int64)
      throw DTypeError(
          fmt::format("{}: indices are {}, expected int64 (indices {})", where, indices.dtype(), indices.shape()));
  }
  const detail::Draw draw = take_draw();
  const int64_t count = indices.defined() ? indices.shape()[0] : problem.images;
  const Tensor out =
      detail::allocate({count, problem.channels, problem.rows, problem.columns}, options.dtype, images.device());
  if (out.numel() == 0) return out;
  detail::set_layout(out, layout_for(out.shape(), options.dtype, images.device()));
  const Tensor bytes = images.detach().contiguous();
  kernel::augment[images.device()](problem, bytes, indices.defined() ? indices.detach().contiguous() : indices, draw,
                                   out);
  return out;
}

}  // namespace

Tensor augment_images(const Tensor& images, const AugmentOptions& options) {
  return augment(images, {}, options, [] { return detail::next_draw(); });
}

Tensor augment_images(const Tensor& images, const Tensor& indices, const AugmentOptions& options) {
  detail::check_defined("augment_images", {{"indices", &indices}});
  return augment(images, indices, options, [] { return detail::next_draw(); });
}

Tensor augment_images(const Tensor& images, const Tensor& indices, const AugmentOptions& options,
                      Generator& generator) {
  detail::check_defined("augment_images", {{"indices", &indices}});
  return augment(images, indices, options, [&] {
    detail::interrupt_capture("augmentation with a generator of its own");
    return detail::Draw{generator.seed(), generator.next_stream()};
  });
}

Tensor augment_images(const Tensor& images, const Tensor& indices, const AugmentOptions& options,
                      const std::shared_ptr<const Generator>& generator) {
  detail::check_defined("augment_images", {{"indices", &indices}});
  if (!generator) throw ArgumentError("augment_images: generator is null");
  return augment(images, indices, options, [&] { return detail::draw_at(generator); });
}

}  // namespace dnn
