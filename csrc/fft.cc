#include "fft.h"

#include <cmath>
#include <complex>
#include <cstdint>
#include <utility>

namespace srctrace {
namespace {

constexpr double kPi = 3.14159265358979323846;

// exp(-2 pi i numerator / denominator); the numerator is reduced first, so that large ones lose no digits.
std::complex<double> Root(int64_t numerator, int64_t denominator) {
  return std::polar(1.0, -2 * kPi * static_cast<double>(numerator % denominator) / static_cast<double>(denominator));
}

Complex Rounded(std::complex<double> x) { return {static_cast<float>(x.real()), static_cast<float>(x.imag())}; }

// The radices of the passes, empty if the size has a prime factor over 5.
std::vector<int> Radices(int size) {
  std::vector<int> radices;
  for (int radix : {8, 4, 2, 3, 5}) {
    for (; size % radix == 0; size /= radix) radices.push_back(radix);
  }
  return size == 1 ? radices : std::vector<int>();
}

bool IsSmooth(int size) { return size == 1 || !Radices(size).empty(); }

// The transform in double precision, for tables.
void Transform(std::vector<std::complex<double>>* values) {
  const int size = static_cast<int>(values->size());
  if (size == 1) return;
  int radix = 5;
  for (int factor : {2, 3}) {
    if (size % factor == 0) radix = factor;
  }
  const int step = size / radix;
  std::vector<std::vector<std::complex<double>>> parts(radix, std::vector<std::complex<double>>(step));
  for (int i = 0; i < size; ++i) parts[i % radix][i / radix] = (*values)[i];
  for (auto& part : parts) Transform(&part);
  for (int k = 0; k < size; ++k) {
    std::complex<double> sum = 0;
    for (int j = 0; j < radix; ++j) sum += parts[j][k % step] * Root(int64_t{j} * k, size);
    (*values)[k] = sum;
  }
}

}  // namespace

int SmoothSize(int size) {
  while (!IsSmooth(size)) ++size;
  return size;
}

Fft::Fft(int size) : size_(size), length_(IsSmooth(size) ? size : SmoothSize(2 * size - 1)) {
  int length = length_;
  for (const int radix : Radices(length_)) {
    std::vector<Complex> twiddles;
    for (int64_t n = 0; n < length / radix; ++n) {
      for (int q = 1; q < radix; ++q) twiddles.push_back(Rounded(Root(n * q, length)));
    }
    twiddles_.push_back(std::move(twiddles));
    passes_.push_back({radix, length, twiddles_.back().data()});
    length /= radix;
  }
  // The digits of a frequency, least significant first, are those of its position, most significant first.
  std::vector<int32_t> order;
  for (int frequency = 0; frequency < length_; ++frequency) {
    int position = 0, rest = frequency, span = length_;
    for (const FftPass& pass : passes_) {
      span /= pass.radix;
      position += rest % pass.radix * span;
      rest /= pass.radix;
    }
    order.push_back(position);
  }
  if (length_ == size_) {
    order_ = std::move(order);
    return;
  }
  // With j k = (j^2 + k^2 - (k - j)^2) / 2 the transform is a convolution with the chirp c[j] = exp(-pi i j^2 / size):
  // X[k] = c[k] sum over j of (x[j] c[j]) conj(c[k - j]). `length_` is enough for it not to wrap.
  std::vector<std::complex<double>> conjugate(length_);
  for (int64_t j = 0; j < size; ++j) {
    const std::complex<double> root = Root(j * j, 2 * int64_t{size});
    chirp_.push_back(Rounded(root));
    conjugate[j] = std::conj(root);
    conjugate[(length_ - j) % length_] = std::conj(root);
    order_.push_back(static_cast<int32_t>(j));
  }
  Transform(&conjugate);
  spectrum_.resize(length_);
  for (int k = 0; k < length_; ++k) spectrum_[order[k]] = Rounded(conjugate[k] / static_cast<double>(length_));
}

FftTables Fft::tables() const {
  const bool smooth = length_ == size_;
  return {size_,
          length_,
          static_cast<int32_t>(passes_.size()),
          passes_.data(),
          order_.data(),
          smooth ? nullptr : chirp_.data(),
          smooth ? nullptr : spectrum_.data()};
}

RealFft::RealFft(int size) : size_(size), fft_(size % 2 == 0 ? size / 2 : size) {
  if (size % 2 != 0) return;
  for (int k = 0; k <= size / 2; ++k) twiddles_.push_back(Rounded(Root(k, size)));
}

RealFftTables RealFft::tables() const { return {size_, size_ % 2 == 0, fft_.tables(), twiddles_.data()}; }

}  // namespace srctrace
