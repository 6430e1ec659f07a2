// dnn_conv_plans FIRST SECONDS: the time of every plan for ResNet-50's convolutions from the graph FIRST on, as JSON
// lines; begins no graph after so many seconds. Exits with 3 when graphs are left. For bench.sh.
#include <exception>
#include <iostream>
#include <stdexcept>
#include <string>

#include "dnn/device.h"
#include "tests/gpu/plan_times.h"

int main(int count, char** arguments) try {
  if (count != 3) throw std::runtime_error("expected the first graph and seconds");
  if (const std::string why = dnn::why_unavailable(dnn::DeviceType::cuda); !why.empty()) throw std::runtime_error(why);
  return dnn::gpu::write_plan_times({.first = std::stoll(arguments[1]), .seconds = std::stod(arguments[2])}, std::cout)
             ? 0
             : 3;
} catch (const std::exception& error) {
  std::cerr << "dnn_conv_plans: " << error.what() << "\n";
  return 1;
}
