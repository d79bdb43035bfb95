#include "lfcc.h"

#include <algorithm>
#include <atomic>
#include <cmath>
#include <cstring>
#include <exception>
#include <limits>
#include <mutex>
#include <sstream>
#include <stdexcept>
#include <system_error>
#include <thread>
#include <type_traits>
#include <utility>
#include <vector>

#include "fft.h"

namespace srctrace {
namespace {

constexpr double kPi = 3.14159265358979323846;
constexpr float kFloorDb = 80.0f;
constexpr float kMaxSample = 1e10f;  // for n_fft up to kMaxFft no power, nor a sum of powers, overflows
constexpr int kMaxFft = 1 << 24;
constexpr int kTileVecs = 4;  // what the cosine transform takes at a time, so that sums stay in registers
constexpr int kTile = kTileVecs * kLanes;

using IntVec = int32_t __attribute__((vector_size(sizeof(Vec))));

template <typename... Parts>
[[noreturn]] void Refuse(const Parts&... parts) {
  std::ostringstream message;
  (message << ... << parts);
  throw std::invalid_argument(message.str());
}

// Natural logarithm of positive normal numbers, to an ulp: x = 2^e m with m in [sqrt(1/2), sqrt(2)), and
// ln(m) = 2 atanh(s), s = (m - 1) / (m + 1), whose series may end at s^9, because |s| < 0.172.
Vec Ln(Vec x) {
  constexpr int32_t kSqrtHalf = 0x3f3504f3;  // bits of sqrt(1/2): subtracted, they leave e in the exponent's place
  const IntVec bits = (IntVec)x;
  const IntVec exponent = (bits - kSqrtHalf) >> 23;
  const Vec m = (Vec)(bits - (exponent << 23));
  const Vec s = (m - 1.0f) / (m + 1.0f);
  const Vec s2 = s * s;
  const Vec series = s2 * (2.0f / 3 + s2 * (2.0f / 5 + s2 * (2.0f / 7 + s2 * (2.0f / 9))));
  return __builtin_convertvector(exponent, Vec) * 0.693147180559945309f + (2.0f * s + s * series);
}

Vec Max(Vec a, Vec b) { return a > b ? a : b; }

// What one worker needs to itself.
struct Workspace {
  std::vector<float> wave;  // one utterance, with its reflections
  std::vector<Vec> frame;   // kLanes windowed frames
  std::vector<ComplexVec> buffer, scratch, spectrum;
  std::vector<Vec> power;
  std::vector<Vec> energies;  // logarithmic, (tiles, n_filter, kTileVecs)
  std::vector<Vec> folded;    // (n_filter + 1) / 2 sums, then as many differences, each kTileVecs
};

// Everything that does not depend on the audio, shared by the workers.
class Plan {
 public:
  Plan(const LfccOptions& options, int64_t samples);

  Workspace MakeWorkspace() const;

  // LFCCs of one utterance into `out`, (n_lfcc, frames). `index` is its place in the batch, for messages.
  template <typename Sample>
  void Run(const Sample* wave, int64_t index, Workspace* work, float* out) const;

 private:
  struct Filter {
    int first_bin;
    std::vector<float> weights;
  };

  void MakeFilters();
  void MakeCosines();

  // Checks, scales and reflects an utterance into work->wave.
  template <typename Sample>
  void Load(const Sample* wave, int64_t index, Workspace* work) const;

  // kLanes frames from `first_frame` on, windowed, into work->frame.
  void CutFrames(int64_t first_frame, Workspace* work) const;

  // Logarithmic energies of work->frame, one for each filter, kTileVecs apart. Raises `loudest` to their maximum.
  void LogEnergies(Workspace* work, Vec* energies, Vec* loudest) const;

  // Coefficients of a tile: kTile frames from `first_frame` on, as far as there are any.
  void CosineTransform(const Vec* energies, float floor, int64_t first_frame, Workspace* work, float* out) const;

  const LfccOptions options_;
  const int64_t samples_;
  const int64_t frames_;
  const int64_t tiles_;
  const int64_t pad_;
  const RealFft fft_;
  std::vector<float> window_;
  std::vector<Filter> filters_;
  std::vector<float> cosines_;  // (n_lfcc, (n_filter + 1) / 2): the left half, the right half mirrors it
};

Plan::Plan(const LfccOptions& options, int64_t samples)
    : options_(options),
      samples_(samples),
      frames_(options.Frames(samples)),
      tiles_((frames_ + kTile - 1) / kTile),
      pad_(options.center ? options.n_fft / 2 : 0),
      fft_(options.n_fft) {
  const int length = options.win_length;
  for (int i = 0; i < length; ++i) window_.push_back(static_cast<float>(0.5 - 0.5 * std::cos(2 * kPi * i / length)));
  if (length == 1) window_[0] = 1.0f;  // as torch has it
  MakeFilters();
  MakeCosines();
}

void Plan::MakeFilters() {
  // Halves of an odd rate are rounded down, as in torchaudio.
  const double highest = options_.sample_rate / 2;
  const double bin_width = highest / std::max(1, fft_.bins() - 1);
  const double f_max = options_.f_max.value_or(highest);
  const double spacing = (f_max - options_.f_min) / (options_.n_filter + 1);
  int first = 0;
  for (int m = 0; m < options_.n_filter; ++m) {
    const double left = options_.f_min + m * spacing;
    // 0 where the filter begins, 1 at its peak, 2 where it ends.
    const auto position = [&](int bin) { return (bin * bin_width - left) / spacing; };
    while (first < fft_.bins() && position(first) <= 0) ++first;
    Filter filter{first, {}};
    for (int bin = first; bin < fft_.bins() && position(bin) < 2; ++bin) {
      filter.weights.push_back(static_cast<float>(std::min(position(bin), 2 - position(bin))));
    }
    filters_.push_back(std::move(filter));
  }
}

void Plan::MakeCosines() {
  // cos(pi k (2 m + 1) / (2 n_filter)) repeats with k (2 m + 1), the phase, modulo 4 n_filter.
  const int n_filter = options_.n_filter;
  const int half = (n_filter + 1) / 2;
  const int period = 4 * n_filter;
  std::vector<double> table;
  for (int i = 0; i < period; ++i) table.push_back(std::cos(kPi * i / (2.0 * n_filter)));
  cosines_.reserve(static_cast<size_t>(options_.n_lfcc) * half);
  for (int k = 0; k < options_.n_lfcc; ++k) {
    const double scale = std::sqrt((k == 0 ? 1.0 : 2.0) / n_filter);
    int phase = k;
    for (int m = 0; m < half; ++m) {
      cosines_.push_back(static_cast<float>(scale * table[phase]));
      phase += 2 * k;
      if (phase >= period) phase -= period;
    }
  }
}

Workspace Plan::MakeWorkspace() const {
  Workspace work;
  work.wave.resize(samples_ + 2 * pad_);
  work.frame.resize(options_.n_fft);
  work.buffer.resize(fft_.buffer_size());
  work.scratch.resize(fft_.buffer_size());
  work.spectrum.resize(fft_.bins());
  work.power.resize(fft_.bins());
  work.energies.resize(tiles_ * options_.n_filter * kTileVecs);
  work.folded.resize(2 * ((options_.n_filter + 1) / 2) * kTileVecs);
  return work;
}

template <typename Sample>
void Plan::Load(const Sample* wave, int64_t index, Workspace* work) const {
  float* loaded = work->wave.data() + pad_;
  if constexpr (std::is_same_v<Sample, int16_t>) {
    for (int64_t i = 0; i < samples_; ++i) loaded[i] = static_cast<float>(wave[i]) * (1.0f / 32768);
  } else {
    bool good = true;
    for (int64_t i = 0; i < samples_; ++i) {
      loaded[i] = wave[i];
      good &= std::abs(wave[i]) <= kMaxSample;  // false for NaN
    }
    if (!good) {
      const Sample* bad = std::find_if_not(wave, wave + samples_, [](Sample x) { return std::abs(x) <= kMaxSample; });
      const float value = std::abs(*bad);  // a NaN may print with a sign
      Refuse("utterance ", index, " of the batch, sample ", bad - wave, " is ", *bad < 0 ? "-" : "", value,
             ": samples must be finite and within +-1e10 (audio is within +-1)");
    }
  }
  for (int64_t i = 1; i <= pad_; ++i) {
    loaded[-i] = loaded[i];
    loaded[samples_ - 1 + i] = loaded[samples_ - 1 - i];
  }
}

void Plan::CutFrames(int64_t first_frame, Workspace* work) const {
  const float* start[kLanes];
  const int offset = (options_.n_fft - options_.win_length) / 2;
  for (int lane = 0; lane < kLanes; ++lane) {
    // Lanes past the end repeat the last frame: it changes no maximum, and is not stored.
    const int64_t frame = std::min(first_frame + lane, frames_ - 1);
    start[lane] = work->wave.data() + frame * options_.hop_length + offset;
  }
  for (int i = 0; i < options_.win_length; ++i) {  // the frame is zero elsewhere from the start
    Vec samples;
    for (int lane = 0; lane < kLanes; ++lane) samples[lane] = start[lane][i];
    work->frame[offset + i] = samples * window_[i];
  }
}

void Plan::LogEnergies(Workspace* work, Vec* energies, Vec* loudest) const {
  fft_.Transform(work->frame.data(), work->buffer.data(), work->scratch.data(), work->spectrum.data());
  for (int bin = 0; bin < fft_.bins(); ++bin) {
    const ComplexVec x = work->spectrum[bin];
    work->power[bin] = x.re * x.re + x.im * x.im;
  }
  for (const Filter& filter : filters_) {
    Vec sum{};
    const Vec* power = work->power.data() + filter.first_bin;
    for (const float weight : filter.weights) sum += weight * *power++;
    if (options_.log_lf) {
      *energies = Ln(sum + 1e-6f);
    } else {
      *energies = 4.34294481903251828f * Ln(Max(sum, Vec{} + 1e-10f));  // 10 / ln(10)
      *loudest = Max(*loudest, *energies);
    }
    energies += kTileVecs;
  }
}

void Plan::CosineTransform(const Vec* energies, float floor, int64_t first_frame, Workspace* work, float* out) const {
  // Even rows of the matrix are symmetric and odd rows antisymmetric, so half of each will do, on sums or differences.
  const int n_filter = options_.n_filter;
  const int half = (n_filter + 1) / 2;
  Vec* sums = work->folded.data();
  Vec* differences = sums + half * kTileVecs;
  for (int m = 0; m < half; ++m) {
    const int mirror = n_filter - 1 - m;
    for (int v = 0; v < kTileVecs; ++v) {
      const Vec a = Max(energies[m * kTileVecs + v], Vec{} + floor);
      const Vec b = Max(energies[mirror * kTileVecs + v], Vec{} + floor);
      sums[m * kTileVecs + v] = m == mirror ? a : a + b;
      differences[m * kTileVecs + v] = a - b;
    }
  }
  const size_t stored = sizeof(float) * std::min<int64_t>(kTile, frames_ - first_frame);
  for (int64_t k = 0; k < options_.n_lfcc; ++k) {
    const float* cosines = cosines_.data() + k * half;
    const Vec* in = k % 2 == 0 ? sums : differences;
    Vec total[kTileVecs] = {};
    for (int m = 0; m < half; ++m) {
      for (int v = 0; v < kTileVecs; ++v) total[v] += cosines[m] * in[m * kTileVecs + v];
    }
    std::memcpy(out + k * frames_ + first_frame, total, stored);
  }
}

template <typename Sample>
void Plan::Run(const Sample* wave, int64_t index, Workspace* work, float* out) const {
  Load(wave, index, work);
  Vec loudest = Vec{} - std::numeric_limits<float>::infinity();
  const int64_t tile_size = options_.n_filter * kTileVecs;
  for (int64_t tile = 0; tile < tiles_; ++tile) {
    for (int v = 0; v < kTileVecs; ++v) {
      CutFrames(tile * kTile + v * kLanes, work);
      LogEnergies(work, work->energies.data() + tile * tile_size + v, &loudest);
    }
  }
  float floor = -std::numeric_limits<float>::infinity();
  if (!options_.log_lf) {
    for (int lane = 0; lane < kLanes; ++lane) floor = std::max(floor, loudest[lane] - kFloorDb);
  }
  for (int64_t tile = 0; tile < tiles_; ++tile) {
    CosineTransform(work->energies.data() + tile * tile_size, floor, tile * kTile, work, out);
  }
}

// Calls work(i, &workspace) for each i < count on up to `threads` threads. What the lowest i throws is thrown here.
template <typename Work>
void ForEach(int64_t count, int threads, const Plan& plan, const Work& work) {
  std::atomic<int64_t> next{0};
  std::mutex mutex;
  int64_t failed = count;
  std::exception_ptr error;
  const auto labour = [&] {
    int64_t i = count;
    try {
      Workspace workspace = plan.MakeWorkspace();
      while ((i = next++) < count) work(i, &workspace);
    } catch (...) {
      next = count;  // all lower ones have been handed out already
      const std::lock_guard<std::mutex> lock(mutex);
      if (i <= failed) {
        failed = i;
        error = std::current_exception();
      }
    }
  };
  std::vector<std::thread> team;
  try {
    for (int64_t i = 1; i < std::min<int64_t>(threads, count); ++i) team.emplace_back(labour);
  } catch (const std::system_error&) {
    // The system gives no more threads: those there are do the work.
  }
  labour();
  for (std::thread& thread : team) thread.join();
  if (error) std::rethrow_exception(error);
}

template <typename Sample>
void Compute(const Sample* waves, int64_t batch, int64_t samples, const LfccOptions& options, int threads, float* out) {
  if (threads < 1) Refuse("threads is ", threads, ": it must be at least 1");
  const Plan plan(options, samples);
  const int64_t size = options.n_lfcc * options.Frames(samples);
  ForEach(batch, threads, plan,
          [&](int64_t i, Workspace* work) { plan.Run(waves + i * samples, i, work, out + i * size); });
}

}  // namespace

void LfccOptions::Check() const {
  const auto positive = [](const char* name, int value) {
    if (value < 1) Refuse(name, " is ", value, ": it must be at least 1");
  };
  const auto at_most = [](const char* name, int value, const char* limit_name, int limit) {
    if (value > limit) Refuse(name, " is ", value, ": it must be at most ", limit_name, ", ", limit);
  };
  if (sample_rate < 2) Refuse("sample_rate is ", sample_rate, ": it must be at least 2");
  positive("n_fft", n_fft);
  at_most("n_fft", n_fft, "2^24", kMaxFft);
  positive("win_length", win_length);
  at_most("win_length", win_length, "n_fft", n_fft);
  positive("hop_length", hop_length);
  positive("n_filter", n_filter);
  at_most("n_filter", n_filter, "2^24", kMaxFft);
  positive("n_lfcc", n_lfcc);
  at_most("n_lfcc", n_lfcc, "n_filter", n_filter);
  const double highest = f_max.value_or(sample_rate / 2);
  // Negated, so that NaN is refused.
  if (!(highest <= sample_rate / 2.0)) {
    Refuse("f_max is ", highest, ": it must be at most half the sample rate, ", sample_rate / 2.0);
  }
  if (!(f_min >= 0 && f_min < highest)) {
    Refuse("f_min is ", f_min, ": it must be at least 0 and below f_max, ", highest);
  }
}

int64_t LfccOptions::Frames(int64_t samples) const {
  Check();
  const int64_t pad = center ? n_fft / 2 : 0;
  if (center && samples <= pad) {
    Refuse("an utterance of ", samples, " samples is too short: with center it needs ", pad + 1,
           ", one more than half of n_fft, to be reflected");
  }
  if (samples + 2 * pad < n_fft) {
    Refuse("an utterance of ", samples, " samples is too short: one frame needs n_fft, ", n_fft);
  }
  return 1 + (samples + 2 * pad - n_fft) / hop_length;
}

std::string LfccOptions::ToString() const {
  std::ostringstream text;
  text << std::boolalpha << "LfccOptions(sample_rate=" << sample_rate << ", n_fft=" << n_fft
       << ", win_length=" << win_length << ", hop_length=" << hop_length << ", center=" << center
       << ", n_filter=" << n_filter << ", n_lfcc=" << n_lfcc << ", f_min=" << f_min << ", f_max=";
  if (f_max) {
    text << *f_max;
  } else {
    text << "none";
  }
  text << ", log_lf=" << log_lf << ")";
  return text.str();
}

void ComputeLfcc(const float* waves, int64_t batch, int64_t samples, const LfccOptions& options, int threads,
                 float* out) {
  Compute(waves, batch, samples, options, threads, out);
}

void ComputeLfcc(const int16_t* waves, int64_t batch, int64_t samples, const LfccOptions& options, int threads,
                 float* out) {
  Compute(waves, batch, samples, options, threads, out);
}

}  // namespace srctrace
