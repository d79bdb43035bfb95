// Linear-frequency cepstral coefficients, as torchaudio.transforms.LFCC 2.11 defines them, but for one thing: the
// floor of 80 dB below the maximum is each utterance's own, so that its features do not depend on its neighbours.

#ifndef SRCTRACE_CSRC_LFCC_H_
#define SRCTRACE_CSRC_LFCC_H_

#include <cstdint>
#include <memory>

#include "kernel.h"
#include "lfcc_options.h"
#include "lfcc_plan.h"
#include "scratch.h"

namespace srctrace {

// Computes LFCCs of utterances of one length, one after the other. Each thread has its own.
class LfccWorker {
 public:
  LfccWorker(const LfccOptions& options, int64_t samples, const Kernel& kernel);

  // LFCCs of one utterance, whose samples are all finite and within 1e10, into `out`, (n_lfcc, frames).
  void Run(const float* wave, float* out);
  void Run(const int16_t* wave, float* out);

 private:
  const Kernel& kernel_;
  const std::shared_ptr<const LfccPlan> plan_;
  const int64_t samples_, frames_, padding_;
  Scratch workspace_;
};

// LFCCs of `batch` utterances, (batch, samples), into `out`, (batch, n_lfcc, frames), both in C order. int16 stands for
// value / 32768. The result for an utterance is the same bits for any batch around it and any number of threads.
//
// Throws std::invalid_argument for bad options, too few samples, fewer than one thread, and samples that are not finite
// or beyond 1e10, whose power might not be; the message names the first such sample.
template <typename Sample>
void ComputeLfcc(const Sample* waves, int64_t batch, int64_t samples, const LfccOptions& options, int threads,
                 float* out);

}  // namespace srctrace

#endif  // SRCTRACE_CSRC_LFCC_H_
