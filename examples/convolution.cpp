// The lecture's worked example of a convolution, and of max pooling: small enough to check by hand.
//
// Each output is the sum of the nine pixels under the filter, each times the filter's number there. The program
// compares what it prints with the numbers of the lecture and ends with 1 if they differ.
#include <dnn/dnn.h>

#include <iostream>
#include <string>
#include <vector>

using namespace dnn;

// Prints a matrix [1, 1, h, w] of small whole numbers.
void print(const std::string& title, const Tensor& matrix) {
  std::cout << title << "\n";
  for (int64_t row = 0; row < matrix.size(2); ++row) {
    for (int64_t column = 0; column < matrix.size(3); ++column) std::cout << "  " << matrix[0][0][row][column].item();
    std::cout << "\n";
  }
}

int main() try {
  const Tensor image = tensor({1, 1, 1, 0, 0,   //
                               0, 1, 1, 1, 0,   //
                               0, 0, 1, 1, 1,   //
                               0, 0, 1, 1, 0,   //
                               0, 1, 1, 0, 0},  //
                              {1, 1, 5, 5});
  const Tensor filter = tensor({1, 0, 1,   //
                                0, 1, 0,   //
                                1, 0, 1},  //
                               {1, 1, 3, 3});
  const Tensor features = conv2d(image, filter);
  print("image", image);
  print("filter", filter);
  print("convolution: the filter at each of 3 x 3 places", features);

  const Tensor activity = tensor({1, 1, 2, 4,   //
                                  5, 6, 7, 8,   //
                                  3, 2, 1, 0,   //
                                  1, 2, 3, 4},  //
                                 {1, 1, 4, 4});
  const Tensor pooled = max_pool2d(activity, {.kernel = 2, .stride = 2});
  print("feature map", activity);
  print("max pooling: the largest of each 2 x 2 window, step 2", pooled);

  const bool right = features.to_vector<float>() == std::vector<float>{4, 3, 4, 2, 4, 3, 2, 3, 4} &&
                     pooled.to_vector<float>() == std::vector<float>{6, 8, 3, 4};
  std::cout << (right ? "as in the lecture\n" : "wrong: not the numbers of the lecture\n");
  return right ? 0 : 1;
} catch (const std::exception& error) {
  std::cerr << "convolution: " << error.what() << "\n";
  return 1;
}
