// The binary files of CIFAR: records of one label byte (CIFAR-100: the superclass, then the class) and the 3072 bytes
// of an image, red, green and blue plane, one behind the other without a header.
#pragma once

#include <cstddef>
#include <cstdint>
#include <span>
#include <string>
#include <vector>

namespace dnn::detail {

constexpr int64_t cifar_side = 32;
constexpr int64_t cifar_pixels = 3 * cifar_side * cifar_side;

// What the records of a data set look like.
struct CifarFormat {
  std::string name;              // of the data set, for error messages
  std::vector<int64_t> classes;  // for each label byte, how many classes there are
  size_t label;                  // the label byte that counts
};

// The number of images in a file of that many bytes. Throws FormatError when they are no whole number, or none.
int64_t count_cifar(int64_t bytes, const CifarFormat& format, const std::string& path);

// Decodes a whole file into that many images [n, 3, 32, 32] and labels [n]. Throws FormatError for a label that is no
// class.
void decode_cifar(std::span<const std::byte> bytes, const CifarFormat& format, const std::string& path, uint8_t* pixels,
                  int64_t* labels);

}  // namespace dnn::detail
