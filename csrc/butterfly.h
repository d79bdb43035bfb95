// Complex arithmetic and the transforms of a few values, on any kind of vector that has the operations of a number.
//
// Everything is in an unnamed namespace: each file that includes this is built for its own instruction set, and none
// must end up running another's.

#ifndef SRCTRACE_CSRC_BUTTERFLY_H_
#define SRCTRACE_CSRC_BUTTERFLY_H_

#include "tables.h"

#ifdef __CUDACC__
#define SRCTRACE_INLINE __device__ __forceinline__
#else
#define SRCTRACE_INLINE inline __attribute__((always_inline))
#endif

namespace srctrace {
namespace {

template <typename V>
SRCTRACE_INLINE ComplexOf<V> operator+(ComplexOf<V> a, ComplexOf<V> b) {
  return {a.re + b.re, a.im + b.im};
}
template <typename V>
SRCTRACE_INLINE ComplexOf<V> operator-(ComplexOf<V> a, ComplexOf<V> b) {
  return {a.re - b.re, a.im - b.im};
}
template <typename V>
SRCTRACE_INLINE ComplexOf<V> operator*(float a, ComplexOf<V> b) {
  return {a * b.re, a * b.im};
}
template <typename V>
SRCTRACE_INLINE ComplexOf<V> TimesMinusI(ComplexOf<V> a) {
  return {a.im, -a.re};
}
template <typename V>
SRCTRACE_INLINE ComplexOf<V> Swap(ComplexOf<V> a) {
  return {a.im, a.re};
}
// The factor is one complex number for all lanes, or one for each.
template <typename V, typename W>
SRCTRACE_INLINE ComplexOf<V> Times(ComplexOf<V> a, const ComplexOf<W>& b) {
  return {a.re * b.re - a.im * b.im, a.re * b.im + a.im * b.re};
}

// Butterfly(Radix<r>(), x) transforms x[0], ..., x[r - 1] in place.
template <int kRadix>
struct Radix {};

template <typename V>
SRCTRACE_INLINE void Butterfly(Radix<1>, ComplexOf<V>*) {}

template <typename V>
SRCTRACE_INLINE void Butterfly(Radix<2>, ComplexOf<V>* x) {
  const ComplexOf<V> a = x[0];
  x[0] = a + x[1];
  x[1] = a - x[1];
}

template <typename V>
SRCTRACE_INLINE void Butterfly(Radix<3>, ComplexOf<V>* x) {
  constexpr float kSin = 0.866025403784438647f;  // of 2 pi / 3
  const ComplexOf<V> sum = x[1] + x[2];
  const ComplexOf<V> turn = TimesMinusI(kSin * (x[1] - x[2]));
  const ComplexOf<V> rest = x[0] - 0.5f * sum;
  x[0] = x[0] + sum;
  x[1] = rest + turn;
  x[2] = rest - turn;
}

template <typename V>
SRCTRACE_INLINE void Butterfly(Radix<4>, ComplexOf<V>* x) {
  const ComplexOf<V> a = x[0] + x[2];
  const ComplexOf<V> b = x[0] - x[2];
  const ComplexOf<V> c = x[1] + x[3];
  const ComplexOf<V> d = TimesMinusI(x[1] - x[3]);
  x[0] = a + c;
  x[1] = b + d;
  x[2] = a - c;
  x[3] = b - d;
}

template <typename V>
SRCTRACE_INLINE void Butterfly(Radix<5>, ComplexOf<V>* x) {
  constexpr float kCos1 = 0.309016994374947424f;   // of 2 pi / 5
  constexpr float kCos2 = -0.809016994374947424f;  // of 4 pi / 5
  constexpr float kSin1 = 0.951056516295153572f;
  constexpr float kSin2 = 0.587785252292473129f;
  const ComplexOf<V> sum1 = x[1] + x[4];
  const ComplexOf<V> sum2 = x[2] + x[3];
  const ComplexOf<V> difference1 = x[1] - x[4];
  const ComplexOf<V> difference2 = x[2] - x[3];
  const ComplexOf<V> rest1 = x[0] + kCos1 * sum1 + kCos2 * sum2;
  const ComplexOf<V> rest2 = x[0] + kCos2 * sum1 + kCos1 * sum2;
  const ComplexOf<V> turn1 = TimesMinusI(kSin1 * difference1 + kSin2 * difference2);
  const ComplexOf<V> turn2 = TimesMinusI(kSin2 * difference1 - kSin1 * difference2);
  x[0] = x[0] + sum1 + sum2;
  x[1] = rest1 + turn1;
  x[2] = rest2 + turn2;
  x[3] = rest2 - turn2;
  x[4] = rest1 - turn1;
}

template <typename V>
SRCTRACE_INLINE void Butterfly(Radix<8>, ComplexOf<V>* x) {
  constexpr float kHalfRoot = 0.707106781186547524f;
  ComplexOf<V> even[4] = {x[0] + x[4], x[1] + x[5], x[2] + x[6], x[3] + x[7]};
  const ComplexOf<V> a = x[1] - x[5], b = x[2] - x[6], c = x[3] - x[7];
  ComplexOf<V> odd[4] = {x[0] - x[4],
                         {kHalfRoot * (a.re + a.im), kHalfRoot * (a.im - a.re)},
                         TimesMinusI(b),
                         {kHalfRoot * (c.im - c.re), -kHalfRoot * (c.re + c.im)}};
  Butterfly(Radix<4>(), even);
  Butterfly(Radix<4>(), odd);
  for (int j = 0; j < 4; ++j) {
    x[2 * j] = even[j];
    x[2 * j + 1] = odd[j];
  }
}

template <typename V>
SRCTRACE_INLINE void Butterfly(Radix<16>, ComplexOf<V>* x) {
  constexpr float kCos1 = 0.923879532511286756f;  // of pi / 8
  constexpr float kSin1 = 0.382683432365089772f;
  constexpr float kHalfRoot = 0.707106781186547524f;
  constexpr Complex kTurns[4][4] = {
      {{1, 0}, {1, 0}, {1, 0}, {1, 0}},
      {{1, 0}, {kCos1, -kSin1}, {kHalfRoot, -kHalfRoot}, {kSin1, -kCos1}},
      {{1, 0}, {kHalfRoot, -kHalfRoot}, {0, -1}, {-kHalfRoot, -kHalfRoot}},
      {{1, 0}, {kSin1, -kCos1}, {-kHalfRoot, -kHalfRoot}, {-kCos1, kSin1}},
  };
  ComplexOf<V> y[4][4];
#pragma GCC unroll 4
  for (int b = 0; b < 4; ++b) {
    ComplexOf<V> column[4] = {x[b], x[4 + b], x[8 + b], x[12 + b]};
    Butterfly(Radix<4>(), column);
#pragma GCC unroll 4
    for (int q = 0; q < 4; ++q) y[q][b] = b == 0 || q == 0 ? column[q] : Times(column[q], kTurns[b][q]);
  }
#pragma GCC unroll 4
  for (int q = 0; q < 4; ++q) {
    Butterfly(Radix<4>(), y[q]);
#pragma GCC unroll 4
    for (int p = 0; p < 4; ++p) x[q + 4 * p] = y[q][p];
  }
}

}  // namespace
}  // namespace srctrace

#endif  // SRCTRACE_CSRC_BUTTERFLY_H_
