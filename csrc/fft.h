// Fourier transforms of any length, of kLanes signals side by side.
//
// The signals sit in the lanes of short vectors: one operation serves all of them, and no step of a transform ever
// mixes lanes. Hence every radix is as fast as its arithmetic, and a signal's spectrum does not depend on the others.

#ifndef SRCTRACE_CSRC_FFT_H_
#define SRCTRACE_CSRC_FFT_H_

#include <memory>
#include <vector>

namespace srctrace {

constexpr int kLanes = 4;  // what every x86-64 (SSE2) and AArch64 (NEON) processor has
using Vec = float __attribute__((vector_size(kLanes * sizeof(float))));

struct ComplexVec {
  Vec re;
  Vec im;
};

// X[k] = sum over j < size of x[j] exp(-2 pi i j k / size).
//
// Sizes whose prime factors are 2, 3 and 5 go through Stockham's self-sorting passes of radix 4, 2, 3 and 5, every
// other size through Bluestein's convolution with a transform of such a size. See C. Van Loan, Computational
// Frameworks for the Fast Fourier Transform (SIAM, 1992), sections 1.7 and 4.2.3.
class Fft {
 public:
  explicit Fft(int size);

  int size() const { return size_; }

  // What each of the two buffers of Transform must hold.
  int buffer_size() const;

  // Transforms the first size() values of `data`. Both buffers are overwritten; the one returned holds the spectrum.
  ComplexVec* Transform(ComplexVec* data, ComplexVec* scratch) const;

 private:
  struct Complex {
    float re;
    float im;
  };

  // Combines `radix` transforms of length `size / (radix * span)` into ones `radix` times as long.
  struct Pass {
    int radix;
    int span;                       // product of the radices of the passes before
    int groups;                     // size / (radix * span)
    std::vector<Complex> twiddles;  // radix - 1 for each group
  };

  struct Bluestein;

  template <int kRadix>
  static void RunPass(const Pass& pass, const ComplexVec* in, ComplexVec* out);

  int size_;
  std::vector<Pass> passes_;
  std::shared_ptr<const Bluestein> bluestein_;  // null where passes_ do
};

// The first size / 2 + 1 values of the transform of real signals; the others are their conjugates.
class RealFft {
 public:
  explicit RealFft(int size);

  int size() const { return size_; }
  int bins() const { return size_ / 2 + 1; }

  // What each of the two buffers of Transform must hold.
  int buffer_size() const { return fft_.buffer_size(); }

  // Transforms `signal`, size() values, into `spectrum`, bins() values, by way of two buffers.
  void Transform(const Vec* signal, ComplexVec* buffer, ComplexVec* scratch, ComplexVec* spectrum) const;

 private:
  int size_;
  Fft fft_;  // of half the size, on pairs of samples, if the size is even
  std::vector<ComplexVec> twiddles_;
};

}  // namespace srctrace

#endif  // SRCTRACE_CSRC_FFT_H_
