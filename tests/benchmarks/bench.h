// Timing operations one by one: what a family lists, and how a row becomes a benchmark.
//
// A row makes the tensors of an operation of a given size and a function that calls it. From that come a benchmark of
// the forward pass and, for what has a gradient, one of the backward pass alone, on every device and for every size of
// the family. What a call moves and computes is not written down anywhere: the profiler says it of the kernels that
// ran.
//
//   activation/relu/forward/cpu/1048576     FLOP/s=0/s bytes_per_second=21.4G/s of_copy=0.98
//
// of_copy sets the bytes a second beside those of a copy that moves as many bytes on the same device, so that caches
// help both alike: 1 is what memory allows, and a row far below does something else than move memory.
#pragma once

#include <functional>
#include <string>
#include <vector>

#include "core/storage.h"
#include "dnn/tensor.h"

namespace dnn::bench {

using Tensors = std::vector<Tensor>;
using Call = std::function<Tensor(const Tensors& inputs)>;

struct Operation {
  Tensors inputs;  // those that are floating get gradients in the backward pass
  Call call;
};

// Where and how large.
struct Place {
  Device device;
  int64_t n;  // elements, or whatever else the family's sizes count

  Tensor random(const Shape& shape) const;  // in [0, 1)
  Tensor integers(const Shape& shape, int64_t below) const;
  // [n / (channels * side^2), channels, side, side], at least one image.
  Tensor images(int64_t channels, int64_t side) const;
  // The same in the layout that convolutions of the device hand on.
  Tensor native_images(int64_t channels, int64_t side) const;
  // [n / columns, columns], at least one row.
  Tensor rows(int64_t columns) const;
};

// The layout of a convolution's output where it is large enough to choose.
detail::Layout native_layout(Device device);

enum class Passes { forward, both };

using Make = std::function<Operation(const Place&)>;

struct Row {
  std::string name;
  Make make;
  Passes passes = Passes::both;
};

// An operation on some tensors of one kind.
using Inputs = std::function<Tensors(const Place&)>;
Make of(const Inputs& inputs, const Call& call);
Inputs vectors(int count = 1);                    // [n] each
Inputs matrices(int64_t columns, int count = 1);  // [n / columns, columns] each
Inputs images(int64_t channels, int64_t side);    // one, plain
Inputs natives(int64_t channels, int64_t side, int count = 1);

struct Sizes {
  std::vector<int64_t> cpu, gpu;
};
// Elements that lie in a core's cache, in that of all cores and in memory; on a GPU up to 1 GiB of float32.
inline const Sizes elements{{int64_t{1} << 14, int64_t{1} << 20, int64_t{1} << 24},
                            {int64_t{1} << 20, int64_t{1} << 28}};

struct Family {
  std::string name;
  Sizes sizes;
  std::vector<Row> rows;
};

// The lists, one in each file.
Family copies();
Family pointwise();
Family reductions();
Family softmaxes_and_losses();
Family norms();
Family pools();
Family convolutions();
Family products();
Family indexing();
Family recurrent();
Family updates();

// Bytes a second, read and written, of copies that move about so many bytes; measured once.
double copy_bandwidth(Device device, int64_t bytes);

// Registers every row for a device, or in a smoke test the smallest size of each for one iteration.
void register_family(const Family& family, Device device, bool smoke);

}  // namespace dnn::bench
