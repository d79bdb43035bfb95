#include "lfcc_options.h"

#include <sstream>
#include <tuple>

#include "refuse.h"

namespace srctrace {
namespace {

constexpr int kMaxFft = 1 << 24;

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
  const int64_t pad = Padding();
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

bool LfccOptions::operator==(const LfccOptions& other) const {
  const auto all = [](const LfccOptions& o) {
    return std::tie(o.sample_rate, o.n_fft, o.win_length, o.hop_length, o.center, o.n_filter, o.n_lfcc, o.f_min,
                    o.f_max, o.log_lf);
  };
  return all(*this) == all(other);
}

}  // namespace srctrace
