#include "reverb.h"

#include <algorithm>
#include <cmath>
#include <utility>

#include "refuse.h"

namespace srctrace {
namespace {

constexpr double kPi = 3.14159265358979323846;
constexpr int64_t kMaxValues = int64_t{1} << 29;

// A size of at least `values` that transforms fast and is a multiple of the square of the lanes; few different ones, so
// that there are few tables.
int ConvolutionSize(int64_t values, int lanes) {
  const int64_t unit = int64_t{lanes} * lanes;
  int64_t units = (values + unit - 1) / unit;
  int halvings = 0;
  for (; units > 256; units = (units + 1) / 2) ++halvings;
  return static_cast<int>(unit * SmoothSize(static_cast<int>(units)) << halvings);
}

}  // namespace

Convolution::Convolution(int size, int lanes) : fft_(size / lanes), twiddles_(2 * static_cast<size_t>(size)) {
  tables_ = {size, fft_.tables(), twiddles_.data()};
  for (int64_t k = 0; k < size / lanes; ++k) {
    float* const at = twiddles_.data() + 2 * lanes * int64_t{tables_.fft.order[k]};
    for (int64_t lane = 0; lane < lanes; ++lane) {
      const double angle = -2 * kPi * static_cast<double>(k * lane % size) / size;
      at[lane] = static_cast<float>(std::cos(angle));
      at[lanes + lane] = static_cast<float>(std::sin(angle));
    }
  }
}

std::shared_ptr<const Convolution> ResponseSpectra::GetConvolution(int64_t values, int lanes) {
  if (values > kMaxValues) Refuse("reverberation of ", values, " samples at once: it must be at most ", kMaxValues);
  const int size = ConvolutionSize(values, lanes);
  const std::lock_guard<std::mutex> lock(mutex_);
  std::shared_ptr<const Convolution>& convolution = convolutions_[size];
  if (!convolution) convolution = std::make_shared<const Convolution>(size, lanes);
  return convolution;
}

std::shared_ptr<const ResponseSpectrum> ResponseSpectra::Get(const Bank& bank, int64_t record, int64_t samples,
                                                             const Kernel& kernel) {
  const std::pair<int64_t, int64_t> key(record, samples);
  {
    const std::lock_guard<std::mutex> lock(mutex_);
    const auto found = spectra_.find(key);
    if (found != spectra_.end()) return found->second;
  }
  auto spectrum = std::make_shared<ResponseSpectrum>();
  const int16_t* const response = bank.samples + bank.starts[record];
  const int64_t length = bank.starts[record + 1] - bank.starts[record];
  const auto energy = static_cast<double>(kernel.energy_int16(response, length));
  if (energy > 0) {
    // What comes later than the utterance is long is cut off. Half of the utterance goes into each part of a complex
    // signal: see Kernel::convolve.
    const int64_t taps = std::min(length, samples);
    spectrum->convolution = GetConvolution((samples + 1) / 2 + taps, kernel.lanes);
    const ConvolutionTables& tables = spectrum->convolution->tables();
    const Scratch loaded(sizeof(float) * taps);
    kernel.load_int16(response, taps, loaded.floats());
    spectrum->values = Scratch(2 * sizeof(float) * tables.size);
    const double scale = 32768 / std::sqrt(energy) / tables.size;
    kernel.spectrum(tables, loaded.floats(), taps, static_cast<float>(scale), spectrum->values.floats());
  }
  const size_t bytes = spectrum->values.bytes();
  const std::lock_guard<std::mutex> lock(mutex_);
  if (bytes_ + bytes <= max_bytes_ && spectra_.emplace(key, spectrum).second) bytes_ += bytes;
  return spectrum;
}

size_t ResponseSpectra::bytes() const {
  const std::lock_guard<std::mutex> lock(mutex_);
  return bytes_;
}

void Reverberator::Run(int64_t record, const float* wave, float* out) {
  const std::shared_ptr<const ResponseSpectrum> spectrum = spectra_->Get(bank_, record, samples_, kernel_);
  if (spectrum->values.bytes() == 0) {
    std::copy_n(wave, samples_, out);
    return;
  }
  const ConvolutionTables& tables = spectrum->convolution->tables();
  const size_t bytes = 2 * sizeof(float) * tables.size;
  if (workspace_.bytes() < bytes) workspace_ = Scratch(bytes);
  kernel_.convolve(tables, spectrum->values.floats(), wave, samples_, workspace_.floats(), out);
}

}  // namespace srctrace
