#include <ucontext.h>

#include <algorithm>
#include <cstdlib>
#include <memory>
#include <vector>

#include "cuda_runtime.h"

#ifdef __SANITIZE_ADDRESS__
#include <sanitizer/asan_interface.h>
#include <sanitizer/common_interface_defs.h>
#endif

namespace {

constexpr int kWarp = 32;
constexpr size_t kStackBytes = 64 << 10;
constexpr size_t kMaxShared = 256 << 10;

int64_t FromEnvironment(const char* name, int64_t otherwise) {
  const char* const text = std::getenv(name);
  return text == nullptr ? otherwise : std::atoll(text);
}

struct Fiber {
  enum State { kRunning, kAtBarrier, kAtReduction, kDone };
  ucontext_t context;
  std::unique_ptr<char[]> stack{new char[kStackBytes]};
  State state = kRunning;
  int value = 0;  // given to a reduction, and got from it
};

ucontext_t scheduler;
std::vector<Fiber> fibers;
size_t current = 0;
const std::function<void()>* thread_function = nullptr;
int device = 0;

// AddressSanitizer has to know of each change of stacks.
#ifdef __SANITIZE_ADDRESS__
const void* scheduler_stack = nullptr;
size_t scheduler_bytes = 0;
#endif

void Leave(Fiber::State state) {
  Fiber& fiber = fibers[current];
  fiber.state = state;
#ifdef __SANITIZE_ADDRESS__
  void* fake = nullptr;
  __sanitizer_start_switch_fiber(state == Fiber::kDone ? nullptr : &fake, scheduler_stack, scheduler_bytes);
#endif
  swapcontext(&fiber.context, &scheduler);
#ifdef __SANITIZE_ADDRESS__
  __sanitizer_finish_switch_fiber(fake, &scheduler_stack, &scheduler_bytes);
#endif
}

void Begin() {
#ifdef __SANITIZE_ADDRESS__
  __sanitizer_finish_switch_fiber(nullptr, &scheduler_stack, &scheduler_bytes);
#endif
  (*thread_function)();
  Leave(Fiber::kDone);
}

void Enter(size_t index) {
  current = index;
  threadIdx.x = static_cast<unsigned>(index);
  Fiber& fiber = fibers[index];
  fiber.state = Fiber::kRunning;
#ifdef __SANITIZE_ADDRESS__
  void* fake = nullptr;
  __sanitizer_start_switch_fiber(&fake, fiber.stack.get(), kStackBytes);
#endif
  swapcontext(&scheduler, &fiber.context);
#ifdef __SANITIZE_ADDRESS__
  __sanitizer_finish_switch_fiber(fake, nullptr, nullptr);
#endif
}

bool All(size_t begin, size_t end, Fiber::State state) {
  return std::all_of(fibers.begin() + begin, fibers.begin() + end, [&](const Fiber& f) { return f.state == state; });
}

// Runs a warp up to the block's next barrier.
void RunWarp(size_t begin, bool backwards) {
  const size_t end = begin + kWarp;
  for (;;) {
    for (size_t i = 0; i < kWarp; ++i) {
      const size_t index = backwards ? end - 1 - i : begin + i;
      if (fibers[index].state == Fiber::kRunning) Enter(index);
    }
    if (!All(begin, end, Fiber::kAtReduction)) return;
    int most = fibers[begin].value;
    for (size_t i = begin; i < end; ++i) most = std::max(most, fibers[i].value);
    for (size_t i = begin; i < end; ++i) {
      fibers[i].value = most;
      fibers[i].state = Fiber::kRunning;
    }
  }
}

void RunBlock() {
  const size_t threads = fibers.size();
  for (Fiber& fiber : fibers) {
    getcontext(&fiber.context);
    fiber.context.uc_stack.ss_sp = fiber.stack.get();
    fiber.context.uc_stack.ss_size = kStackBytes;
    fiber.context.uc_link = nullptr;
    makecontext(&fiber.context, Begin, 0);
    fiber.state = Fiber::kRunning;
  }
  const bool backwards = std::getenv("CUDA_ON_CPU_BACKWARDS") != nullptr;
  for (;;) {
    for (size_t warp = 0; warp < threads; warp += kWarp) {
      RunWarp(backwards ? threads - kWarp - warp : warp, backwards);
    }
    if (All(0, threads, Fiber::kDone)) return;
    if (!All(0, threads, Fiber::kAtBarrier)) std::abort();  // some are at a barrier that others never come to
    for (Fiber& fiber : fibers) fiber.state = Fiber::kRunning;
  }
}

}  // namespace

namespace srctrace {
float4 shared_memory[kMaxShared / sizeof(float4)];
}  // namespace srctrace

dim3 threadIdx, blockIdx, blockDim, gridDim;

void __syncthreads() { Leave(Fiber::kAtBarrier); }

int __reduce_max_sync(unsigned mask, int value) {
  if (mask != ~0u) std::abort();
  fibers[current].value = value;
  Leave(Fiber::kAtReduction);
  return fibers[current].value;
}

cudaError_t RunBlocks(const cudaLaunchConfig_t& config, const std::function<void()>& thread) {
  if (config.blockDim.x == 0 || config.blockDim.x % kWarp != 0 || config.gridDim.x == 0) std::abort();
  if (config.dynamicSmemBytes > kMaxShared) std::abort();
  thread_function = &thread;
  gridDim.x = std::min(config.gridDim.x, static_cast<unsigned>(FromEnvironment("CUDA_ON_CPU_BLOCKS", 1 << 30)));
  blockDim = config.blockDim;
  fibers.clear();
  fibers.resize(config.blockDim.x);
  char* const memory = reinterpret_cast<char*>(srctrace::shared_memory);
#ifdef __SANITIZE_ADDRESS__
  ASAN_POISON_MEMORY_REGION(memory + config.dynamicSmemBytes, kMaxShared - config.dynamicSmemBytes);
#endif
  for (unsigned block = 0; block < gridDim.x; ++block) {
    blockIdx.x = block;
    std::memset(memory, 0xff, config.dynamicSmemBytes);  // NaN
    RunBlock();
  }
#ifdef __SANITIZE_ADDRESS__
  ASAN_UNPOISON_MEMORY_REGION(memory, kMaxShared);
#endif
  return cudaSuccess;
}

const char* cudaGetErrorString(cudaError_t) { return "a CUDA error"; }
const char* cudaGetErrorName(cudaError_t) { return "cudaError"; }
cudaError_t cudaGetLastError() { return cudaSuccess; }
cudaError_t cudaDriverGetVersion(int* version) { return *version = 13000, cudaSuccess; }
cudaError_t cudaRuntimeGetVersion(int* version) { return *version = 13000, cudaSuccess; }
cudaError_t cudaGetDeviceCount(int* count) { return *count = 1, cudaSuccess; }
cudaError_t cudaGetDevice(int* out) { return *out = device, cudaSuccess; }
cudaError_t cudaSetDevice(int chosen) { return device = chosen, cudaSuccess; }

cudaError_t cudaDeviceGetAttribute(int* value, cudaDeviceAttr attribute, int) {
  switch (attribute) {
    case cudaDevAttrComputeCapabilityMajor:
      *value = 9;
      break;
    case cudaDevAttrComputeCapabilityMinor:
      *value = 0;
      break;
    case cudaDevAttrL2CacheSize:
      *value = static_cast<int>(FromEnvironment("CUDA_ON_CPU_L2", 50 << 20));
      break;
    case cudaDevAttrMaxSharedMemoryPerBlockOptin:
      *value = static_cast<int>(FromEnvironment("CUDA_ON_CPU_SHARED", 227 << 10));
      break;
    case cudaDevAttrMaxSharedMemoryPerMultiprocessor:
      *value = 228 << 10;
      break;
  }
  return cudaSuccess;
}

cudaError_t cudaPointerGetAttributes(cudaPointerAttributes* attributes, const void* pointer) {
  *attributes = {pointer == nullptr ? cudaMemoryTypeUnregistered : cudaMemoryTypeDevice, 0};
  return cudaSuccess;
}

cudaError_t cudaMalloc(void** pointer, size_t bytes) {
  *pointer = std::aligned_alloc(256, (bytes + 255) / 256 * 256);
  return *pointer == nullptr ? cudaErrorMemoryAllocation : cudaSuccess;
}

cudaError_t cudaFree(void* pointer) {
  std::free(pointer);
  return cudaSuccess;
}

cudaError_t cudaMemcpy(void* to, const void* from, size_t bytes, cudaMemcpyKind) {
  std::memcpy(to, from, bytes);
  return cudaSuccess;
}

cudaError_t cudaStreamSynchronize(cudaStream_t) { return cudaSuccess; }

cudaError_t cudaFuncSetAttribute(const void*, cudaFuncAttribute, int) { return cudaSuccess; }
