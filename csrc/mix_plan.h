// Which noise, where, how loud: what is drawn before anything is computed. Views of arrays that the caller keeps.

#ifndef SRCTRACE_CSRC_MIX_PLAN_H_
#define SRCTRACE_CSRC_MIX_PLAN_H_

#include <cstdint>

namespace srctrace {

// Noise, music, speech and impulse responses. Record r is samples[starts[r]], ..., samples[starts[r + 1] - 1].
struct Bank {
  const int16_t* samples;
  const int64_t* starts;  // records + 1
  int64_t records;
};

enum MixKind : uint8_t {
  kClean = 0,
  kAdd = 1,     // the sum of parts that are equally loud, at an SNR
  kReverb = 2,  // convolved with the one part, an impulse response, at unit energy
};

// `variants` mixes of each utterance; mix m is of utterance m / variants, and its parts are firsts[m], ...,
// firsts[m + 1] - 1.
struct MixPlan {
  int64_t mixes;
  int64_t variants;
  const uint8_t* kinds;   // mixes
  const int64_t* firsts;  // mixes + 1
  const double* snrs;     // mixes: dB, of kAdd
  int64_t parts;
  const int64_t* records;  // parts: of the bank
  const int64_t* offsets;  // parts, of kAdd: where in the record it starts; it goes round at the record's end
};

// Throws std::invalid_argument for a record that is empty or not within the `samples` there are.
void CheckBank(const Bank& bank, int64_t samples);

// Throws std::invalid_argument, which says what is wrong, for a plan that is not one, or not for this bank.
void CheckPlan(const MixPlan& plan, const Bank& bank);

}  // namespace srctrace

#endif  // SRCTRACE_CSRC_MIX_PLAN_H_
