#include "mix_plan.h"

#include "refuse.h"

namespace srctrace {

void CheckBank(const Bank& bank, int64_t samples) {
  for (int64_t r = 0; r < bank.records; ++r) {
    const int64_t start = bank.starts[r], end = bank.starts[r + 1];
    if (start < 0 || end <= start || end > samples) {
      Refuse("record ", r, " of the bank is from sample ", start, " to ", end, " of ", samples,
             ": it must have at least one, and be there");
    }
  }
}

void CheckPlan(const MixPlan& plan, const Bank& bank) {
  for (int64_t m = 0; m < plan.mixes; ++m) {
    const int64_t first = plan.firsts[m], end = plan.firsts[m + 1];
    if (first < 0 || end < first || end > plan.parts) {
      Refuse("mix ", m, " has parts ", first, " to ", end, ", but there are ", plan.parts);
    }
    switch (plan.kinds[m]) {
      case kClean:
        break;
      case kAdd:
        // Negated, so that NaN is refused.
        if (!(plan.snrs[m] >= -100 && plan.snrs[m] <= 100)) {
          Refuse("mix ", m, " has an SNR of ", plan.snrs[m], " dB: it must be within +-100");
        }
        break;
      case kReverb:
        if (end - first != 1) Refuse("mix ", m, " is reverberation with ", end - first, " parts: it must be one");
        break;
      default:
        Refuse("mix ", m, " is of kind ", int{plan.kinds[m]}, ": it must be 0, 1 or 2");
    }
    for (int64_t p = first; p < end; ++p) {
      const int64_t record = plan.records[p];
      if (record < 0 || record >= bank.records) {
        Refuse("part ", p, " of the plan is record ", record, ": the bank has ", bank.records);
      }
      if (plan.kinds[m] == kReverb) continue;  // has no offset
      const int64_t length = bank.starts[record + 1] - bank.starts[record];
      if (plan.offsets[p] < 0 || plan.offsets[p] >= length) {
        Refuse("part ", p, " of the plan starts at sample ", plan.offsets[p], " of record ", record, ", which has ",
               length);
      }
    }
  }
}

}  // namespace srctrace
