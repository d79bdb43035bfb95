#include "lfcc.h"

#include <algorithm>

#include "parallel.h"
#include "samples.h"
#include "simd.h"

namespace srctrace {

LfccWorker::LfccWorker(const LfccOptions& options, int64_t samples, const Kernel& kernel)
    : kernel_(kernel),
      plan_(LfccPlan::Get(options, kernel.lanes)),
      samples_(samples),
      frames_(options.Frames(samples)),
      pad_(options.Padding()),
      workspace_(kernel.lfcc_workspace(plan_->tables(), frames_)) {
  const int64_t tiles = (frames_ + kernel.lanes - 1) / kernel.lanes;
  const int64_t read = (tiles * kernel.lanes + plan_->tables().columns) * options.hop_length + options.n_fft;
  loaded_.resize(std::max(samples + 2 * pad_, read));
}

void LfccWorker::Run(float* out) {
  float* const wave = this->wave();
  for (int64_t i = 1; i <= pad_; ++i) {
    wave[-i] = wave[i];
    wave[samples_ - 1 + i] = wave[samples_ - 1 - i];
  }
  kernel_.lfcc(plan_->tables(), frames_, loaded_.data(), workspace_.data(), out);
}

template <typename Sample>
void ComputeLfcc(const Sample* waves, int64_t batch, int64_t samples, const LfccOptions& options, int threads,
                 float* out) {
  const Kernel& kernel = ActiveKernel();
  const int64_t size = options.n_lfcc * options.Frames(samples);
  ForEach(
      batch, threads, [&] { return LfccWorker(options, samples, kernel); },
      [&](int64_t i, LfccWorker* worker) {
        LoadSamples(kernel, waves + i * samples, samples, i, worker->wave());
        worker->Run(out + i * size);
      });
}

template void ComputeLfcc(const int16_t*, int64_t, int64_t, const LfccOptions&, int, float*);
template void ComputeLfcc(const float*, int64_t, int64_t, const LfccOptions&, int, float*);

}  // namespace srctrace
