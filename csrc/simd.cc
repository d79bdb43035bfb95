#include "simd.h"

#include <cstdlib>
#include <string>
#include <vector>

#include "refuse.h"

namespace srctrace {

std::vector<const Kernel*> AvailableKernels() {
  std::vector<const Kernel*> kernels;
#if defined(__x86_64__)
  __builtin_cpu_init();
  if (__builtin_cpu_supports("avx512f") && __builtin_cpu_supports("avx512vl") && __builtin_cpu_supports("avx512dq")) {
    kernels.push_back(&kAvx512Kernel);
  }
  if (__builtin_cpu_supports("avx2") && __builtin_cpu_supports("fma")) kernels.push_back(&kAvx2Kernel);
  kernels.push_back(&k128Kernel);
#elif defined(__aarch64__)
  kernels.push_back(&k128Kernel);
#endif
  kernels.push_back(&kScalarKernel);
  return kernels;
}

namespace {

const Kernel& Choose(const char* wanted) {
  const std::vector<const Kernel*> kernels = AvailableKernels();
  if (wanted == nullptr || *wanted == 0) return *kernels.front();
  std::string names;
  for (const Kernel* kernel : kernels) {
    if (kernel->name == std::string(wanted)) return *kernel;
    names += (names.empty() ? "" : ", ") + std::string(kernel->name);
  }
  Refuse("SRCTRACE_SIMD is '", wanted, "': this processor has ", names);
}

}  // namespace

const Kernel& ActiveKernel() {
  static const Kernel& kernel = Choose(std::getenv("SRCTRACE_SIMD"));
  return kernel;
}

}  // namespace srctrace
