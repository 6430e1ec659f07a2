// The first nine images that a net for handwritten digits learns from, with their labels, as one picture.
#include <dnn/dnn.h>

#include <CLI/CLI.hpp>
#include <iostream>
#include <numeric>

using namespace dnn;

int main(int argc, char** argv) try {
  std::string out = "digits.png";
  int64_t first = 0, rows = 3, scale = 4;
  CLI::App app("Writes a square grid of training images of MNIST with their labels as a PNG file");
  app.option_defaults()->always_capture_default();
  app.add_option("--out", out, "The picture");
  app.add_option("--first", first, "Number of the first image");
  app.add_option("--rows", rows, "Rows and columns of the grid")->check(CLI::Range(1, 100));
  app.add_option("--scale", scale, "Side of a pixel in the picture");
  CLI11_PARSE(app, argc, argv);

  const Digits data = digits();
  if (!data.why_synthetic.empty()) std::cout << data.why_synthetic << "\nDrawing digits instead.\n";
  std::vector<int64_t> indices(static_cast<size_t>(rows * rows));
  std::iota(indices.begin(), indices.end(), first);
  const auto [images, labels] = data.train.batch(indices);
  std::vector<std::string> titles;
  for (int64_t label : labels.to_vector<int64_t>()) titles.push_back("label: " + data.train.class_names().at(label));
  save_png(out, image_grid(images, {.columns = rows,
                                    .padding = 4 * scale,
                                    .background = 1,
                                    .scale = scale,
                                    .titles = titles,
                                    .title_scale = std::max<int64_t>(1, scale / 2)}));
  std::cout << out << ": images " << first << " to " << indices.back() << " of " << data.train.name() << "\n";
} catch (const std::exception& error) {
  std::cerr << "digits: " << error.what() << "\n";
  return 1;
}
