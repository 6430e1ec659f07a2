// The safetensors format: named tensors in one file, as PyTorch, JAX and the rest of the world exchange weights.
//
// Eight bytes with the header's length (little endian), the header in JSON (for each tensor dtype, shape and the place
// of its bytes; texts under `__metadata__`), then the elements, row-major, little endian, without gaps. A file is
// written byte for byte as the reference implementation writes it, and read as something an enemy may have made.
#pragma once

#include <cstddef>
#include <map>
#include <span>
#include <string>

#include "dnn/device.h"
#include "dnn/state_dict.h"

namespace dnn {

/// What a safetensors file holds.
struct Safetensors {
  StateDict tensors;                            ///< In the order of their bytes.
  std::map<std::string, std::string> metadata;  ///< Free texts.
};

/// Writes tensors of any device and layout, atomically (see `write_atomically`). Throws ArgumentError for an undefined
/// tensor, the name `__metadata__`, a text that is not UTF-8, or a header above 100 MB; IoError.
void save_safetensors(const std::string& path, const StateDict& tensors,
                      const std::map<std::string, std::string>& metadata = {});

/// Reads a file; the tensors are new and lie on `device`. Throws IoError, and FormatError for anything that the format
/// does not allow or that no Tensor holds (more than 8 dimensions, element types other than F64 F32 F16 BF16 I64 I32 U8
/// BOOL). Memory is bounded by the size of the file.
Safetensors load_safetensors(const std::string& path, Device device = Device::cpu());

/// The same from bytes in memory; errors call them `name`.
Safetensors parse_safetensors(std::span<const std::byte> bytes, const std::string& name = "bytes",
                              Device device = Device::cpu());

}  // namespace dnn
