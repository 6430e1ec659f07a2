// pictures FOLDER: draws a small data set as the examples take one, FOLDER/train/dark/0.png, ..., and beside it what
// `predict` is asked about. Dark and light pictures of 40 x 32 random pixels, in colour and in gray, and a JPEG file.
#include <dnn/dnn.h>

#include <filesystem>
#include <fstream>
#include <iostream>

using namespace dnn;

int main(int, char** argv) try {
  const std::string folder = argv[1];
  manual_seed(1);
  const auto draw = [](int64_t channels, bool light) { return rand({channels, 32, 40}) * 0.4 + (light ? 0.6 : 0.0); };
  for (const auto& [half, count] : {std::pair("train", 24), std::pair("test", 8)})
    for (const bool light : {false, true}) {
      const std::string place = folder + "/" + half + (light ? "/light/" : "/dark/");
      std::filesystem::create_directories(place);
      for (int i = 0; i < count; ++i) save_png(place + std::to_string(i) + ".png", draw(3, light));
    }
  save_png(folder + "/light.png", draw(3, true));
  save_png(folder + "/dark-gray.png", draw(1, false));
  const Tensor jpeg = load_safetensors(DNN_IMAGE_VECTORS).tensors.at("jpeg_444/file");
  std::ofstream(folder + "/photo.jpg", std::ios::binary)
      .write(reinterpret_cast<const char*>(jpeg.data<uint8_t>()), jpeg.numel());
  std::ofstream(folder + "/broken.png") << "\x89PNG\r\n\x1a\n and nothing more";
  std::ofstream(folder + "/names.txt") << "night\r\nday\n";

  manual_seed(2);
  save_safetensors(folder + "/lenet5.safetensors", lenet5({.classes = 2}).state_dict());
  save_safetensors(folder + "/resnet8.safetensors", resnet_cifar(8).state_dict());
  save_safetensors(folder + "/damaged.safetensors", {}, {{"classifier", R"({"classes": ["dark"])"}});
  for (const char* place : {"/unlike/train/dark/", "/unlike/test/light/"}) {  // halves with other classes
    std::filesystem::create_directories(folder + place);
    save_png(folder + place + "0.png", draw(3, true));
  }
} catch (const std::exception& error) {
  std::cerr << "pictures: " << error.what() << "\n";
  return 1;
}
