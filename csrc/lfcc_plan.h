// Everything about LFCCs that does not depend on the audio.

#ifndef SRCTRACE_CSRC_LFCC_PLAN_H_
#define SRCTRACE_CSRC_LFCC_PLAN_H_

#include <cstdint>
#include <memory>
#include <vector>

#include "fft.h"
#include "lfcc_options.h"
#include "tables.h"

namespace srctrace {

class LfccPlan {
 public:
  // For `lanes` frames side by side. Throws std::invalid_argument for bad options.
  LfccPlan(const LfccOptions& options, int lanes);
  LfccPlan(const LfccPlan&) = delete;

  // One that was made before, if it is among the last few.
  static std::shared_ptr<const LfccPlan> Get(const LfccOptions& options, int lanes);

  const LfccOptions& options() const { return options_; }
  int lanes() const { return lanes_; }
  const LfccTables& tables() const { return tables_; }  // valid as long as the plan is there

 private:
  void MakeFrame();
  void MakeFilters();
  void MakeCosineTransform();

  const LfccOptions options_;
  const int lanes_;
  const RealFft fft_, dct_;
  LfccTables tables_{};
  std::vector<int32_t> place_, first_bin_, dct_place_;
  std::vector<float> window_, window_int16_, weights_;
  std::vector<Complex> dct_turns_;
};

}  // namespace srctrace

#endif  // SRCTRACE_CSRC_LFCC_PLAN_H_
