// The layer that enlarges images without weights.
#include "dnn/layers/upsample.h"

#include "layers/text.h"

namespace dnn {

namespace {

std::string text_of(const Scale2& scale) {
  return scale.h == scale.w ? fmt::format("{}", scale.h) : fmt::format("{}x{}", scale.h, scale.w);
}
using detail::text_of;

}  // namespace

Upsample::Upsample(const InterpolateOptions& options) : options_(options) {
  const bool size = options.size.h > 0 && options.size.w > 0, scale = options.scale.h > 0 && options.scale.w > 0;
  if (size == scale)
    throw ArgumentError(fmt::format("Upsample: size is {} and scale {}, expected one of them positive, the other 0",
                                    text_of(options.size), text_of(options.scale)));
  if (options.align_corners && options.mode == Interpolation::nearest)
    throw ArgumentError("Upsample: align_corners is set, expected bilinear mode with it");
}

std::string Upsample::describe() const {
  std::string text = options_.size == Size2(0) ? "scale=" + text_of(options_.scale) : "size=" + text_of(options_.size);
  text += options_.mode == Interpolation::bilinear ? ", mode=bilinear" : ", mode=nearest";
  if (options_.align_corners) text += ", align_corners=true";
  return text;
}

}  // namespace dnn
