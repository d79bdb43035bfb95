// Reverberation: convolution with an impulse response at unit energy, cut to the utterance's length.

#ifndef SRCTRACE_CSRC_REVERB_H_
#define SRCTRACE_CSRC_REVERB_H_

#include <cstddef>
#include <cstdint>
#include <map>
#include <memory>
#include <mutex>
#include <tuple>

#include "aligned.h"
#include "fft.h"
#include "kernel.h"
#include "mix_plan.h"
#include "scratch.h"
#include "tables.h"

namespace srctrace {

// Tables for cyclic convolutions of one size.
class Convolution {
 public:
  // `size`: a multiple of the square of the lanes.
  Convolution(int size, int lanes);
  Convolution(const Convolution&) = delete;

  const ConvolutionTables& tables() const { return tables_; }  // valid as long as this is there

 private:
  const Fft fft_;
  AlignedArray<float> twiddles_;
  ConvolutionTables tables_;
};

// The spectrum of an impulse response for utterances of one length; empty if the response is silent.
struct ResponseSpectrum {
  std::shared_ptr<const Convolution> convolution;
  Scratch values{0};
};

// Spectra of the impulse responses of a bank: those that were asked for first are kept, as many as a number of bytes
// allows. Responses are drawn at random, each as likely as any other, so that no other choice would be better.
class ResponseSpectra {
 public:
  explicit ResponseSpectra(size_t max_bytes) : max_bytes_(max_bytes) {}

  // Any thread may call this.
  std::shared_ptr<const ResponseSpectrum> Get(const Bank& bank, int64_t record, int64_t samples, const Kernel& kernel);

  size_t bytes() const;

 private:
  std::shared_ptr<const Convolution> GetConvolution(int64_t values, int lanes);

  const size_t max_bytes_;
  mutable std::mutex mutex_;
  size_t bytes_ = 0;
  std::map<std::pair<int64_t, int64_t>, std::shared_ptr<const ResponseSpectrum>> spectra_;  // of record and samples
  std::map<int, std::shared_ptr<const Convolution>> convolutions_;                          // of a size
};

// Reverberates utterances of one length. Each thread has its own.
class Reverberator {
 public:
  Reverberator(const Bank& bank, ResponseSpectra* spectra, int64_t samples, const Kernel& kernel)
      : bank_(bank), spectra_(spectra), samples_(samples), kernel_(kernel) {}

  // `wave` in the room of record `record`, or as it is if that is silent.
  void Run(int64_t record, const float* wave, float* out);

 private:
  const Bank bank_;
  ResponseSpectra* const spectra_;
  const int64_t samples_;
  const Kernel& kernel_;
  Scratch workspace_{0};
};

}  // namespace srctrace

#endif  // SRCTRACE_CSRC_REVERB_H_
