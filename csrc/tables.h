// What the kernels read: plain pointers and numbers, so that code built for a newer instruction set instantiates
// nothing of the standard library that older processors might end up running.

#ifndef SRCTRACE_CSRC_TABLES_H_
#define SRCTRACE_CSRC_TABLES_H_

#include <cstdint>

namespace srctrace {

template <typename V>
struct ComplexOf {
  V re;
  V im;
};
using Complex = ComplexOf<float>;

// One pass of a transform in place: `length` values at a time are split into `radix` transforms a radix-th as long.
struct FftPass {
  int32_t radix;
  int32_t length;
  const Complex* twiddles;  // (length / radix, radix - 1): exp(-2 pi i n q / length) for q = 1, ..., radix - 1
};

// A transform of `size` values. Forward passes leave frequency k at position order[k].
struct FftTables {
  int32_t size;
  int32_t length;  // of the buffer; more than `size` for Bluestein's algorithm
  int32_t n_passes;
  const FftPass* passes;
  const int32_t* order;  // size
  // For Bluestein's algorithm, otherwise null.
  const Complex* chirp;     // size
  const Complex* spectrum;  // length, in the order of the forward passes
};

// A transform of `size` real values by way of a complex one: of half the size, on pairs, if the size is even.
struct RealFftTables {
  int32_t size;
  bool packed;
  FftTables fft;
  const Complex* twiddles;  // size / 2 + 1 where packed
};

// A cyclic convolution of `size` complex values. Lane l of vector m holds value m * lanes + l. The transform is one of
// the vectors, lane by lane, then one across the lanes; the spectrum stays in the order that this leaves.
struct ConvolutionTables {
  int32_t size;           // a multiple of the square of the lanes
  FftTables fft;          // of size / lanes
  const float* twiddles;  // (size / lanes, 2, lanes): at position order[k], exp(-2 pi i k l / size), real parts first
};

struct LfccTables {
  int32_t hop_length;
  int32_t first_sample;  // of a frame that the window does not zero
  // Samples are transposed, so that neighbouring lanes hold neighbouring frames: (rows, stride) values, of which
  // `columns` are used. Sample i of a frame is at place[i], times window[i].
  int32_t rows;
  int32_t columns;
  int32_t stride;
  const int32_t* place;       // n_fft
  const float* window;        // n_fft, halved: the transform below leaves out a factor of one half
  const float* window_int16;  // the same for samples in units of 1 / 32768
  RealFftTables fft;
  int32_t bins;
  // Filter m is the sum over t < taps of weights[m * taps + t] * power[first_bin[m] + t].
  int32_t n_filter;
  int32_t taps;
  const int32_t* first_bin;
  const float* weights;
  bool log_lf;
  float range;  // without log_lf: how far below the largest logarithm, to the base of 2, the floor is
  // The cosine transform by way of a real one (J. Makhoul, A fast cosine transform in one and two dimensions, 1980).
  int32_t n_lfcc;
  RealFftTables dct;
  const int32_t* dct_place;  // n_filter: which energy is the n-th value of the transform
  const Complex*
      dct_turns;  // n_filter / 2 + 1: exp(-pi i k / (2 n_filter)), scaled; also from base 2 to the unit of LFCCs
};

}  // namespace srctrace

#endif  // SRCTRACE_CSRC_TABLES_H_
