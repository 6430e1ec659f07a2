// dnn-doctor: tells what libdnn finds on this machine, and why it computes where it does.
#include <dnn/dnn.h>

#include <iostream>

int main() try { std::cout << dnn::system_report().str(); } catch (const std::exception& error) {
  std::cerr << "dnn-doctor: " << error.what() << "\n";
  return 1;
}
