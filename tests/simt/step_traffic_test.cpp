// What a training step of ResNet-50 moves through memory: every tensor once for each launch that touches it, of our
// kernels and of libraries alike.
//
// Beyond some batch a ResNet on a GPU is limited by these bytes, not by its arithmetic. What they are measured by is a
// stream of kernels in which each batch normalisation reads its input twice, adds and applies the ReLU on the way, and
// keeps a bit for the ReLU's sign, as the specialised engines of cuDNN do: 125 MB forward and 245 MB backward an image
// of 224 pixels in 16 bits. The network here is narrower and its images are smaller; the same sum is made for it.
#include <gmock/gmock.h>

#include <map>
#include <string>

#include "dnn/dnn.h"
#include "tests/simt/simt.h"

namespace dnn::simt::test {
namespace {

struct Traffic {
  double forward = 0, backward = 0;
};

// The sum for an image, in bytes.
class Engines {
 public:
  Engines(double width, double side, double element) : element_(element) {
    convolution(3, side, width, side / 2, false);
    norm(width, side / 2);
    const double before = width * side * side / 4, behind = before / 4;  // the pooling
    add(before + behind, before + behind);
    double channels = width, size = side / 4;
    for (const auto& [blocks, wider] : {std::pair{3, 1}, {4, 2}, {6, 4}, {3, 8}}) {
      const double inner = width * wider, outer = 4 * inner;
      for (int block = 0; block < blocks; ++block) {
        const double out = block == 0 && wider > 1 ? size / 2 : size;
        convolution(channels, size, inner, size), norm(inner, size);
        convolution(inner, size, inner, out), norm(inner, out);
        convolution(inner, out, outer, out), norm(outer, out, Behind::addition_and_relu);
        if (block == 0) convolution(channels, size, outer, out), norm(outer, out, Behind::nothing);
        add(0, 3 * channels * size * size);  // the two gradients of the block's input, added up
        channels = outer, size = out;
      }
    }
    add(channels * size * size, channels * size * size);  // the mean of the pixels
  }
  const Traffic& traffic() const { return traffic_; }

 private:
  enum class Behind { nothing, relu, addition_and_relu };

  void add(double forward, double backward) {
    traffic_.forward += forward * element_, traffic_.backward += backward * element_;
  }
  void convolution(double in, double in_side, double out, double out_side, bool back = true) {
    const double both = in * in_side * in_side + out * out_side * out_side;
    add(both, back ? 2 * both : both);
  }
  void norm(double channels, double side, Behind behind = Behind::relu) {
    const double size = channels * side * side;
    add(3 * size, 5 * size);
    if (behind == Behind::addition_and_relu) add(size, size);
    if (behind != Behind::nothing) traffic_.forward += size / 8, traffic_.backward += size / 8;
  }

  double element_;
  Traffic traffic_;
};

TEST(StepTraffic, TheSumForTheWholeNetworkIsAsPublished) {
  const Traffic image = Engines(64, 224, 2).traffic();
  EXPECT_NEAR(image.forward / 1e6, 124.9, 1);
  EXPECT_NEAR(image.backward / 1e6, 245.9, 2);
}

struct Step {
  std::map<std::string, int64_t> forward, backward;
};

Step step_of(ResNet& net, int64_t batch, int64_t side) {
  const Tensor x = rand({batch, 3, side, side}).to(Device::cuda());
  const Tensor labels = zeros({batch}, {.dtype = DType::int64}).to(Device::cuda());
  cross_entropy(net(x), labels).backward();  // chooses plans
  for (Tensor& p : net.parameters()) p.zero_grad();
  start_traffic();
  const Tensor loss = cross_entropy(net(x), labels);
  Step step{take_traffic(), {}};
  start_traffic();
  loss.backward();
  step.backward = take_traffic();
  for (Tensor& p : net.parameters()) p.zero_grad();
  return step;
}

TEST(StepTraffic, ResNet50MovesLessThanASeriesOfEngines) {
  constexpr int64_t width = 8, side = 64;
  set_order(Order::forward);
  ResNet net = resnet50({.classes = 10, .width = width});
  net.to(Device::cuda());
  const Step two = step_of(net, 2, side), four = step_of(net, 4, side);
  set_order(Order::every);

  // What does not grow with the batch are the weights.
  std::string table;
  const auto of_an_image = [&](std::map<std::string, int64_t> less, const std::map<std::string, int64_t>& more) {
    double sum = 0;
    for (const auto& [name, bytes] : more) {
      const double each = static_cast<double>(bytes - less[name]) / 2;
      table += name + ": " + std::to_string(each / 1e3) + " kB\n";
      sum += each;
    }
    return sum;
  };
  table += "forward\n";
  const double forward = of_an_image(two.forward, four.forward);
  table += "backward\n";
  const double backward = of_an_image(two.backward, four.backward);
  const Traffic engines = Engines(width, side, 4).traffic();
  // The image, of which nothing is narrower here, is brought into another layout both times.
  EXPECT_NEAR(forward / engines.forward, 1.01, 0.01) << table;
  EXPECT_NEAR(backward / engines.backward, 0.91, 0.01) << table;
}

}  // namespace
}  // namespace dnn::simt::test
