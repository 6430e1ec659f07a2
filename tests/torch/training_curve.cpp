// ResNet-20 on CIFAR-10 from the weights and batches that training_curve.py left: the losses of all steps, as JSON.
//
//   dnn_training_curve curve.safetensors dnn.json [learning rate [dtype [device]]]
#include <dnn/dnn.h>

#include <cstdio>
#include <fstream>
#include <iomanip>
#include <iostream>
#include <string>

using namespace dnn;

int main(int argc, char** argv) try {
  if (argc < 3) throw ArgumentError("expected curve.safetensors losses.json [learning rate [dtype [device]]]");
  const double lr = argc > 3 ? std::stod(argv[3]) : 0.1;
  const DType dtype = parse_dtype(argc > 4 ? argv[4] : "float32");
  const Device device(argc > 5 ? argv[5] : "cpu");
  const StateDict state = load_safetensors(argv[1]).tensors;
  const Tensor order = state.at("order");

  ResNetCifar net = resnet_cifar(20);
  net.load_state_dict(state.with_prefix("model."));
  net.to(dtype);
  net.to(device);
  SGD sgd(net.parameters(), {.lr = lr, .momentum = 0.9, .weight_decay = 1e-4});
  const TransformedDataset images(Cifar10(Split::train), {Normalize(Cifar10::normalization())});

  std::ofstream file(argv[2]);
  file << std::setprecision(12) << "{\"library\": \"libdnn " << system_report().version << "\", \"lr\": " << lr
       << ", \"dtype\": \"" << name_of(dtype) << "\", \"losses\": [";
  for (int64_t step = 0; step < order.size(0); ++step) {
    const Batch batch = images.batch(order.select(0, step).to_vector<int64_t>());
    const Tensor loss = cross_entropy(net(batch.input.to(device).to(dtype)), batch.target.to(device));
    sgd.zero_grad();
    loss.backward();
    sgd.step();
    file << (step > 0 ? ", " : "") << loss.item();
    if ((step + 1) % 390 == 0) std::printf("step %ld\n", long(step + 1));
  }
  file << "]}\n";
} catch (const std::exception& error) {
  std::cerr << "dnn_training_curve: " << error.what() << "\n";
  return 1;
}
