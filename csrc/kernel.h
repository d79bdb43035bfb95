// The inner loops, once for each instruction set.

#ifndef SRCTRACE_CSRC_KERNEL_H_
#define SRCTRACE_CSRC_KERNEL_H_

#include <cstddef>
#include <cstdint>

#include "tables.h"

namespace srctrace {

struct Kernel {
  const char* name;
  int lanes;

  // out[i] = in[i] / 32768
  void (*load_int16)(const int16_t* in, int64_t count, float* out);

  // Whether all values are within +-limit, which NaN is not.
  bool (*all_within)(const float* x, int64_t count, float limit);

  // Sums of squares.
  int64_t (*energy_int16)(const int16_t* x, int64_t count);
  double (*energy_float)(const float* x, int64_t count);

  // out[i] = base[i] + gain * x[i]; `out` may be `base` or `x`.
  void (*add_int16)(const float* base, const int16_t* x, int64_t count, float gain, float* out);
  void (*add_float)(const float* base, const float* x, int64_t count, float gain, float* out);

  // The spectrum, 2 * size floats, of `count` real values, times `scale`. Everything is aligned to 64.
  void (*spectrum)(const ConvolutionTables& tables, const float* x, int64_t count, float scale, float* spectrum);

  // The first `count` values of `wave` convolved with the signal whose spectrum is given (scaled by 1 / size), of which
  // `size` - `count` / 2 values may differ from 0. `workspace`: 2 * size floats, aligned to 64.
  void (*convolve)(const ConvolutionTables& tables, const float* spectrum, const float* wave, int64_t count,
                   float* workspace, float* out);

  // Bytes of workspace that LFCCs need.
  size_t (*lfcc_workspace)(const LfccTables& tables, int64_t frames);

  // LFCCs of one utterance of `samples`, of which `padding` are reflected at either end, into (n_lfcc, frames).
  // `workspace` is aligned to 64.
  void (*lfcc_int16)(const LfccTables& tables, int64_t frames, const int16_t* wave, int64_t samples, int64_t padding,
                     void* workspace, float* out);
  void (*lfcc_float)(const LfccTables& tables, int64_t frames, const float* wave, int64_t samples, int64_t padding,
                     void* workspace, float* out);
};

extern const Kernel kScalarKernel;
extern const Kernel k128Kernel;
extern const Kernel kAvx2Kernel;
extern const Kernel kAvx512Kernel;

}  // namespace srctrace

#endif  // SRCTRACE_CSRC_KERNEL_H_
