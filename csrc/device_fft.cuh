// The transforms of fft.inc for a block of threads: the 32 lanes of a warp hold 32 transforms side by side, and the
// warps share the butterflies of a pass. Value i of lane l is at [i * 32 + l], so that no two lanes meet in a bank.

#ifndef SRCTRACE_CSRC_DEVICE_FFT_CUH_
#define SRCTRACE_CSRC_DEVICE_FFT_CUH_

#include <cuda_runtime.h>

#include <cstdint>

#include "butterfly.h"
#include "tables.h"

namespace srctrace {

// A block's shared memory, as much as its launch asks for.
extern __shared__ float4 shared_memory[];

namespace {

constexpr int kWarp = 32;

// A thread's place in its block.
struct Place {
  int lane;
  int warp;
  int warps;
};

SRCTRACE_INLINE Place ThisPlace() {
  return {static_cast<int>(threadIdx.x % kWarp), static_cast<int>(threadIdx.x / kWarp),
          static_cast<int>(blockDim.x / kWarp)};
}

SRCTRACE_INLINE Complex Read(const Complex* table) {
  const float2 x = __ldg(reinterpret_cast<const float2*>(table));
  return {x.x, x.y};
}

// A lane's values, which take 8 bytes at a time.
class Points {
 public:
  SRCTRACE_INLINE explicit Points(float2* start) : start_(start) {}

  SRCTRACE_INLINE Complex Get(int i) const {
    const float2 x = start_[i * kWarp];
    return {x.x, x.y};
  }
  SRCTRACE_INLINE void Set(int i, Complex x) const { start_[i * kWarp] = {x.re, x.im}; }

 private:
  float2* start_;
};

// The radix that the Fft of a smooth size takes first.
__host__ __device__ constexpr int FirstRadix(int size) {
  return size % 8 == 0 ? 8 : size % 4 == 0 ? 4 : size % 2 == 0 ? 2 : size % 3 == 0 ? 3 : size % 5 == 0 ? 5 : 1;
}

// A forward pass of transforms of `length` values, `total` in all. `get(i)` gives value i, so that the first pass can
// take it from elsewhere.
template <int kRadix, typename Get>
SRCTRACE_INLINE void ForwardPass(const Place& place, const Complex* twiddles, int length, int total, const Get& get,
                                 Points data) {
  const int step = length / kRadix;
  const int butterflies = total / kRadix;
  for (int b = place.warp; b < butterflies; b += place.warps) {
    const int n = b % step;
    const int first = (b - n) * kRadix + n;
    Complex x[kRadix];
#pragma unroll
    for (int j = 0; j < kRadix; ++j) x[j] = get(first + j * step);
    Butterfly(Radix<kRadix>(), x);
    data.Set(first, x[0]);
#pragma unroll
    for (int j = 1; j < kRadix; ++j) {
      data.Set(first + j * step, Times(x[j], Read(twiddles + n * (kRadix - 1) + j - 1)));
    }
  }
  __syncthreads();
}

// Undoes a forward pass, but for a factor of kRadix.
template <int kRadix>
SRCTRACE_INLINE void InversePass(const Place& place, const Complex* twiddles, int length, int total, Points data) {
  const int step = length / kRadix;
  const int butterflies = total / kRadix;
  for (int b = place.warp; b < butterflies; b += place.warps) {
    const int n = b % step;
    const int first = (b - n) * kRadix + n;
    Complex x[kRadix];
    x[0] = Swap(data.Get(first));
#pragma unroll
    for (int j = 1; j < kRadix; ++j) {
      x[j] = Times(Swap(data.Get(first + j * step)), Read(twiddles + n * (kRadix - 1) + j - 1));
    }
    Butterfly(Radix<kRadix>(), x);
#pragma unroll
    for (int j = 0; j < kRadix; ++j) data.Set(first + j * step, Swap(x[j]));
  }
  __syncthreads();
}

// Calls use(Radix<r>()) for a radix that is known only now.
template <typename Use>
SRCTRACE_INLINE void WithRadix(int radix, const Use& use) {
  switch (radix) {
    case 2:
      return use(Radix<2>());
    case 3:
      return use(Radix<3>());
    case 4:
      return use(Radix<4>());
    case 5:
      return use(Radix<5>());
    default:
      return use(Radix<8>());
  }
}

template <int kRadix, typename Get>
SRCTRACE_INLINE void ForwardPass(Radix<kRadix>, const Place& place, const FftPass& pass, int total, const Get& get,
                                 Points data) {
  ForwardPass<kRadix>(place, pass.twiddles, pass.length, total, get, data);
}

template <int kRadix>
SRCTRACE_INLINE void InversePass(Radix<kRadix>, const Place& place, const FftPass& pass, int total, Points data) {
  InversePass<kRadix>(place, pass.twiddles, pass.length, total, data);
}

// The first `passes` passes; the very first takes its values from `get`.
template <typename Get>
SRCTRACE_INLINE void Forward(const Place& place, const FftTables& fft, int passes, const Get& get, Points data) {
  if (fft.n_passes == 0) {
    if (place.warp == 0) data.Set(0, get(0));
    __syncthreads();
  }
  for (int p = 0; p < passes; ++p) {
    const FftPass pass = fft.passes[p];
    if (p == 0) {
      WithRadix(pass.radix, [&](auto radix) { ForwardPass(radix, place, pass, fft.length, get, data); });
    } else {
      const auto in_place = [&](int i) { return data.Get(i); };
      WithRadix(pass.radix, [&](auto radix) { ForwardPass(radix, place, pass, fft.length, in_place, data); });
    }
  }
}

// All passes but the last of a transform whose size the compiler knows; kLength values at a time are still to be split.
template <int kTotal, int kLength, typename Get>
SRCTRACE_INLINE void ForwardButLast(const Place& place, const FftPass* pass, const Get& get, Points data) {
  constexpr int kRadix = FirstRadix(kLength);
  if constexpr (kRadix < kLength) {
    ForwardPass<kRadix>(place, pass->twiddles, kLength, kTotal, get, data);
    ForwardButLast<kTotal, kLength / kRadix>(place, pass + 1, [&](int i) { return data.Get(i); }, data);
  }
}

template <int kLength>
__host__ __device__ constexpr int LastRadix() {
  constexpr int kRadix = FirstRadix(kLength);
  if constexpr (kRadix < kLength) {
    return LastRadix<kLength / kRadix>();
  } else {
    return kRadix;
  }
}

// The transform of the `size` values that `get` gives; frequency k goes to order[k].
template <typename Get>
SRCTRACE_INLINE void Transform(const Place& place, const FftTables& fft, const Get& get, Points data) {
  if (fft.chirp == nullptr) return Forward(place, fft, fft.n_passes, get, data);
  const auto chirped = [&](int i) { return i < fft.size ? Times(get(i), Read(fft.chirp + i)) : Complex{}; };
  Forward(place, fft, fft.n_passes, chirped, data);
  for (int j = place.warp; j < fft.length; j += place.warps) {
    data.Set(j, Times(data.Get(j), Read(fft.spectrum + j)));
  }
  __syncthreads();
  for (int p = fft.n_passes - 1; p >= 0; --p) {
    const FftPass pass = fft.passes[p];
    WithRadix(pass.radix, [&](auto radix) { InversePass(radix, place, pass, fft.length, data); });
  }
  for (int k = place.warp; k < fft.size; k += place.warps) data.Set(k, Times(data.Get(k), Read(fft.chirp + k)));
  __syncthreads();
}

// The last pass of a real transform of 2 * half values, and what makes two spectra of one: see LastPass in fft.inc.
template <int kRadix, typename Use>
SRCTRACE_INLINE void LastPass(const Place& place, const RealFftTables& real, int half, Points data, const Use& use) {
  const int step = half / kRadix;
  const auto run = [&](int block, Complex* z) {
    const int start = __ldg(real.fft.order + block);
#pragma unroll
    for (int j = 0; j < kRadix; ++j) z[j] = data.Get(start + j);
    Butterfly(Radix<kRadix>(), z);
  };
  const auto both = [&](int k, Complex a, Complex b) {
    const Complex even = {a.re + b.re, a.im - b.im};
    const Complex odd = Times(Complex{a.im + b.im, b.re - a.re}, Read(real.twiddles + k));
    use(k, even + odd);
    use(half - k, Complex{even.re - odd.re, odd.im - even.im});
  };
  const auto once = [&](int k, Complex a, Complex b) {
    if (half - k != k) return both(k, a, b);
    const Complex odd = Times(Complex{a.im + b.im, b.re - a.re}, Read(real.twiddles + k));
    use(k, Complex{a.re + b.re, a.im - b.im} + odd);
  };
  for (int block = place.warp; 2 * block <= step; block += place.warps) {
    Complex x[kRadix];
    run(block, x);
    if (block == 0) {
      use(0, Complex{2.0f * (x[0].re + x[0].im), 0.0f});
      use(half, Complex{2.0f * (x[0].re - x[0].im), 0.0f});
#pragma unroll
      for (int j = 1; j <= kRadix / 2; ++j) once(j * step, x[j], x[kRadix - j]);
    } else if (2 * block == step) {
#pragma unroll
      for (int j = 0; j < (kRadix + 1) / 2; ++j) once(block + j * step, x[j], x[kRadix - 1 - j]);
    } else {
      Complex y[kRadix];
      run(step - block, y);
#pragma unroll
      for (int j = 0; j < kRadix; ++j) both(block + j * step, x[j], y[kRadix - 1 - j]);
    }
  }
  __syncthreads();
}

template <int kRadix, typename Use>
SRCTRACE_INLINE void LastPass(Radix<kRadix>, const Place& place, const RealFftTables& real, int half, Points data,
                              const Use& use) {
  LastPass<kRadix>(place, real, half, data, use);
}

// Calls use(k, X[k]) for the first size / 2 + 1 values of twice the transform of `size` real values: source.At(i) is
// one of them, source.Pair(n) two, from 2 n on. All are taken before the first call, and at the return all calls are
// over. kSize is the size where the compiler is to know it, otherwise 0.
template <int kSize, typename Source, typename Use>
SRCTRACE_INLINE void RealTransform(const Place& place, const RealFftTables& real, const Source& source, Points data,
                                   const Use& use) {
  const FftTables& fft = real.fft;
  const auto pair = [&](int n) { return source.Pair(n); };
  if constexpr (kSize != 0) {
    ForwardButLast<kSize / 2, kSize / 2>(place, fft.passes, pair, data);
    LastPass<LastRadix<kSize / 2>()>(place, real, kSize / 2, data, use);
  } else if (!real.packed) {
    Transform(place, fft, [&](int n) { return Complex{source.At(n), 0.0f}; }, data);
    for (int k = place.warp; k <= real.size / 2; k += place.warps) use(k, 2.0f * data.Get(__ldg(fft.order + k)));
    __syncthreads();
  } else if (fft.chirp != nullptr || fft.n_passes < 2) {
    Transform(place, fft, pair, data);
    LastPass<1>(place, real, real.size / 2, data, use);
  } else {
    Forward(place, fft, fft.n_passes - 1, pair, data);
    const int radix = fft.passes[fft.n_passes - 1].radix;
    WithRadix(radix, [&](auto last) { LastPass(last, place, real, real.size / 2, data, use); });
  }
}

}  // namespace
}  // namespace srctrace

#endif  // SRCTRACE_CSRC_DEVICE_FFT_CUH_
