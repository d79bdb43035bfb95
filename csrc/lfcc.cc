#include "lfcc.h"

#include "parallel.h"
#include "samples.h"
#include "simd.h"

namespace srctrace {

LfccWorker::LfccWorker(const LfccOptions& options, int64_t samples, const Kernel& kernel)
    : kernel_(kernel),
      plan_(LfccPlan::Get(options, kernel.lanes)),
      samples_(samples),
      frames_(options.Frames(samples)),
      padding_(options.Padding()),
      workspace_(kernel.lfcc_workspace(plan_->tables(), frames_)) {}

void LfccWorker::Run(const float* wave, float* out) {
  kernel_.lfcc_float(plan_->tables(), frames_, wave, samples_, padding_, workspace_.data(), out);
}

void LfccWorker::Run(const int16_t* wave, float* out) {
  kernel_.lfcc_int16(plan_->tables(), frames_, wave, samples_, padding_, workspace_.data(), out);
}

template <typename Sample>
void ComputeLfcc(const Sample* waves, int64_t batch, int64_t samples, const LfccOptions& options, int threads,
                 float* out) {
  const Kernel& kernel = ActiveKernel();
  const int64_t size = options.n_lfcc * options.Frames(samples);
  ForEach(
      batch, threads, [&] { return LfccWorker(options, samples, kernel); },
      [&](int64_t i, LfccWorker* worker) {
        const Sample* const wave = waves + i * samples;
        CheckSamples(kernel, wave, samples, i);
        worker->Run(wave, out + i * size);
      });
}

template void ComputeLfcc(const int16_t*, int64_t, int64_t, const LfccOptions&, int, float*);
template void ComputeLfcc(const float*, int64_t, int64_t, const LfccOptions&, int, float*);

}  // namespace srctrace
