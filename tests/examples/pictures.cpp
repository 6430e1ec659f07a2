// pictures FOLDER: draws a small data set as the examples take one, FOLDER/train/dark/0.png, ..., and beside it what
// `predict` is asked about. Dark and light pictures of 40 x 32 random pixels, in colour and in gray, a JPEG file,
// and checkpoints of which most describe their network wrongly.
#include <dnn/dnn.h>

#include <filesystem>
#include <fstream>
#include <iostream>

using namespace dnn;

int main(int, char** argv) try {
  const std::string folder = argv[1];
  std::filesystem::remove_all(folder);  // what an older version has drawn
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
  const StateDict vectors = load_safetensors(DNN_IMAGE_VECTORS).tensors;
  const auto copy_jpeg = [&](const std::string& name, const std::string& file) {
    const Tensor& bytes = vectors.at(name + "/file");
    std::ofstream(file, std::ios::binary).write(reinterpret_cast<const char*>(bytes.data<uint8_t>()), bytes.numel());
  };
  copy_jpeg("jpeg_444", folder + "/photo.jpg");
  std::ofstream(folder + "/broken.png") << "\x89PNG\r\n\x1a\n and nothing more";
  save_png(folder + "/line.png", rand({3, 2, 201}));
  std::ofstream(folder + "/names.txt") << "night\r\nday\n";
  std::ofstream(folder + "/names5.txt") << "a\nb\nc\nd\ne\n";

  const auto put = [&](const std::string& place, const Tensor& picture) {
    std::filesystem::create_directories(folder + place);
    save_png(folder + place + "/0.png", picture);
  };
  put("/unlike/train/dark", draw(3, true)), put("/unlike/test/light", draw(3, true));  // halves with other classes
  // Classes whose names are Latin-1, and pictures that were turned: in the test half by what the camera wrote beside.
  const Tensor &upright = vectors.at("jpeg_turned6/turned"), &sideways = vectors.at("jpeg_turned6/stored");
  for (const std::string half : {"/train", "/test"}) {
    put("/latin" + half + "/caf\xe9", upright), put("/latin" + half + "/th\xe9", sideways);
    put("/turned" + half + "/upright", upright), put("/turned" + half + "/sideways", sideways);
  }
  std::filesystem::remove(folder + "/turned/test/upright/0.png");
  copy_jpeg("jpeg_turned6", folder + "/turned/test/upright/0.jpg");

  manual_seed(2);
  save_safetensors(folder + "/lenet5.safetensors", lenet5({.classes = 2}).state_dict());
  save_safetensors(folder + "/resnet8.safetensors", resnet_cifar(8).state_dict());
  save_safetensors(folder + "/gray.safetensors", lenet5({.classes = 2, .channels = 1, .size = 16}).state_dict());
  const StateDict state = lenet5({.classes = 5, .channels = 3, .size = 16, .width = 3}).state_dict();
  save_safetensors(folder + "/five.safetensors", state);

  // Checkpoints of which each says something else of its network.
  struct Description {
    std::string name, written, changed;
  };
  const std::vector<Description> descriptions{{"good", "", ""},
                                              {"torn", "}", ""},
                                              {"no-model", R"("model")", R"("modal")"},
                                              {"model-number", R"("lenet5")", "5"},
                                              {"unknown-model", R"("lenet5")", R"("lenet4")"},
                                              {"no-width", R"("width": 3, )", ""},
                                              {"width-text", R"("width": 3)", R"("width": "3")"},
                                              {"width-negative", R"("width": 3)", R"("width": -3)"},
                                              {"width-huge", R"("width": 3)", R"("width": 18446744073709551615)"},
                                              {"width-fraction", R"("width": 3)", R"("width": 3.5)"},
                                              {"beyond-the-file", R"("width": 3)", R"("width": 8190)"},
                                              {"two-channels", R"("channels": 3)", R"("channels": 2)"},
                                              {"no-pixels", R"("size": 16)", R"("size": 0)"},
                                              {"two-means", "[0.5, 0.25, ", "[0.5, "},
                                              {"mean-text", "0.25", R"("0.25")"},
                                              {"mean-infinite", "0.25", "1e39"},
                                              {"deviation-zero", "[1, ", "[0, "},
                                              {"no-classes", R"(["a", "b", "c", "d", "e"])", "[]"},
                                              {"classes-number", R"(["a", "b", "c", "d", "e"])", "5"},
                                              {"class-number", R"("e")", "5"}};
  for (const auto& [name, written, changed] : descriptions) {
    std::string text = R"({"model": "lenet5", "width": 3, "channels": 3, "size": 16, "mean": [0.5, 0.25, 0.5],
                           "deviation": [1, 1, 1], "classes": ["a", "b", "c", "d", "e"]})";
    text.replace(text.find(written), written.size(), changed);
    save_safetensors(folder + "/" + name + ".safetensors", state, {{"classifier", text}});
  }
} catch (const std::exception& error) {
  std::cerr << "pictures: " << error.what() << "\n";
  return 1;
}
