// Tells NVIDIA's profilers what to look at: `ncu --profile-from-start off` sees what runs while a Mark lives.
#pragma once

class Mark {
 public:
  // Throws dnn::DeviceError where there is no NVIDIA driver.
  Mark();
  ~Mark();
  Mark(const Mark&) = delete;
  Mark& operator=(const Mark&) = delete;
};
