// Shortcuts of residual blocks.
#include "layers/models/shortcut.h"

#include <fmt/format.h>

#include "dnn/ops/factory.h"
#include "dnn/ops/pool.h"
#include "dnn/ops/shape.h"

namespace dnn::detail {
namespace {

// Every stride-th pixel of every stride-th row, and zeros as the channels that the input lacks.
class PaddedIdentity : public Layer {
 public:
  DNN_MODULE()
  PaddedIdentity(int64_t in, int64_t out, int64_t stride) : in_(in), out_(out), stride_(stride) {}
  Tensor forward(Tensor x) override {
    const Tensor pixels = max_pool2d(x, {.kernel = 1, .stride = stride_});
    const Shape& shape = pixels.shape();
    return cat({pixels, zeros({shape[0], out_ - in_, shape[2], shape[3]}, pixels.options())}, 1);
  }
  std::string type_name() const override { return "PaddedIdentity"; }
  std::string describe() const override { return fmt::format("{}, {}, stride={}", in_, out_, stride_); }

 private:
  int64_t in_, out_, stride_;
};

}  // namespace

Sequential shortcut_of(int64_t in, int64_t out, int64_t stride, Shortcut shortcut) {
  if (shortcut == Shortcut::none)
    throw ArgumentError("ResNet: the shortcut of a block is none, expected identity or projection");
  Sequential layers;
  if (stride == 1 && in == out) return layers;
  if (shortcut == Shortcut::projection)
    layers.append(Conv2d(in, out, conv1x1(stride))).append(BatchNorm2d(out));
  else if (in <= out)
    layers.append(PaddedIdentity(in, out, stride));
  else
    throw ArgumentError(
        fmt::format("ResNet: an identity shortcut leads from {} channels to {}, expected as many or more", in, out));
  return layers;
}

}  // namespace dnn::detail
