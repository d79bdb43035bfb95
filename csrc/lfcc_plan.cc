#include "lfcc_plan.h"

#include <algorithm>
#include <cmath>
#include <list>
#include <mutex>
#include <utility>

namespace srctrace {
namespace {

constexpr double kPi = 3.14159265358979323846;
constexpr double kFloorDb = 80;  // below the loudest energy of an utterance
constexpr size_t kPlansKept = 8;

LfccOptions Checked(const LfccOptions& options) {
  options.Check();
  return options;
}

}  // namespace

std::shared_ptr<const LfccPlan> LfccPlan::Get(const LfccOptions& options, int lanes) {
  static std::mutex mutex;
  static std::list<std::shared_ptr<const LfccPlan>> plans;  // the last one used comes first
  const auto find = [&] {
    return std::find_if(plans.begin(), plans.end(),
                        [&](const auto& plan) { return plan->options() == options && plan->lanes() == lanes; });
  };
  {
    const std::lock_guard<std::mutex> lock(mutex);
    const auto found = find();
    if (found != plans.end()) {
      plans.splice(plans.begin(), plans, found);
      return plans.front();
    }
  }
  auto plan = std::make_shared<const LfccPlan>(options, lanes);
  const std::lock_guard<std::mutex> lock(mutex);
  if (find() == plans.end()) plans.push_front(plan);
  if (plans.size() > kPlansKept) plans.pop_back();
  return plan;
}

LfccPlan::LfccPlan(const LfccOptions& options, int lanes)
    : options_(Checked(options)), lanes_(lanes), fft_(options.n_fft), dct_(options.n_filter) {
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

void LfccPlan::MakeFrame() {
  const int hop = options_.hop_length;
  const int length = options_.win_length;
  const int offset = (options_.n_fft - length) / 2;
  tables_.hop_length = hop;
  tables_.first_sample = offset;
  tables_.rows = std::min(hop, length);
  tables_.columns = lanes_ + (length - 1) / hop;
  tables_.stride = (tables_.columns + lanes_ - 1) / lanes_ * lanes_;
  for (int i = 0; i < options_.n_fft; ++i) {
    const int j = i - offset;
    const bool inside = j >= 0 && j < length;
    // As torch has it, the window of one sample is 1.
    const double window = length == 1 ? 1.0 : 0.5 - 0.5 * std::cos(2 * kPi * j / length);
    place_.push_back(inside ? j % hop * tables_.stride + j / hop : 0);
    window_.push_back(inside ? static_cast<float>(0.5 * window) : 0.0f);
    window_int16_.push_back(window_.back() / 32768);
  }
  tables_.place = place_.data();
  tables_.window = window_.data();
  tables_.window_int16 = window_int16_.data();
}

void LfccPlan::MakeFilters() {
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

void LfccPlan::MakeCosineTransform() {
  const int size = options_.n_filter;
  // Of a logarithm to the base of 2.
  const double unit = options_.log_lf ? std::log(2.0) : 10 * std::log10(2.0);
  tables_.range = static_cast<float>(kFloorDb / unit);
  for (int n = 0; n < size; ++n) dct_place_.push_back(n < (size + 1) / 2 ? 2 * n : 2 * (size - n) - 1);
  for (int k = 0; k <= size / 2; ++k) {
    const double scale = unit * 0.5 * std::sqrt((k == 0 ? 1.0 : 2.0) / size);
    const double angle = -kPi * k / (2.0 * size);
    dct_turns_.push_back({static_cast<float>(scale * std::cos(angle)), static_cast<float>(scale * std::sin(angle))});
  }
  tables_.dct_place = dct_place_.data();
  tables_.dct_turns = dct_turns_.data();
}

}  // namespace srctrace
