// Audio as it comes in.

#ifndef SRCTRACE_CSRC_SAMPLES_H_
#define SRCTRACE_CSRC_SAMPLES_H_

#include <cstdint>

#include "kernel.h"

namespace srctrace {

constexpr float kMaxSample = 1e10f;  // no power overflows, nor a sum of powers, up to the longest n_fft there may be

// Throws std::invalid_argument, which names the sample, for one that is not finite or beyond kMaxSample. `index` is the
// utterance's place in the batch.
void CheckSamples(const Kernel& kernel, const float* wave, int64_t samples, int64_t index);
inline void CheckSamples(const Kernel&, const int16_t*, int64_t, int64_t) {}

}  // namespace srctrace

#endif  // SRCTRACE_CSRC_SAMPLES_H_
