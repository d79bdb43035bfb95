// LFCCs in two kernels. A block has one tile of 32 frames of one mix at a time, a lane one frame.

#ifndef SRCTRACE_CSRC_DEVICE_LFCC_CUH_
#define SRCTRACE_CSRC_DEVICE_LFCC_CUH_

#include <cuda_runtime.h>

#include <cstdint>

#include "device_fft.cuh"
#include "device_mix.cuh"
#include "device_tables.h"

namespace srctrace {

// What one kernel leaves for the next, of some of the mixes.
struct Energies {
  int64_t first_mix;
  int32_t mixes;
  int32_t frames;
  int32_t tiles;     // of 32 frames, the last one perhaps not full; up to 2^31 in all mixes
  float* values;     // (mixes, tiles, n_filter, 32)
  int32_t* loudest;  // mixes: as OrderedBits; kSpoilt for those of a wave with a sample that is no number, or too large
  char* workspace;   // where a block's shared memory is not enough: `per_block` bytes for each
  int64_t per_block;  // otherwise 0
};

constexpr int kMaxWarps = 12;
constexpr int32_t kQuietest = INT32_MIN;  // below any number's OrderedBits
constexpr int32_t kSpoilt = INT32_MAX;    // above them

namespace {

// The order of these is that of the numbers.
SRCTRACE_INLINE int32_t OrderedBits(float x) {
  const int32_t bits = __float_as_int(x);
  return bits >= 0 ? bits : bits ^ 0x7fffffff;
}
SRCTRACE_INLINE float OrderedFloat(int32_t bits) { return __int_as_float(bits >= 0 ? bits : bits ^ 0x7fffffff); }

// A block's memory. The compiler is to know which kind it is.
template <bool kShared>
SRCTRACE_INLINE char* BlockMemory(const Energies& energies) {
  if constexpr (kShared) {
    return reinterpret_cast<char*>(shared_memory);
  } else {
    return energies.workspace + blockIdx.x * energies.per_block;
  }
}

// The windowed samples of a lane's frame.
struct Frame {
  const PlacedWindow* table;
  const float* samples;

  SRCTRACE_INLINE float At(int i) const {
    const int2 x = __ldg(reinterpret_cast<const int2*>(table + i));
    return samples[x.x] * __int_as_float(x.y);
  }
  SRCTRACE_INLINE Complex Pair(int n) const {
    const int4 x = __ldg(reinterpret_cast<const int4*>(table + 2 * n));
    return {samples[x.x] * __int_as_float(x.y), samples[x.z] * __int_as_float(x.w)};
  }
};

// A lane's logarithmic energies, raised to a floor, in the order that the cosine transform takes them.
struct FlooredEnergies {
  const int32_t* order;
  const float* values;
  float floor;

  SRCTRACE_INLINE float Value(int m) const { return fmaxf(values[m * kWarp], floor); }
  SRCTRACE_INLINE float At(int i) const { return Value(__ldg(order + i)); }
  SRCTRACE_INLINE Complex Pair(int n) const {
    const int2 x = __ldg(reinterpret_cast<const int2*>(order) + n);
    return {Value(x.x), Value(x.y)};
  }
};

// The energy that a filter passes; kTaps is its number of taps where the compiler is to know it, otherwise 0.
template <int kTaps>
SRCTRACE_INLINE float FilterEnergy(const DeviceTables& tables, int m, const float* power) {
  const int4* const row = reinterpret_cast<const int4*>(tables.filters) + m * tables.filter_quads;
  if constexpr (kTaps == 0) {
    const int32_t* const words = reinterpret_cast<const int32_t*>(row);
    const float* const first = power + __ldg(words) * kWarp;
    float sum = 0;
    for (int t = 0; t < tables.lfcc.taps; ++t) sum += __int_as_float(__ldg(words + 1 + t)) * first[t * kWarp];
    return sum;
  } else {
    const int4 head = __ldg(row);
    const float* const first = power + head.x * kWarp;
    float sum = __int_as_float(head.y) * first[0];
    if (kTaps > 1) sum += __int_as_float(head.z) * first[kWarp];
    if (kTaps > 2) sum += __int_as_float(head.w) * first[2 * kWarp];
    if (kTaps > 3) sum += __int_as_float(__ldg(row + 1).x) * first[3 * kWarp];
    return sum;
  }
}

// Stores the logarithms, to the base of 2, of the energies of a lane's frame; gives the largest.
template <int kTaps>
SRCTRACE_INLINE float LogEnergies(const Place& place, const DeviceTables& tables, const float* power, float* out) {
  float loudest = -3e38f;
  for (int m = place.warp; m < tables.lfcc.n_filter; m += place.warps) {
    const float energy = FilterEnergy<kTaps>(tables, m, power);
    const float value = __log2f(tables.lfcc.log_lf ? energy + 1e-6f : fmaxf(energy, 1e-10f));
    loudest = fmaxf(loudest, value);
    out[m * kWarp] = value;
  }
  return loudest;
}

// What EnergiesKernel begins with. A block has one wave at a time.
template <typename Sample>
__global__ void __launch_bounds__(kSumThreads) LoudestKernel(Mixes<Sample> mixes, int32_t* loudest) {
  const int64_t variants = mixes.plan.variants;
  const int64_t waves = mixes.plan.mixes / variants;
  for (int64_t wave = blockIdx.x; wave < waves; wave += gridDim.x) {
    const int32_t first = IsGood(mixes.waves + wave * mixes.samples, mixes.samples) ? kQuietest : kSpoilt;
    for (int64_t v = threadIdx.x; v < variants; v += kSumThreads) loudest[wave * variants + v] = first;
  }
}

// Logarithmic energies of all tiles, and the loudest of each mix. kFft is n_fft where the compiler is to know it,
// otherwise 0.
template <typename Sample, int kFft, bool kShared>
__global__ void __launch_bounds__(kMaxWarps* kWarp, 2)
    EnergiesKernel(DeviceTables tables, Mixes<Sample> mixes, Energies energies) {
  const Place place = ThisPlace();
  char* const memory = BlockMemory<kShared>(energies);
  const Points data(reinterpret_cast<float2*>(memory) + place.lane);
  // The samples are no longer needed when the powers come.
  float* const samples = reinterpret_cast<float*>(memory + tables.energies_data_bytes);
  float* const power = samples + place.lane;
  for (unsigned job = blockIdx.x; job < energies.mixes * energies.tiles; job += gridDim.x) {
    const int mix = static_cast<int>(job) / energies.tiles;
    const int frame = (static_cast<int>(job) - mix * energies.tiles) * kWarp;
    const TileSamples tile = {
        static_cast<int64_t>(frame) * tables.lfcc.hop_length + tables.lfcc.first_sample - tables.padding,
        tables.lfcc.hop_length,
        tables.lfcc.rows,
        tables.lfcc.columns,
        tables.pitch,
        samples};
    LoadTile(place, tile, mixes, energies.first_mix + mix);
    __syncthreads();
    RealTransform<kFft>(place, tables.lfcc.fft, Frame{tables.frame, samples + place.lane * tables.pitch}, data,
                        [&](int k, Complex x) { power[k * kWarp] = x.re * x.re + x.im * x.im; });
    float* const out = energies.values + static_cast<int64_t>(job) * tables.lfcc.n_filter * kWarp + place.lane;
    float loudest;
    switch (tables.lfcc.taps) {
      case 2:
        loudest = LogEnergies<2>(place, tables, power, out);
        break;
      case 3:
        loudest = LogEnergies<3>(place, tables, power, out);
        break;
      case 4:
        loudest = LogEnergies<4>(place, tables, power, out);
        break;
      default:
        loudest = LogEnergies<0>(place, tables, power, out);
    }
    int32_t bits = frame + place.lane < energies.frames ? OrderedBits(loudest) : OrderedBits(-3e38f);
    bits = __reduce_max_sync(~0u, bits);
    if (place.lane == 0) atomicMax(energies.loudest + mix, bits);
    __syncthreads();
  }
}

// Cepstral coefficients, (mixes, n_lfcc, frames), from logarithmic energies. kFilters is n_filter where the compiler is
// to know it, otherwise 0.
template <int kFilters, bool kShared>
__global__ void __launch_bounds__(kMaxWarps* kWarp, 2)
    CosineKernel(DeviceTables tables, Energies energies, float* features) {
  const Place place = ThisPlace();
  const Points data(reinterpret_cast<float2*>(BlockMemory<kShared>(energies)) + place.lane);
  const int n_filter = kFilters != 0 ? kFilters : tables.lfcc.n_filter;
  const int n_lfcc = tables.lfcc.n_lfcc;
  for (unsigned job = blockIdx.x; job < energies.mixes * energies.tiles; job += gridDim.x) {
    const int mix = static_cast<int>(job) / energies.tiles;
    const int frame = (static_cast<int>(job) - mix * energies.tiles) * kWarp + place.lane;
    const int32_t loudest = __ldg(energies.loudest + mix);
    const float floor = tables.lfcc.log_lf ? -3e38f : OrderedFloat(loudest) - tables.lfcc.range;
    const float spoilt = loudest == kSpoilt ? __int_as_float(kSpoilt) : 0.0f;
    const float* const values = energies.values + static_cast<int64_t>(job) * n_filter * kWarp + place.lane;
    float* const out = features + (energies.first_mix + mix) * n_lfcc * energies.frames + frame;
    const auto store = [&](int k, float value) {
      if (k < n_lfcc && frame < energies.frames) out[static_cast<int64_t>(k) * energies.frames] = value + spoilt;
    };
    RealTransform<kFilters>(place, tables.lfcc.dct, FlooredEnergies{tables.lfcc.dct_place, values, floor}, data,
                            [&](int k, Complex x) {
                              const Complex turn = Read(tables.lfcc.dct_turns + k);
                              store(k, x.re * turn.re - x.im * turn.im);
                              if (2 * k != n_filter) store(n_filter - k, -(x.re * turn.im + x.im * turn.re));
                            });
  }
}

}  // namespace
}  // namespace srctrace

#endif  // SRCTRACE_CSRC_DEVICE_LFCC_CUH_
