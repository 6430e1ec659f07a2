// A user's first program: the product of two small matrices, checked by hand.
#include <dnn/dnn.h>

#include <iostream>

int main() {
  const dnn::Tensor a = dnn::ones({2, 3});
  const dnn::Tensor b = dnn::full({3, 4}, 0.5);
  const dnn::Tensor c = dnn::matmul(a, b);
  std::cout << c << '\n';
  return c.sum().item() == 12.0 ? 0 : 1;
}
