// Just enough of CUDA for the sources in csrc/ to run on a CPU: blocks one after another, the threads of a block as
// fibers that change places at barriers. Device memory is the host's; a device has what the environment says:
// CUDA_ON_CPU_SHARED bytes of shared memory for a block, CUDA_ON_CPU_L2 bytes of cache, at most CUDA_ON_CPU_BLOCKS
// blocks (all kernels take any number), and, if CUDA_ON_CPU_BACKWARDS is set, threads that run in the opposite order,
// which changes results where a barrier is missing.

#ifndef SRCTRACE_TESTS_CUDA_ON_CPU_CUDA_RUNTIME_H_
#define SRCTRACE_TESTS_CUDA_ON_CPU_CUDA_RUNTIME_H_

#include <cmath>
#include <cstddef>
#include <cstdint>
#include <cstring>
#include <functional>

#define __host__
#define __device__
#define __global__
#define __shared__
#define __launch_bounds__(...)

struct alignas(8) float2 {
  float x, y;
};
struct alignas(16) float4 {
  float x, y, z, w;
};
struct alignas(8) int2 {
  int x, y;
};
struct alignas(16) int4 {
  int x, y, z, w;
};
struct dim3 {
  dim3(unsigned x = 1) : x(x) {}  // NOLINT: as in CUDA
  unsigned x, y = 1, z = 1;
};

extern dim3 threadIdx, blockIdx, blockDim, gridDim;

void __syncthreads();
int __reduce_max_sync(unsigned mask, int value);

template <typename T>
T __ldg(const T* p) {
  return *p;
}
inline int atomicMax(int* p, int value) {
  const int before = *p;
  if (value > before) *p = value;
  return before;
}
inline int __float_as_int(float x) {
  int bits;
  std::memcpy(&bits, &x, sizeof(bits));
  return bits;
}
inline float __int_as_float(int bits) {
  float x;
  std::memcpy(&x, &bits, sizeof(x));
  return x;
}
// glibc's declares a function of this name for itself.
inline float Log2OnCpu(float x) { return std::log2(x); }
#define __log2f Log2OnCpu

enum cudaError_t {
  cudaSuccess = 0,
  cudaErrorMemoryAllocation = 2,
  cudaErrorInsufficientDriver = 35,
  cudaErrorNoDevice = 100,
  cudaErrorInvalidDevice = 101
};
enum cudaDeviceAttr {
  cudaDevAttrComputeCapabilityMajor,
  cudaDevAttrComputeCapabilityMinor,
  cudaDevAttrL2CacheSize,
  cudaDevAttrMaxSharedMemoryPerBlockOptin,
  cudaDevAttrMaxSharedMemoryPerMultiprocessor
};
enum cudaMemcpyKind { cudaMemcpyHostToDevice };
enum cudaMemoryType { cudaMemoryTypeUnregistered, cudaMemoryTypeHost, cudaMemoryTypeDevice, cudaMemoryTypeManaged };
enum cudaFuncAttribute { cudaFuncAttributeMaxDynamicSharedMemorySize };
struct cudaPointerAttributes {
  cudaMemoryType type;
  int device;
};
typedef void* cudaStream_t;
struct cudaLaunchConfig_t {
  dim3 gridDim, blockDim;
  size_t dynamicSmemBytes;
  cudaStream_t stream;
};

const char* cudaGetErrorString(cudaError_t error);
const char* cudaGetErrorName(cudaError_t error);
cudaError_t cudaGetLastError();
cudaError_t cudaDriverGetVersion(int* version);
cudaError_t cudaRuntimeGetVersion(int* version);
cudaError_t cudaGetDeviceCount(int* count);
cudaError_t cudaGetDevice(int* device);
cudaError_t cudaSetDevice(int device);
cudaError_t cudaDeviceGetAttribute(int* value, cudaDeviceAttr attribute, int device);
cudaError_t cudaPointerGetAttributes(cudaPointerAttributes* attributes, const void* pointer);
cudaError_t cudaMalloc(void** pointer, size_t bytes);
cudaError_t cudaFree(void* pointer);
cudaError_t cudaMemcpy(void* to, const void* from, size_t bytes, cudaMemcpyKind kind);
cudaError_t cudaStreamSynchronize(cudaStream_t stream);
cudaError_t cudaFuncSetAttribute(const void* function, cudaFuncAttribute attribute, int value);

cudaError_t RunBlocks(const cudaLaunchConfig_t& config, const std::function<void()>& thread);

template <typename... Parameters, typename... Arguments>
cudaError_t cudaLaunchKernelEx(const cudaLaunchConfig_t* config, void (*kernel)(Parameters...),
                               const Arguments&... arguments) {
  return RunBlocks(*config, [&] { kernel(Parameters(arguments)...); });
}

#endif  // SRCTRACE_TESTS_CUDA_ON_CPU_CUDA_RUNTIME_H_
