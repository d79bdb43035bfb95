// Working memory.

#ifndef SRCTRACE_CSRC_SCRATCH_H_
#define SRCTRACE_CSRC_SCRATCH_H_

#include <cstddef>

namespace srctrace {

// Uninitialised memory, aligned to 64 bytes: the longest vector, and a cache line. It is kept for whoever asks next, up
// to 256 MB in all: fresh memory costs a page fault for every 4 KB.
class Scratch {
 public:
  explicit Scratch(size_t bytes);
  ~Scratch();
  Scratch(Scratch&& other) noexcept;
  Scratch& operator=(Scratch&& other) noexcept;

  void* data() const { return memory_; }
  float* floats() const { return static_cast<float*>(memory_); }
  size_t bytes() const { return bytes_; }

 private:
  void* memory_ = nullptr;
  size_t bytes_ = 0;
};

}  // namespace srctrace

#endif  // SRCTRACE_CSRC_SCRATCH_H_
