#include "lfcc.h"

#include <algorithm>
#include <atomic>
#include <cmath>
#include <exception>
#include <memory>
#include <mutex>
#include <sstream>
#include <stdexcept>
#include <system_error>
#include <thread>
#include <type_traits>
#include <utility>
#include <vector>

#include "fft.h"
#include "kernel.h"
#include "simd.h"

namespace srctrace {
namespace {

constexpr double kPi = 3.14159265358979323846;
constexpr float kFloorDb = 80.0f;
constexpr float kMaxSample = 1e10f;  // for n_fft up to kMaxFft no power, nor a sum of powers, overflows
constexpr int kMaxFft = 1 << 24;
template <typename... Parts>
[[noreturn]] void Refuse(const Parts&... parts) {
  std::ostringstream message;
  (message << ... << parts);
  throw std::invalid_argument(message.str());
}

// Everything that does not depend on the audio, shared by the workers.
class Plan {
 public:
  Plan(const LfccOptions& options, int64_t samples, const Kernel& kernel);
  Plan(const Plan&) = delete;

  // What one worker needs to itself.
  struct Workspace {
    std::vector<float> wave;  // one utterance, with its reflections and zeros for the lanes past its end
    std::vector<char> memory;
    void* aligned;
  };

  Workspace MakeWorkspace() const;

  // LFCCs of one utterance into `out`, (n_lfcc, frames). `index` is its place in the batch, for messages.
  template <typename Sample>
  void Run(const Sample* wave, int64_t index, Workspace* work, float* out) const;

 private:
  void MakeFrame();
  void MakeFilters();
  void MakeCosineTransform();

  // Checks, scales and reflects an utterance into work->wave.
  template <typename Sample>
  void Load(const Sample* wave, int64_t index, Workspace* work) const;

  const LfccOptions options_;
  const int64_t samples_;
  const int64_t pad_;
  const Kernel& kernel_;
  const RealFft fft_, dct_;
  LfccTables tables_{};
  std::vector<int32_t> place_, first_bin_, dct_place_;
  std::vector<float> window_, weights_;
  std::vector<Complex> dct_turns_;
};

Plan::Plan(const LfccOptions& options, int64_t samples, const Kernel& kernel)
    : options_(options),
      samples_(samples),
      pad_(options.center ? options.n_fft / 2 : 0),
      kernel_(kernel),
      fft_(options.n_fft),
      dct_(options.n_filter) {
  tables_.frames = options.Frames(samples);
  tables_.fft = fft_.tables();
  tables_.bins = options.n_fft / 2 + 1;
  tables_.n_filter = options.n_filter;
  tables_.log_lf = options.log_lf;
  tables_.n_lfcc = options.n_lfcc;
  tables_.dct = dct_.tables();
  MakeFrame();
  MakeFilters();
  MakeCosineTransform();
}

void Plan::MakeFrame() {
  const int hop = options_.hop_length;
  const int length = options_.win_length;
  const int offset = (options_.n_fft - length) / 2;
  tables_.hop_length = hop;
  tables_.first_sample = offset;
  tables_.rows = std::min(hop, length);
  tables_.columns = kernel_.lanes + (length - 1) / hop;
  tables_.stride = (tables_.columns + kernel_.lanes - 1) / kernel_.lanes * kernel_.lanes;
  for (int i = 0; i < options_.n_fft; ++i) {
    const int j = i - offset;
    const bool inside = j >= 0 && j < length;
    // As torch has it, the window of one sample is 1.
    const double window = length == 1 ? 1.0 : 0.5 - 0.5 * std::cos(2 * kPi * j / length);
    place_.push_back(inside ? j % hop * tables_.stride + j / hop : 0);
    window_.push_back(inside ? static_cast<float>(0.5 * window) : 0.0f);
  }
  tables_.place = place_.data();
  tables_.window = window_.data();
}

void Plan::MakeFilters() {
  // Halves of an odd rate are rounded down, as in torchaudio.
  const double highest = options_.sample_rate / 2;
  const int bins = tables_.bins;
  const double bin_width = highest / std::max(1, bins - 1);
  const double f_max = options_.f_max.value_or(highest);
  const double spacing = (f_max - options_.f_min) / (options_.n_filter + 1);
  std::vector<std::vector<float>> filters;
  int first = 0;
  size_t taps = 1;
  for (int m = 0; m < options_.n_filter; ++m) {
    const double left = options_.f_min + m * spacing;
    // 0 where the filter begins, 1 at its peak, 2 where it ends.
    const auto position = [&](int bin) { return (bin * bin_width - left) / spacing; };
    while (first < bins && position(first) <= 0) ++first;
    std::vector<float> weights;
    for (int bin = first; bin < bins && position(bin) < 2; ++bin) {
      weights.push_back(static_cast<float>(std::min(position(bin), 2 - position(bin))));
    }
    taps = std::max(taps, weights.size());
    first_bin_.push_back(first);
    filters.push_back(std::move(weights));
  }
  // All filters get as many taps, so that the loop over them is of one kind.
  for (int m = 0; m < options_.n_filter; ++m) {
    const int shift = std::max(0, first_bin_[m] + static_cast<int>(taps) - bins);
    first_bin_[m] -= shift;
    for (size_t t = 0; t < taps; ++t) {
      const size_t tap = t - shift;  // wraps where there is none
      weights_.push_back(tap < filters[m].size() ? filters[m][tap] : 0.0f);
    }
  }
  tables_.taps = static_cast<int32_t>(taps);
  tables_.first_bin = first_bin_.data();
  tables_.weights = weights_.data();
}

void Plan::MakeCosineTransform() {
  const int size = options_.n_filter;
  for (int n = 0; n < size; ++n) dct_place_.push_back(n < (size + 1) / 2 ? 2 * n : 2 * (size - n) - 1);
  for (int k = 0; k <= size / 2; ++k) {
    const double scale = 0.5 * std::sqrt((k == 0 ? 1.0 : 2.0) / size);
    const double angle = -kPi * k / (2.0 * size);
    dct_turns_.push_back({static_cast<float>(scale * std::cos(angle)), static_cast<float>(scale * std::sin(angle))});
  }
  tables_.dct_place = dct_place_.data();
  tables_.dct_turns = dct_turns_.data();
}

Plan::Workspace Plan::MakeWorkspace() const {
  constexpr size_t kAlignment = 64;
  Workspace work;
  const int64_t tiles = (tables_.frames + kernel_.lanes - 1) / kernel_.lanes;
  const int64_t read = (tiles * kernel_.lanes + tables_.columns) * options_.hop_length + options_.n_fft;
  work.wave.resize(std::max(samples_ + 2 * pad_, read));
  size_t bytes = kernel_.lfcc_workspace(tables_);
  size_t space = bytes + kAlignment;
  work.memory.resize(space);
  work.aligned = work.memory.data();
  std::align(kAlignment, bytes, work.aligned, space);
  return work;
}

template <typename Sample>
void Plan::Load(const Sample* wave, int64_t index, Workspace* work) const {
  float* loaded = work->wave.data() + pad_;
  if constexpr (std::is_same_v<Sample, int16_t>) {
    kernel_.load_int16(wave, samples_, loaded);
  } else {
    const bool good = kernel_.load_float(wave, samples_, kMaxSample, loaded);
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

template <typename Sample>
void Plan::Run(const Sample* wave, int64_t index, Workspace* work, float* out) const {
  Load(wave, index, work);
  kernel_.lfcc(tables_, work->wave.data(), work->aligned, out);
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
      Plan::Workspace workspace = plan.MakeWorkspace();
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
  const Plan plan(options, samples, ActiveKernel());
  const int64_t size = options.n_lfcc * options.Frames(samples);
  ForEach(batch, threads, plan,
          [&](int64_t i, Plan::Workspace* work) { plan.Run(waves + i * samples, i, work, out + i * size); });
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
