// Training curves as a picture: a self-contained SVG, for a browser or a document.
#pragma once

#include <string>

#include "dnn/train/callback.h"

namespace dnn {

/// Options of `curves_svg`.
struct CurvesOptions {
  std::string title = {};  ///< Above the curves; empty: none.
  int panel_width = 460;   ///< Of the picture of one number, in pixels.
  int panel_height = 300;  ///< The same.
};

/// The curves over the epochs as SVG: loss, accuracy if there is one, and each metric in a panel of its own, for the
/// training and the validation data. Numbers that are not finite leave a gap. Throws ArgumentError for panels smaller
/// than 200 x 150.
std::string curves_svg(const History& history, const CurvesOptions& options = {});

/// Draws the curves into a file after each epoch, atomically.
class CurvesSvg : public Callback {
 public:
  explicit CurvesSvg(std::string path, CurvesOptions options = {})
      : path_(std::move(path)), options_(std::move(options)) {}
  /// Throws IoError when the file could not be written.
  void on_fit_begin(Trainer& trainer) override;
  void on_epoch_end(Trainer& trainer, const EpochStats& stats) override;

 private:
  std::string path_;
  CurvesOptions options_;
};

}  // namespace dnn
