// Mixing and LFCCs on a GPU: what bind_cuda.cc offers to Python. Nothing here waits for the device.

#ifndef SRCTRACE_CSRC_DEVICE_LFCC_H_
#define SRCTRACE_CSRC_DEVICE_LFCC_H_

#include <cstddef>
#include <cstdint>
#include <memory>

#include "device_tables.h"
#include "lfcc_options.h"
#include "mix_plan.h"

namespace srctrace {

// Audio on the device, and what is to become of it: one mix of each wave if `plan` has no kinds. All pointers are to
// the device's memory. The plan has been checked, and copied there; only the record of a kReverb is not one of the
// bank but a row of `reverberated`.
struct DeviceAudio {
  const void* waves;  // (batch, samples), int16 or float32
  bool int16;
  int64_t batch;
  int64_t samples;
  MixPlan plan;
  Bank bank;
  const float* reverberated;  // (rows, samples)
};

class DeviceLfcc {
 public:
  // Throws std::invalid_argument for bad options, CudaError where the device is not to be had.
  DeviceLfcc(const LfccOptions& options, int device);
  ~DeviceLfcc();
  DeviceLfcc(const DeviceLfcc&) = delete;

  const LfccOptions& options() const { return plan_->options(); }

  // Of memory that Run() needs. It is of no use between calls.
  int64_t WorkspaceBytes(int64_t mixes, int64_t samples, int64_t parts) const;

  // Computes (mixes, n_lfcc, frames) in the order of `stream`, a cudaStream_t. The mixes of a wave with a sample that
  // is NaN, infinite or beyond +-1e10 are NaN throughout. Throws std::invalid_argument for shapes and
  // pointers that are not as they must be, CudaError for what the device cannot do.
  void Run(const DeviceAudio& audio, void* workspace, int64_t workspace_bytes, float* features, void* stream) const;

 private:
  struct Layout;
  struct Geometry {
    int warps;
    int64_t shared_bytes;  // of a block, or 0 for a workspace in the device's memory
    int64_t block_bytes;
  };

  Layout Arrange(int64_t mixes, int64_t samples, int64_t parts) const;
  Geometry Choose(int64_t bytes, const RealFftTables& fft) const;
  template <typename Sample>
  void RunOn(const DeviceAudio& audio, char* workspace, float* features, void* stream) const;

  const int device_;
  int64_t l2_bytes_, shared_per_multiprocessor_, shared_limit_;
  std::unique_ptr<DevicePlan> plan_;
  Geometry energies_, cosine_;
};

}  // namespace srctrace

#endif  // SRCTRACE_CSRC_DEVICE_LFCC_H_
