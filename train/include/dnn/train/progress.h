// The progress of training as text: the one class of libdnn that prints, because the user asked for it.
//
// On a terminal one line is drawn over and over, as wide as the terminal, and stays as a summary at the end of the
// epoch:
//   epoch 1/5  [======>       ]  47 %  28160/60000  3212 samples/s  ETA 0:10  loss 0.2314  accuracy 93.12 %
//   epoch 1/5  21.4 s  3205 samples/s  loss 0.1911  accuracy 94.30 %  val loss 0.0712  val accuracy 97.71 %
// Elsewhere there is only the second one. After Ctrl-C a line says so, and which checkpoint to go on from.
#pragma once

#include <iosfwd>
#include <optional>
#include <string>

#include "dnn/train/callback.h"

namespace dnn {

struct ProgressOptions;

/// Prints the progress of `Trainer::fit`; the trainer makes one by itself (TrainerOptions::progress).
class Progress : public Callback {
 public:
  enum Mode {
    automatic,  ///< `bar` on a terminal, else `lines`.
    bar,        ///< A line that is drawn anew while training goes on.
    lines,      ///< One line per epoch.
    off,        ///< Nothing.
  };

  Progress();
  explicit Progress(const ProgressOptions& options);

  void on_epoch_begin(Trainer& trainer) override;
  void on_step_end(Trainer& trainer) override;
  void on_validation_begin(Trainer& trainer) override;
  void on_epoch_end(Trainer& trainer, const EpochStats& stats) override;
  void on_fit_end(Trainer& trainer) override;
  void on_fit_failed(Trainer& trainer) noexcept override;

 private:
  void draw(const Trainer& trainer, bool validating);
  void end_line();
  int width() const;

  std::ostream* stream_;
  Mode mode_;
  bool color_;
  int width_;
  double interval_;
  double next_draw_ = 0;    // seconds since the epoch began
  bool validated_ = false;  // whether the running epoch has validation numbers
  bool open_line_ = false;  // the bar stands on the last line of the terminal
};

/// Options of `Progress`.
struct ProgressOptions {
  Progress::Mode mode = Progress::automatic;
  std::ostream* stream = nullptr;            ///< Where to; nullptr: the standard output.
  std::optional<bool> color = std::nullopt;  ///< Not given: on a terminal, unless the variable NO_COLOR is set.
  int width = 0;                             ///< Columns; 0: those of the terminal, asked for at each drawing.
  double interval = 0.1;                     ///< Least seconds between two drawings; each one waits for the device.
};

}  // namespace dnn
