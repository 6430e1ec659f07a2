// Switching the recording of operations off and on.
#pragma once

namespace dnn {

/// Whether operations are recorded on this thread.
bool grad_enabled();

/// While it lives, operations of this thread are not recorded: for evaluation and for updating weights.
class NoGrad {
 public:
  NoGrad();
  ~NoGrad();
  NoGrad(const NoGrad&) = delete;
  NoGrad& operator=(const NoGrad&) = delete;

 private:
  bool before_;
};

/// While it lives, operations of this thread are recorded, also inside a NoGrad.
class EnableGrad {
 public:
  EnableGrad();
  ~EnableGrad();
  EnableGrad(const EnableGrad&) = delete;
  EnableGrad& operator=(const EnableGrad&) = delete;

 private:
  bool before_;
};

}  // namespace dnn
