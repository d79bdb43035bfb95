#include "fft.h"

#include <algorithm>
#include <cmath>
#include <complex>
#include <cstdint>
#include <utility>

namespace srctrace {
namespace {

constexpr double kPi = 3.14159265358979323846;

ComplexVec operator+(ComplexVec a, ComplexVec b) { return {a.re + b.re, a.im + b.im}; }
ComplexVec operator-(ComplexVec a, ComplexVec b) { return {a.re - b.re, a.im - b.im}; }
ComplexVec operator*(float a, ComplexVec b) { return {a * b.re, a * b.im}; }
ComplexVec Conjugate(ComplexVec a) { return {a.re, -a.im}; }
ComplexVec TimesMinusI(ComplexVec a) { return {a.im, -a.re}; }

// `Factor` is one complex number for all lanes, or one for each.
template <typename Factor>
ComplexVec Times(ComplexVec a, const Factor& b) {
  return {a.re * b.re - a.im * b.im, a.re * b.im + a.im * b.re};
}

// exp(-2 pi i numerator / denominator); the numerator is reduced first, so that large ones lose no digits.
std::complex<double> Root(int64_t numerator, int64_t denominator) {
  return std::polar(1.0, -2 * kPi * static_cast<double>(numerator % denominator) / static_cast<double>(denominator));
}

// In place, the transform of length kRadix.
template <int kRadix>
void Butterfly(ComplexVec* x);

template <>
inline void Butterfly<2>(ComplexVec* x) {
  const ComplexVec a = x[0];
  x[0] = a + x[1];
  x[1] = a - x[1];
}

template <>
inline void Butterfly<3>(ComplexVec* x) {
  constexpr float kSin = 0.866025403784438647f;  // of 2 pi / 3
  const ComplexVec sum = x[1] + x[2];
  const ComplexVec turn = TimesMinusI(kSin * (x[1] - x[2]));
  const ComplexVec rest = x[0] - 0.5f * sum;
  x[0] = x[0] + sum;
  x[1] = rest + turn;
  x[2] = rest - turn;
}

template <>
inline void Butterfly<4>(ComplexVec* x) {
  const ComplexVec a = x[0] + x[2];
  const ComplexVec b = x[0] - x[2];
  const ComplexVec c = x[1] + x[3];
  const ComplexVec d = TimesMinusI(x[1] - x[3]);
  x[0] = a + c;
  x[1] = b + d;
  x[2] = a - c;
  x[3] = b - d;
}

template <>
inline void Butterfly<5>(ComplexVec* x) {
  constexpr float kCos1 = 0.309016994374947424f;   // of 2 pi / 5
  constexpr float kCos2 = -0.809016994374947424f;  // of 4 pi / 5
  constexpr float kSin1 = 0.951056516295153572f;
  constexpr float kSin2 = 0.587785252292473129f;
  const ComplexVec sum1 = x[1] + x[4];
  const ComplexVec sum2 = x[2] + x[3];
  const ComplexVec difference1 = x[1] - x[4];
  const ComplexVec difference2 = x[2] - x[3];
  const ComplexVec rest1 = x[0] + kCos1 * sum1 + kCos2 * sum2;
  const ComplexVec rest2 = x[0] + kCos2 * sum1 + kCos1 * sum2;
  const ComplexVec turn1 = TimesMinusI(kSin1 * difference1 + kSin2 * difference2);
  const ComplexVec turn2 = TimesMinusI(kSin2 * difference1 - kSin1 * difference2);
  x[0] = x[0] + sum1 + sum2;
  x[1] = rest1 + turn1;
  x[2] = rest2 + turn2;
  x[3] = rest2 - turn2;
  x[4] = rest1 - turn1;
}

// The radices of the passes, empty if the size has a prime factor over 5.
std::vector<int> Radices(int size) {
  std::vector<int> radices;
  for (int radix : {4, 2, 3, 5}) {
    for (; size % radix == 0; size /= radix) radices.push_back(radix);
  }
  return size == 1 ? radices : std::vector<int>();
}

bool IsSmooth(int size) { return size == 1 || !Radices(size).empty(); }

}  // namespace

// With j k = (j^2 + k^2 - (k - j)^2) / 2 the transform is a convolution with the chirp c[j] = exp(-pi i j^2 / size):
// X[k] = c[k] sum over j of (x[j] c[j]) conj(c[k - j]). `fft` is long enough for it not to wrap.
struct Fft::Bluestein {
  explicit Bluestein(int size);

  Fft fft;
  std::vector<Complex> chirp;     // size
  std::vector<Complex> spectrum;  // of the chirp's conjugate, over the length of `fft`
};

Fft::Bluestein::Bluestein(int size)
    : fft([size] {
        int length = 2 * size - 1;
        while (!IsSmooth(length)) ++length;
        return length;
      }()) {
  for (int64_t j = 0; j < size; ++j) {
    const std::complex<double> root = Root(j * j, 2 * int64_t{size});
    chirp.push_back({static_cast<float>(root.real()), static_cast<float>(root.imag())});
  }
  const int length = fft.size();
  std::vector<ComplexVec> data(length), scratch(length);
  for (int j = 0; j < size; ++j) {
    const ComplexVec value = {Vec{} + chirp[j].re, Vec{} - chirp[j].im};
    data[j] = value;
    data[(length - j) % length] = value;
  }
  const ComplexVec* transformed = fft.Transform(data.data(), scratch.data());
  const float scale = 1.0f / static_cast<float>(length);
  for (int j = 0; j < length; ++j) spectrum.push_back({scale * transformed[j].re[0], scale * transformed[j].im[0]});
}

Fft::Fft(int size) : size_(size) {
  if (!IsSmooth(size)) {
    bluestein_ = std::make_shared<Bluestein>(size);
    return;
  }
  int span = 1;
  for (int radix : Radices(size)) {
    Pass pass{radix, span, size / (radix * span), {}};
    for (int64_t group = 0; group < pass.groups; ++group) {
      for (int j = 1; j < radix; ++j) {
        const std::complex<double> root = Root(group * j * span, size);
        pass.twiddles.push_back({static_cast<float>(root.real()), static_cast<float>(root.imag())});
      }
    }
    span *= radix;
    passes_.push_back(std::move(pass));
  }
}

int Fft::buffer_size() const { return bluestein_ ? bluestein_->fft.size() : size_; }

template <int kRadix>
void Fft::RunPass(const Pass& pass, const ComplexVec* in, ComplexVec* out) {
  const int span = pass.span;
  const int stride = span * pass.groups;
  const Complex* twiddle = pass.twiddles.data();
  for (int group = 0; group < pass.groups; ++group, twiddle += kRadix - 1) {
    for (int i = 0; i < span; ++i) {
      ComplexVec x[kRadix];
      for (int j = 0; j < kRadix; ++j) x[j] = in[j * stride + i];
      Butterfly<kRadix>(x);
      out[i] = x[0];
      for (int j = 1; j < kRadix; ++j) out[j * span + i] = Times(x[j], twiddle[j - 1]);
    }
    in += span;
    out += kRadix * span;
  }
}

ComplexVec* Fft::Transform(ComplexVec* data, ComplexVec* scratch) const {
  if (bluestein_) {
    const int length = bluestein_->fft.size();
    const std::vector<Complex>& chirp = bluestein_->chirp;
    const std::vector<Complex>& spectrum = bluestein_->spectrum;
    for (int j = 0; j < size_; ++j) data[j] = Times(data[j], chirp[j]);
    std::fill(data + size_, data + length, ComplexVec{});
    ComplexVec* product = bluestein_->fft.Transform(data, scratch);
    // The inverse transform is the conjugate of the transform of the conjugate.
    for (int j = 0; j < length; ++j) product[j] = Conjugate(Times(product[j], spectrum[j]));
    ComplexVec* convolved = bluestein_->fft.Transform(product, product == data ? scratch : data);
    for (int k = 0; k < size_; ++k) convolved[k] = Times(Conjugate(convolved[k]), chirp[k]);
    return convolved;
  }
  for (const Pass& pass : passes_) {
    switch (pass.radix) {
      case 2:
        RunPass<2>(pass, data, scratch);
        break;
      case 3:
        RunPass<3>(pass, data, scratch);
        break;
      case 4:
        RunPass<4>(pass, data, scratch);
        break;
      default:
        RunPass<5>(pass, data, scratch);
    }
    std::swap(data, scratch);
  }
  return data;
}

RealFft::RealFft(int size) : size_(size), fft_(size % 2 == 0 ? size / 2 : size) {
  if (size % 2 != 0) return;
  for (int k = 0; k <= size / 4; ++k) {
    const std::complex<double> root = Root(k, size);
    twiddles_.push_back({Vec{} + static_cast<float>(root.real()), Vec{} + static_cast<float>(root.imag())});
  }
}

void RealFft::Transform(const Vec* signal, ComplexVec* buffer, ComplexVec* scratch, ComplexVec* spectrum) const {
  if (size_ % 2 != 0) {
    for (int j = 0; j < size_; ++j) buffer[j] = {signal[j], Vec{}};
    const ComplexVec* transformed = fft_.Transform(buffer, scratch);
    std::copy(transformed, transformed + bins(), spectrum);
    return;
  }
  const int half = size_ / 2;
  for (int j = 0; j < half; ++j) buffer[j] = {signal[2 * j], signal[2 * j + 1]};
  const ComplexVec* pairs = fft_.Transform(buffer, scratch);
  // The transforms of the even and of the odd samples are the two Hermitian parts of that of the pairs.
  for (int k = 0; k <= half / 2; ++k) {
    const ComplexVec a = pairs[k];
    const ComplexVec b = Conjugate(pairs[k == 0 ? 0 : half - k]);
    const ComplexVec even = 0.5f * (a + b);
    const ComplexVec odd = Times(TimesMinusI(0.5f * (a - b)), twiddles_[k]);
    spectrum[k] = even + odd;
    spectrum[half - k] = Conjugate(even - odd);
  }
}

}  // namespace srctrace
