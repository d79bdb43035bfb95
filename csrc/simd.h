// Which instruction set the kernels use.

#ifndef SRCTRACE_CSRC_SIMD_H_
#define SRCTRACE_CSRC_SIMD_H_

#include <vector>

#include "kernel.h"

namespace srctrace {

// Those this processor has, the widest first.
std::vector<const Kernel*> AvailableKernels();

// The widest that this processor has, or what the environment variable SRCTRACE_SIMD names. Read once.
//
// Throws std::invalid_argument if it names one that there is not, or that this processor has not.
const Kernel& ActiveKernel();

}  // namespace srctrace

#endif  // SRCTRACE_CSRC_SIMD_H_
