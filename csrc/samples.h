// Audio as it comes in.

#ifndef SRCTRACE_CSRC_SAMPLES_H_
#define SRCTRACE_CSRC_SAMPLES_H_

#include <cstdint>

#include "kernel.h"

namespace srctrace {

// An utterance into `out`, in units of full scale: int16 stands for value / 32768. `index` is its place in the batch.
//
// Throws std::invalid_argument, which names the sample, for one that is not finite or beyond 1e10: its power might
// overflow.
void LoadSamples(const Kernel& kernel, const int16_t* wave, int64_t samples, int64_t index, float* out);
void LoadSamples(const Kernel& kernel, const float* wave, int64_t samples, int64_t index, float* out);

}  // namespace srctrace

#endif  // SRCTRACE_CSRC_SAMPLES_H_
