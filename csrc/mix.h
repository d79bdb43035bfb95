// Mixing with noise, and reverberation.
//
// Speech and noise are mixed at exactly the SNR of the plan: the ratio of their mean squares over the utterance. Silent
// speech stays silent, and silent noise adds nothing: neither has a gain that would give the SNR. Several parts are
// made equally loud, and then summed.

#ifndef SRCTRACE_CSRC_MIX_H_
#define SRCTRACE_CSRC_MIX_H_

#include <cstdint>

#include "kernel.h"
#include "lfcc_options.h"
#include "mix_plan.h"
#include "reverb.h"
#include "scratch.h"

namespace srctrace {

// Makes the mixes of one utterance after the other, all of one length. Each thread has its own.
class Mixer {
 public:
  Mixer(const Bank& bank, ResponseSpectra* responses, int64_t samples, const Kernel& kernel);

  // The utterance of the mixes to come, which must stay where it is. `index` is its place in the batch.
  void Load(const int16_t* wave, int64_t index);
  void Load(const float* wave, int64_t index);

  // Mix m of a plan, which must be one for the bank: `samples` values in units of full scale. They are in `out`, or, if
  // nothing is to be done, those that were loaded.
  const float* Mix(const MixPlan& plan, int64_t m, float* out);

 private:
  // Calls use(stretch, count, at) for the stretches of a part that make up the length of the utterance.
  template <typename Use>
  void ForStretches(const MixPlan& plan, int64_t part, const Use& use) const;

  // Sum of squares of a part.
  int64_t Energy(const MixPlan& plan, int64_t part) const;

  // Adds a part to `base`; `out` may be `base`.
  void Add(const MixPlan& plan, int64_t part, double gain, const float* base, float* out) const;

  // The gain for noise of this energy.
  double Gain(double noise_energy, double snr) const;

  const Bank bank_;
  const int64_t samples_;
  const Kernel& kernel_;
  const float* clean_ = nullptr;  // the utterance
  Scratch converted_;             // from int16
  double energy_ = 0;             // of the utterance: sum of squares
  Reverberator reverberator_;
};

// The mixes of `batch` utterances, (batch, samples), into `out`, (batch, variants, samples): float32 in units of full
// scale, not clipped. Both are in C order. int16 stands for value / 32768.
//
// Throws std::invalid_argument for what CheckPlan refuses, a plan whose mixes are not batch * variants, no samples,
// fewer than one thread, and samples that are not finite or beyond 1e10.
template <typename Sample>
void ComputeMixes(const Sample* waves, int64_t batch, int64_t samples, const MixPlan& plan, const Bank& bank,
                  ResponseSpectra* responses, int threads, float* out);

// The same, then their LFCCs into `out`, (batch, variants, n_lfcc, frames). Each mix is gone when its LFCCs are there.
template <typename Sample>
void ComputeMixedLfcc(const Sample* waves, int64_t batch, int64_t samples, const MixPlan& plan, const Bank& bank,
                      ResponseSpectra* responses, const LfccOptions& options, int threads, float* out);

}  // namespace srctrace

#endif  // SRCTRACE_CSRC_MIX_H_
