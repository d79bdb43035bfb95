#include "simd.h"

#include <cstdlib>
#include <sstream>
#include <stdexcept>
#include <string>
#include <vector>

namespace srctrace {
namespace {

// Widest first.
std::vector<const Kernel*> Available() {
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

const Kernel& Choose(const char* wanted) {
  const std::vector<const Kernel*> kernels = Available();
  if (wanted == nullptr || *wanted == 0) return *kernels.front();
  std::ostringstream names;
  for (const Kernel* kernel : kernels) {
    if (kernel->name == std::string(wanted)) return *kernel;
    names << (names.tellp() > 0 ? ", " : "") << kernel->name;
  }
  throw std::invalid_argument("SRCTRACE_SIMD is '" + std::string(wanted) + "': this processor has " + names.str());
}

}  // namespace

const Kernel& ActiveKernel() {
  static const Kernel& kernel = Choose(std::getenv("SRCTRACE_SIMD"));
  return kernel;
}

}  // namespace srctrace
