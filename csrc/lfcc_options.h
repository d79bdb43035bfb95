// What there is to choose about LFCCs.

#ifndef SRCTRACE_CSRC_LFCC_OPTIONS_H_
#define SRCTRACE_CSRC_LFCC_OPTIONS_H_

#include <cstdint>
#include <optional>
#include <string>

namespace srctrace {

struct LfccOptions {
  int sample_rate = 16000;      // Hz
  int n_fft = 320;              // samples in a frame
  int win_length = 320;         // samples of the periodic Hann window, centred in the frame; up to n_fft
  int hop_length = 160;         // samples between frames
  bool center = false;          // reflect n_fft / 2 samples at both ends, so that frames are centred on their times
  int n_filter = 128;           // triangular filters, evenly spaced
  int n_lfcc = 80;              // coefficients kept, up to n_filter
  double f_min = 0.0;           // Hz, where the first filter begins
  std::optional<double> f_max;  // Hz, where the last filter ends; half the sample rate if there is none
  bool log_lf = false;          // ln(x + 1e-6) in place of 10 log10(max(x, 1e-10)) with the floor

  // Throws std::invalid_argument, which says which option is wrong, what it is and what it may be.
  void Check() const;

  // Frames of an utterance. Throws std::invalid_argument if it is too short for one, or for its reflection.
  int64_t Frames(int64_t samples) const;

  // With center: what is reflected at either end.
  int Padding() const { return center ? n_fft / 2 : 0; }

  // As LfccOptions(sample_rate=16000, ..., log_lf=false).
  std::string ToString() const;

  bool operator==(const LfccOptions& other) const;
};

}  // namespace srctrace

#endif  // SRCTRACE_CSRC_LFCC_OPTIONS_H_
