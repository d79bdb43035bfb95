#include "samples.h"

#include <algorithm>
#include <cmath>

#include "refuse.h"

namespace srctrace {
namespace {

constexpr float kMaxSample = 1e10f;  // no power overflows, nor a sum of powers, up to the longest n_fft there may be

}  // namespace

void LoadSamples(const Kernel& kernel, const int16_t* wave, int64_t samples, int64_t, float* out) {
  kernel.load_int16(wave, samples, out);
}

void LoadSamples(const Kernel& kernel, const float* wave, int64_t samples, int64_t index, float* out) {
  if (kernel.load_float(wave, samples, kMaxSample, out)) return;
  const float* bad = std::find_if_not(wave, wave + samples, [](float x) { return std::abs(x) <= kMaxSample; });
  const float value = std::abs(*bad);  // a NaN may print with a sign
  Refuse("utterance ", index, " of the batch, sample ", bad - wave, " is ", *bad < 0 ? "-" : "", value,
         ": samples must be finite and within +-1e10 (audio is within +-1)");
}

}  // namespace srctrace
