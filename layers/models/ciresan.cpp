// The networks of Ciresan et al.: stages of convolution, scaled tanh and max pooling, then fully connected layers.
#include "dnn/models/ciresan.h"

#include <fmt/format.h>

#include <cmath>
#include <vector>

#include "dnn/init.h"
#include "dnn/layers.h"
#include "dnn/ops/shape.h"
#include "layers/models/widths.h"

namespace dnn {

namespace {

// Max pooling of squares side by side, those that the border cuts included: [n, c, h, w] -> [n, c, ceil(h / side),
// ceil(w / side)]. A cut square is filled up with the outermost pixels, which are in it already.
class MaxPoolAll : public Layer {
 public:
  DNN_MODULE()
  explicit MaxPoolAll(int64_t side) : side_(side) {}
  Tensor forward(Tensor x) override {
    const int64_t bottom = missing(x.size(-2)), right = missing(x.size(-1));
    if (bottom != 0 || right != 0) x = pad(x, {0, right, 0, bottom}, {.mode = PadMode::replicate});
    return max_pool2d(x, {.kernel = side_});
  }
  std::string type_name() const override { return "MaxPoolAll"; }
  std::string describe() const override { return std::to_string(side_); }

 private:
  int64_t missing(int64_t size) const { return (side_ - size % side_) % side_; }
  int64_t side_;
};

struct Stage {
  int64_t maps, kernel, pooling;
};

struct Input {
  int64_t channels, size;
};

// For "20C4-MP2-40C5-MP3-150N-10N" the stages {{20, 4, 2}, {40, 5, 3}} and the neurons {150, 10}.
Sequential network(const Input& input, const std::vector<Stage>& stages, const std::vector<int64_t>& neurons,
                   double narrowed) {
  Sequential net;
  auto [maps, side] = input;
  for (const Stage& stage : stages) {
    net.append(Conv2d(maps, stage.maps, {.kernel = stage.kernel}))
        .append(ScaledTanh())
        .append(MaxPoolAll(stage.pooling));
    side = (side - stage.kernel + stage.pooling) / stage.pooling;
    maps = stage.maps;
  }
  net.append(Flatten());
  int64_t in = maps * side * side;
  for (size_t i = 0; i < neurons.size(); ++i) {
    if (i != 0) net.append(ScaledTanh());
    net.append(Linear(in, neurons[i]));
    in = neurons[i];
  }
  const double bound = 0.05 * std::sqrt(narrowed);
  for (const Tensor& parameter : net.parameters()) uniform_(parameter, -bound, bound);
  return net;
}

void check_size(const char* where, int64_t size, int64_t least) {
  if (size < least) throw ArgumentError(fmt::format("{}: size is {}, expected at least {}", where, size, least));
}

}  // namespace

Sequential ciresan2011(const Ciresan2011Options& options) {
  check_size("ciresan2011", options.size, 12);
  const detail::Widths wide("ciresan2011", options.width, 20, {40, 150});
  return network({options.channels, options.size}, {{wide(20), 4, 2}, {wide(40), 5, 3}}, {wide(150), options.classes},
                 20.0 / static_cast<double>(options.width));
}

Sequential ciresan2011_cifar(const Ciresan2011CifarOptions& options) {
  check_size("ciresan2011_cifar", options.size, 21);
  const detail::Widths wide("ciresan2011_cifar", options.width, 300, {100});
  const int64_t maps = wide(300);
  return network({options.channels, options.size}, {{maps, 3, 2}, {maps, 2, 2}, {maps, 3, 2}, {maps, 2, 2}},
                 {wide(300), wide(100), options.classes}, 300.0 / static_cast<double>(options.width));
}

}  // namespace dnn
