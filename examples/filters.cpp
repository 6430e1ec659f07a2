// What a convolutional net sees: trains a small one on handwritten digits (or loads it) and draws the filters of its
// first layer, and the feature maps that its two convolutions make of one test image.
#include <dnn/dnn.h>

#include <CLI/CLI.hpp>
#include <filesystem>
#include <iostream>

using namespace dnn;

Sequential make_net() {
  return Sequential(Conv2d(1, 16, {.kernel = 7, .padding = 3}), ReLU(), MaxPool2d({.kernel = 2}),  //
                    Conv2d(16, 32, {.kernel = 5, .padding = 2}), ReLU(), MaxPool2d({.kernel = 2}), Flatten(),
                    Linear(32 * 7 * 7, 10));
}

// Writes images [n, 1, h, w] as one picture, the darkest and the brightest pixel of each being black and white.
void draw(const std::string& file, const Tensor& images, int64_t scale) {
  save_png(file, image_grid(images,
                            {.padding = scale, .background = 0.25, .stretch = ImageGridOptions::each, .scale = scale}));
  std::cout << file << ": " << images.size(0) << " of " << images.size(2) << " x " << images.size(3) << " pixels\n";
}

// The feature maps of one image [1, c, h, w] as images [c, 1, h, w].
Tensor as_images(const Tensor& features) { return features.transpose(0, 1); }

int main(int argc, char** argv) try {
  std::string checkpoint, out = "filters";
  int64_t samples = 60000, index = 0;
  CLI::App app("Draws the filters and feature maps of a small convolutional net for handwritten digits");
  app.option_defaults()->always_capture_default();
  app.add_option("--checkpoint", checkpoint, "Checkpoint of the net; trained and written when it is not there");
  app.add_option("--samples", samples, "Images to train on");
  app.add_option("--image", index, "Number of the test image whose feature maps are drawn");
  app.add_option("--out", out, "Begin of the pictures' names");
  CLI11_PARSE(app, argc, argv);

  manual_seed(1);
  Sequential net = make_net();
  const Digits data = digits();
  if (!data.why_synthetic.empty()) std::cout << data.why_synthetic << "\nDrawing digits instead.\n";
  if (!checkpoint.empty() && std::filesystem::exists(checkpoint)) {
    load_checkpoint(checkpoint, net);
  } else {
    const Subset some = random_split(data.train, {samples, data.train.size() - samples}).front();
    DataLoader loader(some, {.batch_size = 64, .shuffle = true});
    // The decay of the weights wears the noise off that the filters began with.
    Trainer trainer(net, SGD(net.parameters(), {.lr = 0.05, .momentum = 0.9, .weight_decay = 2e-3}),
                    {.lr_schedule = [](double done) { return 1 - done; }, .checkpoint = checkpoint});
    trainer.fit(loader);
  }

  net.eval();
  const NoGrad no_grad;
  const Tensor image = data.test.get(index).input.unsqueeze(0);
  const Tensor first = net[1](net[0](image));
  const Tensor second = net[4](net[3](net[2](first)));
  draw(out + "-weights.png", net.state_dict().at("0.weight"), 10);
  draw(out + "-image.png", image, 8);
  draw(out + "-features1.png", as_images(first), 4);
  draw(out + "-features2.png", as_images(second), 8);
  const Tensor scores = net(image);
  std::cout << "the net takes the image for a " << data.test.class_names().at(argmax(scores, 1).item()) << "\n";
} catch (const std::exception& error) {
  std::cerr << "filters: " << error.what() << "\n";
  return 1;
}
