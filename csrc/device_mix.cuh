// Where the samples of a mix come from: speech, and noise from the bank, which stays on the device as int16.

#ifndef SRCTRACE_CSRC_DEVICE_MIX_CUH_
#define SRCTRACE_CSRC_DEVICE_MIX_CUH_

#include <cuda_runtime.h>

#include <cstdint>

#include "device_fft.cuh"
#include "mix_plan.h"
#include "samples.h"

namespace srctrace {

constexpr int64_t kMaxSamples = int64_t{1} << 29;  // of an utterance: twice as many are an int32_t

// All pointers are to the device's memory.
template <typename Sample>
struct Mixes {
  const Sample* waves;  // (utterances, samples)
  int32_t samples;      // up to kMaxSamples
  MixPlan plan;         // without kinds: each mix is one of the waves
  Bank bank;
  const float* gains;         // plan.parts
  const float* reverberated;  // (rows, samples): of each kReverb, the one that records[firsts[mix]] names
};

namespace {

// The wave that a mix is made of.
template <typename Sample>
SRCTRACE_INLINE const Sample* WaveOf(const Mixes<Sample>& mixes, int64_t mix) {
  const int utterance = static_cast<int>(mix) / static_cast<int>(mixes.plan.variants);
  return mixes.waves + static_cast<int64_t>(utterance) * mixes.samples;
}

constexpr float kFullScale = 1.0f / 32768;
constexpr int kSumThreads = 512;
constexpr int kSumBytes = kSumThreads * sizeof(double);  // of shared memory

SRCTRACE_INLINE float InFullScale(int16_t x) { return kFullScale * static_cast<float>(x); }
SRCTRACE_INLINE float InFullScale(float x) { return x; }

// Sums of squares: those of int16 are exact.
SRCTRACE_INLINE int64_t Square(int16_t x) { return static_cast<int32_t>(x) * x; }
SRCTRACE_INLINE double Square(float x) { return static_cast<double>(x) * x; }

// A record of the bank from an offset on, round and round.
struct Stretch {
  const int16_t* record;
  uint32_t length;
  uint32_t offset;

  SRCTRACE_INLINE int16_t At(uint32_t i) const {
    uint32_t position = offset + i;
    if (position >= length) position -= length;
    if (position >= length) position %= length;
    return record[position];
  }
};

SRCTRACE_INLINE Stretch PartStretch(const MixPlan& plan, const Bank& bank, int64_t part) {
  const int64_t record = plan.records[part];
  const int64_t start = bank.starts[record];
  return {bank.samples + start, static_cast<uint32_t>(bank.starts[record + 1] - start),
          static_cast<uint32_t>(plan.offsets[part])};
}

// The sum over a block's threads, the same bits every time.
template <typename T>
SRCTRACE_INLINE T BlockSum(T value) {
  T* const sums = reinterpret_cast<T*>(shared_memory);
  sums[threadIdx.x] = value;
  __syncthreads();
  for (int half = kSumThreads / 2; half > 0; half /= 2) {
    if (threadIdx.x < half) sums[threadIdx.x] += sums[threadIdx.x + half];
    __syncthreads();
  }
  const T sum = sums[0];
  __syncthreads();
  return sum;
}

// The energy of what at(i) gives for i < count, by all threads of a block.
template <typename At>
SRCTRACE_INLINE double BlockEnergy(int32_t count, const At& at) {
  decltype(Square(at(0))) sum = 0;
#pragma unroll 4
  for (int32_t i = threadIdx.x; i < count; i += kSumThreads) sum += Square(at(i));
  return static_cast<double>(BlockSum(sum));
}

// What the int16 samples of each part are multiplied with, for its mix to have its SNR. A block has one mix
// at a time.
template <typename Sample>
__global__ void __launch_bounds__(kSumThreads) GainsKernel(Mixes<Sample> mixes, float* gains) {
  const MixPlan& plan = mixes.plan;
  for (int64_t mix = blockIdx.x; mix < plan.mixes; mix += gridDim.x) {
    if (plan.kinds[mix] != kAdd) continue;
    const int64_t first = plan.firsts[mix], end = plan.firsts[mix + 1];
    const int32_t samples = mixes.samples;
    // At unit power, parts are equally loud before they are summed; a silent one adds nothing.
    int64_t heard = 0;
    for (int64_t part = first; part < end; ++part) {
      const Stretch stretch = PartStretch(plan, mixes.bank, part);
      const double energy = BlockEnergy(samples, [&](int32_t i) { return stretch.At(i); });
      heard += energy > 0;
      if (threadIdx.x == 0) gains[part] = energy > 0 ? static_cast<float>(sqrt(samples / energy)) : 0.0f;
    }
    __syncthreads();
    double noise = heard == 0 ? 0.0 : samples;
    if (heard > 1) {
      noise = BlockEnergy(samples, [&](int32_t i) {
        float sum = 0;
        for (int64_t part = first; part < end; ++part) {
          sum += gains[part] * static_cast<float>(PartStretch(plan, mixes.bank, part).At(i));
        }
        return sum;
      });
    }
    const Sample* const wave = WaveOf(mixes, mix);
    const double full_scale = sizeof(Sample) == sizeof(int16_t) ? kFullScale : 1.0;
    const double speech = full_scale * full_scale * BlockEnergy(samples, [&](int32_t i) { return wave[i]; });
    const double gain = noise > 0 ? sqrt(speech / noise * pow(10.0, -plan.snrs[mix] / 10)) : 0.0;
    for (int64_t part = first + threadIdx.x; part < end; part += kSumThreads) {
      gains[part] = static_cast<float>(gain * gains[part]);
    }
  }
}

// Which samples a tile of frames takes. Those that a hop passes over are left out.
struct TileSamples {
  int64_t start;    // of the first frame, before the reflection
  int32_t hop;      // samples from column to column
  int32_t rows;     // samples of a column
  int32_t columns;  // one for each frame, and what the last one needs beyond
  int32_t pitch;    // from column to column in `out`
  float* out;
};

// Calls use(i, value) for each sample of a tile, at position i of `out`; at(j) gives sample j of the utterance.
template <typename At, typename Use>
SRCTRACE_INLINE void ForTile(const Place& place, const TileSamples& tile, int32_t samples, const At& at,
                             const Use& use) {
  for (int column = place.warp; column < tile.columns; column += place.warps) {
    const int64_t far = tile.start + static_cast<int64_t>(column) * tile.hop;
    if (far >= 2 * samples) break;  // behind the last frame
    const int32_t start = static_cast<int32_t>(far);
    const int32_t position = column * tile.pitch;
    if (start >= 0 && start + tile.rows <= samples) {
#pragma unroll 4
      for (int row = place.lane; row < tile.rows; row += kWarp) use(position + row, at(start + row));
      continue;
    }
    for (int row = place.lane; row < tile.rows; row += kWarp) {
      int32_t j = start + row;
      if (j < 0) j = -j;
      if (j >= samples) j = 2 * (samples - 1) - j;
      if (j >= 0) use(position + row, at(j));  // else it is of no frame
    }
  }
}

// Whether all of a wave's samples are finite, and none is too large; by all threads of a block.
SRCTRACE_INLINE bool IsGood(const float* wave, int32_t samples) {
  int32_t bad = 0;
#pragma unroll 4
  for (int32_t i = threadIdx.x; i < samples; i += kSumThreads) bad += !(fabsf(wave[i]) <= kMaxSample);  // so is NaN
  return BlockSum(bad) == 0;
}
SRCTRACE_INLINE bool IsGood(const int16_t*, int32_t) { return true; }

// Fills tile.out with the samples of a mix.
template <typename Sample>
SRCTRACE_INLINE void LoadTile(const Place& place, const TileSamples& tile, const Mixes<Sample>& mixes, int64_t mix) {
  const MixPlan& plan = mixes.plan;
  const int32_t samples = mixes.samples;
  float* const out = tile.out;
  const auto copy = [&](const auto* wave) {
    ForTile(
        place, tile, samples, [&](int32_t j) { return InFullScale(wave[j]); },
        [&](int i, float value) { out[i] = value; });
  };
  const MixKind kind = plan.kinds == nullptr ? kClean : static_cast<MixKind>(plan.kinds[mix]);
  if (kind == kReverb) {
    copy(mixes.reverberated + plan.records[plan.firsts[mix]] * samples);
    return;
  }
  copy(WaveOf(mixes, mix));
  if (kind == kClean) return;
  const int64_t end = plan.firsts[mix + 1];
  for (int64_t part = plan.firsts[mix]; part < end; ++part) {
    const float gain = mixes.gains[part];
    if (gain == 0) continue;
    const Stretch stretch = PartStretch(plan, mixes.bank, part);
    // Each thread adds to what it has stored itself.
    ForTile(
        place, tile, samples, [&](int32_t j) { return gain * static_cast<float>(stretch.At(j)); },
        [&](int i, float value) { out[i] += value; });
  }
}

}  // namespace
}  // namespace srctrace

#endif  // SRCTRACE_CSRC_DEVICE_MIX_CUH_
