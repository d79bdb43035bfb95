// The tables of an LFCC plan, on a device.

#ifndef SRCTRACE_CSRC_DEVICE_TABLES_H_
#define SRCTRACE_CSRC_DEVICE_TABLES_H_

#include <cstddef>
#include <cstdint>

#include "lfcc_plan.h"
#include "tables.h"

namespace srctrace {

// Sample i of a lane's frame is at samples[lane * pitch + place], times `window`.
struct PlacedWindow {
  int32_t place;
  float window;
};

// What the kernels read, by pointers to the device's memory.
struct DeviceTables {
  LfccTables lfcc;            // without what is below instead: place, window, stride, first_bin, weights
  int32_t padding;            // samples that are reflected at either end
  int32_t pitch;              // odd, so that lanes read from different banks
  const PlacedWindow* frame;  // n_fft
  // Filter m: its first bin and its weights, as words of 4 bytes, from quad m * filter_quads on.
  const void* filters;
  int32_t filter_quads;
  int64_t energies_data_bytes;  // where a block's samples begin, behind the transforms
};

// Tables for 32 frames side by side.
class DevicePlan {
 public:
  // Copies the tables to the current device.
  explicit DevicePlan(const LfccOptions& options);
  ~DevicePlan();
  DevicePlan(const DevicePlan&) = delete;

  const LfccOptions& options() const { return plan_.options(); }
  const DeviceTables& tables() const { return tables_; }

  // Of a block: what it keeps of 32 frames at a time.
  int64_t EnergiesBytes() const;
  int64_t CosineBytes() const;

 private:
  const LfccPlan plan_;
  DeviceTables tables_;
  void* memory_ = nullptr;
};

}  // namespace srctrace

#endif  // SRCTRACE_CSRC_DEVICE_TABLES_H_
