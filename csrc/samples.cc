#include "samples.h"

#include <algorithm>
#include <cmath>

#include "refuse.h"

namespace srctrace {
void CheckSamples(const Kernel& kernel, const float* wave, int64_t samples, int64_t index) {
  if (kernel.all_within(wave, samples, kMaxSample)) return;
  const float* bad = std::find_if_not(wave, wave + samples, [](float x) { return std::abs(x) <= kMaxSample; });
  const float value = std::abs(*bad);  // a NaN may print with a sign
  Refuse("utterance ", index, " of the batch, sample ", bad - wave, " is ", *bad < 0 ? "-" : "", value,
         ": samples must be finite and within +-1e10 (audio is within +-1)");
}

}  // namespace srctrace
