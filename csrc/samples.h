// Audio as it comes in.

#ifndef SRCTRACE_CSRC_SAMPLES_H_
#define SRCTRACE_CSRC_SAMPLES_H_

#include <cstdint>

#include "kernel.h"

namespace srctrace {

// Throws std::invalid_argument, which names the sample, for one that is not finite or beyond 1e10: its power might
// overflow. `index` is the utterance's place in the batch.
void CheckSamples(const Kernel& kernel, const float* wave, int64_t samples, int64_t index);
inline void CheckSamples(const Kernel&, const int16_t*, int64_t, int64_t) {}

}  // namespace srctrace

#endif  // SRCTRACE_CSRC_SAMPLES_H_
