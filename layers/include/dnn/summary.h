// What a net is made of, as a table: layers, the shapes of their outputs, parameters and multiplications.
#pragma once

#include <cstdint>
#include <iosfwd>
#include <optional>
#include <string>
#include <vector>

#include "dnn/dtype.h"
#include "dnn/layer.h"
#include "dnn/shape.h"

namespace dnn {

/// One module that has parameters of its own or nothing inside.
struct SummaryRow {
  std::string path;                  ///< "features.0"
  std::string type;                  ///< "Conv2d"
  std::optional<Shape> output = {};  ///< Shape of its last output for one sample; none when it did not run.
  int64_t parameters = 0;  ///< Elements of its own parameters; one that is shared counts where it comes first.
  int64_t trainable = 0;   ///< Those of them that require a gradient.
  int64_t macs = 0;        ///< Multiplications with an addition, see `Layer::macs`; of all its calls.
};

/// What `summary` finds out.
struct Summary {
  std::vector<SummaryRow> rows;
  std::string type;             ///< The class of the net.
  Shape input;                  ///< Shape of the batch it ran on.
  int64_t parameters = 0;       ///< Elements of all parameters.
  int64_t trainable = 0;        ///< Those that require a gradient; the others are frozen.
  int64_t parameter_bytes = 0;  ///< Memory of the parameters.
  int64_t macs = 0;             ///< Of one sample.

  /// The table with its totals, for printing.
  std::string str() const;
};

/// Writes `summary.str()`.
std::ostream& operator<<(std::ostream& stream, const Summary& summary);

/// Options of `summary`.
struct SummaryOptions {
  std::optional<DType> dtype;  ///< Type of the input; that of the first parameter when not given.
};

/// Runs the net on one sample of zeros, in evaluation and without gradients, on the device of its parameters, and tells
/// what it is made of: `std::cout << summary(net, {3, 224, 224})`, the shape being that of one sample. Modes and
/// running statistics are as before. Throws what the net throws on such an input.
Summary summary(Layer& net, const Shape& input, const SummaryOptions& options = {});

}  // namespace dnn
