#include "mix.h"

#include <algorithm>
#include <cmath>

#include "lfcc.h"
#include "parallel.h"
#include "refuse.h"
#include "samples.h"
#include "simd.h"

namespace srctrace {
namespace {

void CheckBatch(int64_t batch, int64_t samples, const MixPlan& plan, const Bank& bank) {
  if (samples < 1) Refuse("utterances of ", samples, " samples cannot be mixed: they must have at least 1");
  if (plan.mixes != batch * plan.variants) {
    Refuse("the plan has ", plan.mixes, " mixes, but ", batch, " utterances have ", batch * plan.variants, " of ",
           plan.variants, " variants");
  }
  CheckPlan(plan, bank);
}

}  // namespace

Mixer::Mixer(const Bank& bank, ResponseSpectra* responses, int64_t samples, const Kernel& kernel)
    : bank_(bank),
      samples_(samples),
      kernel_(kernel),
      converted_(sizeof(float) * samples),
      reverberator_(bank, responses, samples, kernel) {}

void Mixer::Load(const int16_t* wave, int64_t) {
  kernel_.load_int16(wave, samples_, converted_.floats());
  clean_ = converted_.floats();
  energy_ = std::ldexp(static_cast<double>(kernel_.energy_int16(wave, samples_)), -30);  // in units of full scale
}

void Mixer::Load(const float* wave, int64_t index) {
  CheckSamples(kernel_, wave, samples_, index);
  clean_ = wave;
  energy_ = kernel_.energy_float(wave, samples_);
}

const float* Mixer::Mix(const MixPlan& plan, int64_t m, float* out) {
  const int64_t first = plan.firsts[m], end = plan.firsts[m + 1];
  if (plan.kinds[m] == kReverb) {
    reverberator_.Run(plan.records[first], clean_, out);
  } else if (plan.kinds[m] == kClean || energy_ == 0 || first == end) {
    return clean_;
  } else if (end - first == 1) {
    Add(plan, first, Gain(static_cast<double>(Energy(plan, first)), plan.snrs[m]), clean_, out);
  } else {
    std::fill_n(out, samples_, 0.0f);
    for (int64_t part = first; part < end; ++part) {
      const int64_t energy = Energy(plan, part);
      if (energy > 0) Add(plan, part, 1 / std::sqrt(static_cast<double>(energy)), out, out);
    }
    const double gain = Gain(kernel_.energy_float(out, samples_), plan.snrs[m]);
    kernel_.add_float(clean_, out, samples_, static_cast<float>(gain), out);
  }
  return out;
}

template <typename Use>
void Mixer::ForStretches(const MixPlan& plan, int64_t part, const Use& use) const {
  const int64_t record = plan.records[part];
  const int16_t* const start = bank_.samples + bank_.starts[record];
  const int64_t length = bank_.starts[record + 1] - bank_.starts[record];
  int64_t offset = plan.offsets[part];
  for (int64_t at = 0; at < samples_; offset = 0) {
    const int64_t count = std::min(length - offset, samples_ - at);
    use(start + offset, count, at);
    at += count;
  }
}

int64_t Mixer::Energy(const MixPlan& plan, int64_t part) const {
  int64_t energy = 0;
  ForStretches(plan, part,
               [&](const int16_t* stretch, int64_t count, int64_t) { energy += kernel_.energy_int16(stretch, count); });
  return energy;
}

void Mixer::Add(const MixPlan& plan, int64_t part, double gain, const float* base, float* out) const {
  ForStretches(plan, part, [&](const int16_t* stretch, int64_t count, int64_t at) {
    kernel_.add_int16(base + at, stretch, count, static_cast<float>(gain), out + at);
  });
}

double Mixer::Gain(double noise_energy, double snr) const {
  if (noise_energy == 0) return 0;
  return std::sqrt(energy_ / noise_energy * std::pow(10.0, -snr / 10));
}

template <typename Sample>
void ComputeMixes(const Sample* waves, int64_t batch, int64_t samples, const MixPlan& plan, const Bank& bank,
                  ResponseSpectra* responses, int threads, float* out) {
  CheckBatch(batch, samples, plan, bank);
  ForEach(
      batch, threads, [&] { return Mixer(bank, responses, samples, ActiveKernel()); },
      [&](int64_t i, Mixer* mixer) {
        mixer->Load(waves + i * samples, i);
        for (int64_t m = i * plan.variants; m < (i + 1) * plan.variants; ++m) {
          const float* const mix = mixer->Mix(plan, m, out + m * samples);
          if (mix != out + m * samples) std::copy_n(mix, samples, out + m * samples);
        }
      });
}

template <typename Sample>
void ComputeMixedLfcc(const Sample* waves, int64_t batch, int64_t samples, const MixPlan& plan, const Bank& bank,
                      ResponseSpectra* responses, const LfccOptions& options, int threads, float* out) {
  CheckBatch(batch, samples, plan, bank);
  struct Worker {
    Mixer mixer;
    LfccWorker lfcc;
    Scratch mix;
  };
  const Kernel& kernel = ActiveKernel();
  const int64_t size = options.n_lfcc * options.Frames(samples);
  ForEach(
      batch, threads,
      [&] {
        return Worker{{bank, responses, samples, kernel}, {options, samples, kernel}, Scratch(sizeof(float) * samples)};
      },
      [&](int64_t i, Worker* worker) {
        worker->mixer.Load(waves + i * samples, i);
        for (int64_t m = i * plan.variants; m < (i + 1) * plan.variants; ++m) {
          worker->lfcc.Run(worker->mixer.Mix(plan, m, worker->mix.floats()), out + m * size);
        }
      });
}

template void ComputeMixes(const int16_t*, int64_t, int64_t, const MixPlan&, const Bank&, ResponseSpectra*, int,
                           float*);
template void ComputeMixes(const float*, int64_t, int64_t, const MixPlan&, const Bank&, ResponseSpectra*, int, float*);
template void ComputeMixedLfcc(const int16_t*, int64_t, int64_t, const MixPlan&, const Bank&, ResponseSpectra*,
                               const LfccOptions&, int, float*);
template void ComputeMixedLfcc(const float*, int64_t, int64_t, const MixPlan&, const Bank&, ResponseSpectra*,
                               const LfccOptions&, int, float*);

}  // namespace srctrace
