// Tables for Fourier transforms of any length; kernel.inc has the transforms.

#ifndef SRCTRACE_CSRC_FFT_H_
#define SRCTRACE_CSRC_FFT_H_

#include <cstdint>
#include <vector>

#include "tables.h"

namespace srctrace {

// X[k] = sum over j < size of x[j] exp(-2 pi i j k / size).
//
// Sizes whose prime factors are 2, 3 and 5 go through passes of radix 8, 4, 2, 3 and 5, every other size through
// Bluestein's convolution with a transform of such a size. See C. Van Loan, Computational Frameworks for the Fast
// Fourier Transform (SIAM, 1992), sections 1.9 and 4.2.3.
class Fft {
 public:
  explicit Fft(int size);

  // Valid as long as this object is where it is.
  FftTables tables() const;

 private:
  int size_;
  int length_;
  std::vector<FftPass> passes_;
  std::vector<std::vector<Complex>> twiddles_;  // of each pass
  std::vector<int32_t> order_;
  std::vector<Complex> chirp_, spectrum_;
};

// The transform of real values.
class RealFft {
 public:
  explicit RealFft(int size);

  RealFftTables tables() const;

 private:
  int size_;
  Fft fft_;  // of half the size, on pairs, if the size is even
  std::vector<Complex> twiddles_;
};

// The least size at least `size` whose prime factors are 2, 3 and 5.
int SmoothSize(int size);

}  // namespace srctrace

#endif  // SRCTRACE_CSRC_FFT_H_
