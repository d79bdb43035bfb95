// Every instruction set of this processor against the scalar one, over drawn options, lengths and plans. The arrays are
// exactly as long as they must be, so that a sanitizer sees the first byte beyond them. See the Makefile.

#include <algorithm>
#include <cmath>
#include <cstdint>
#include <cstdio>
#include <cstdlib>
#include <memory>
#include <random>
#include <string>
#include <vector>

#include "lfcc.h"
#include "mix.h"
#include "simd.h"

namespace srctrace {
namespace {

std::mt19937 random_bits(1);

int Draw(int low, int high) { return std::uniform_int_distribution<int>(low, high)(random_bits); }

double Normal(double scale) { return std::normal_distribution<double>(0, scale)(random_bits); }

// On the heap, with nothing around it.
template <typename T>
std::unique_ptr<T[]> Exactly(const std::vector<T>& values) {
  std::unique_ptr<T[]> copy(new T[values.size()]);
  std::copy(values.begin(), values.end(), copy.get());
  return copy;
}

std::vector<int16_t> Noise(int samples) {
  std::vector<int16_t> noise(samples);
  for (int16_t& sample : noise) sample = static_cast<int16_t>(std::clamp(Normal(4000), -32768.0, 32767.0));
  return noise;
}

LfccOptions DrawOptions() {
  const int sizes[] = {320, 512, 1, 2, 3, 331, 509, 400, 64, Draw(1, 700)};
  LfccOptions options;
  options.n_fft = sizes[Draw(0, 9)];
  options.win_length = Draw(0, 1) == 0 ? options.n_fft : Draw(1, options.n_fft);
  options.hop_length = Draw(0, 9) == 0 ? Draw(1000, 1 << 30) : Draw(1, 2 * options.n_fft);
  options.center = Draw(0, 1) == 0;
  options.n_filter = Draw(0, 2) == 0 ? 128 : Draw(1, 150);
  options.n_lfcc = Draw(1, options.n_filter);
  options.log_lf = Draw(0, 1) == 0;
  if (Draw(0, 2) == 0) options.f_min = Draw(0, 4000);
  if (Draw(0, 2) == 0) options.f_max = Draw(4001, 8000);
  return options;
}

int failures = 0;

template <typename A>
void Compare(const A& got, const A& expected, int64_t count, double tolerance, const std::string& what) {
  for (int64_t i = 0; i < count; ++i) {
    const double error = std::abs(static_cast<double>(got[i]) - expected[i]);
    if (error <= tolerance) continue;  // not so for NaN
    std::fprintf(stderr, "%s: value %d is %g, not %g\n", what.c_str(), static_cast<int>(i), static_cast<double>(got[i]),
                 static_cast<double>(expected[i]));
    ++failures;
    return;
  }
}

template <typename Sample>
void CompareLfcc(const Kernel& kernel, const LfccOptions& options, const std::vector<Sample>& wave) {
  const auto samples = static_cast<int64_t>(wave.size());
  const int64_t values = options.n_lfcc * options.Frames(samples);
  const auto in = Exactly(wave);
  std::unique_ptr<float[]> got(new float[values]), expected(new float[values]);
  LfccWorker(options, samples, kernel).Run(in.get(), got.get());
  LfccWorker(options, samples, kScalarKernel).Run(in.get(), expected.get());
  // In dB, a value is as exact as the quietest energy that is above the floor.
  Compare(got, expected, values, options.log_lf ? 1e-3 : 0.01,
          std::string(kernel.name) + ": " + options.ToString() + " of " + std::to_string(samples) + " samples");
}

void CompareMixes(const Kernel& kernel, const std::vector<int16_t>& wave) {
  std::vector<int16_t> samples;
  std::vector<int64_t> starts = {0};
  for (int record = 0; record < 5; ++record) {
    const auto noise = Noise(Draw(1, 1 << Draw(1, 13)));
    samples.insert(samples.end(), noise.begin(), noise.end());
    starts.push_back(static_cast<int64_t>(samples.size()));
  }
  const auto noise = Exactly(samples);
  const Bank bank = {noise.get(), starts.data(), 5};

  std::vector<uint8_t> kinds;
  std::vector<int64_t> firsts = {0}, records, offsets;
  std::vector<double> snrs;
  constexpr int kMixes = 6;
  for (int mix = 0; mix < kMixes; ++mix) {
    kinds.push_back(static_cast<uint8_t>(Draw(0, 2)));
    for (int part = kinds.back() == kReverb ? 1 : Draw(0, 4); part > 0; --part) {
      records.push_back(Draw(0, 4));
      offsets.push_back(Draw(0, static_cast<int>(starts[records.back() + 1] - starts[records.back()]) - 1));
    }
    firsts.push_back(static_cast<int64_t>(records.size()));
    snrs.push_back(Draw(-20, 40));
  }
  const MixPlan plan = {kMixes,      kMixes,        kinds.data(),   firsts.data(),
                        snrs.data(), firsts.back(), records.data(), offsets.data()};
  CheckBank(bank, static_cast<int64_t>(samples.size()));
  CheckPlan(plan, bank);
  const auto in = Exactly(wave);
  const auto length = static_cast<int64_t>(wave.size());
  std::unique_ptr<float[]> got(new float[length]), expected(new float[length]);
  ResponseSpectra spectra(1 << 20), scalar_spectra(0);
  Mixer mixer(bank, &spectra, length, kernel), scalar(bank, &scalar_spectra, length, kScalarKernel);
  mixer.Load(in.get(), 0);
  scalar.Load(in.get(), 0);
  for (int mix = 0; mix < kMixes; ++mix) {
    const float* const values = mixer.Mix(plan, mix, got.get());
    const float* const others = scalar.Mix(plan, mix, expected.get());
    const double loudest = std::abs(*std::max_element(others, others + length));
    Compare(values, others, length, 1e-5 * (1 + loudest),
            std::string(kernel.name) + ": mix of kind " + std::to_string(kinds[mix]) + " of " + std::to_string(length) +
                " samples");
  }
}

int Main(int rounds) {
  for (const Kernel* kernel : AvailableKernels()) {
    for (int round = 0; round < rounds; ++round) {
      const LfccOptions options = DrawOptions();
      const int shortest = std::max(options.n_fft, options.Padding() + 1);
      const auto wave = Noise(shortest + (Draw(0, 3) == 0 ? 0 : Draw(0, 6000)));
      CompareLfcc(*kernel, options, wave);
      std::vector<float> as_float;
      for (const int16_t sample : wave) as_float.push_back(static_cast<float>(sample) / 32768);
      CompareLfcc(*kernel, options, as_float);
      CompareMixes(*kernel, wave);
    }
    std::printf("%s: %d rounds\n", kernel->name, rounds);
  }
  return failures == 0 ? EXIT_SUCCESS : EXIT_FAILURE;
}

}  // namespace
}  // namespace srctrace

int main(int count, char** arguments) { return srctrace::Main(count > 1 ? std::atoi(arguments[1]) : 200); }
