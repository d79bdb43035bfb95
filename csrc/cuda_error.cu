#include <cuda_runtime.h>
#include <dlfcn.h>

#include <cstdint>
#include <sstream>

#include "cuda_error.h"
#include "refuse.h"

namespace srctrace {
namespace {

constexpr int kOldest = 80;  // compute capability, times 10

std::string Version(int version) { return std::to_string(version / 1000) + "." + std::to_string(version % 1000 / 10); }

bool DriverIsInstalled() {
  void* const library = dlopen("libcuda.so.1", RTLD_LAZY | RTLD_LOCAL);
  if (library != nullptr) dlclose(library);
  return library != nullptr;
}

}  // namespace

void CheckCuda(int status, const char* doing) {
  if (status == cudaSuccess) return;
  cudaGetLastError();  // else the next call, anybody's, would give it again
  const cudaError_t error = static_cast<cudaError_t>(status);
  throw CudaError(std::string("CUDA failed to ") + doing + ": " + cudaGetErrorString(error) + " (" +
                  cudaGetErrorName(error) + ")");
}

int DeviceAttribute(int attribute, int device) {
  int value = 0;
  CheckCuda(cudaDeviceGetAttribute(&value, static_cast<cudaDeviceAttr>(attribute), device),
            "ask for the device's properties");
  return value;
}

std::string WhyNoGpu() {
  int count = 0;
  const cudaError_t status = cudaGetDeviceCount(&count);
  if (status == cudaSuccess && count > 0) return "";
  cudaGetLastError();
  if (!DriverIsInstalled()) return "no GPU: the NVIDIA driver is not installed (libcuda.so.1 was not found)";
  if (status == cudaErrorInsufficientDriver) {
    int driver = 0, runtime = 0;
    cudaDriverGetVersion(&driver);
    cudaRuntimeGetVersion(&runtime);
    return "no GPU: the NVIDIA driver is for CUDA " + Version(driver) + ", older than CUDA " + Version(runtime) +
           ", which srctrace._cuda was built with";
  }
  if (status == cudaSuccess || status == cudaErrorNoDevice) return "no GPU: the NVIDIA driver finds none";
  return std::string("no GPU: ") + cudaGetErrorString(status) + " (" + cudaGetErrorName(status) + ")";
}

void CheckDevice(int device) {
  const std::string none = WhyNoGpu();
  if (!none.empty()) throw CudaError(none);
  int count = 0;
  CheckCuda(cudaGetDeviceCount(&count), "count the devices");
  if (device < 0 || device >= count) Refuse("device is ", device, ": there are ", count, ", from 0 on");
  const int major = DeviceAttribute(cudaDevAttrComputeCapabilityMajor, device);
  const int minor = DeviceAttribute(cudaDevAttrComputeCapabilityMinor, device);
  if (10 * major + minor < kOldest) {
    throw CudaError("device " + std::to_string(device) + " has compute capability " + std::to_string(major) + "." +
                    std::to_string(minor) + ": 8.0 or later is needed");
  }
}

void CheckPointer(const void* pointer, const char* name, size_t alignment, int device) {
  if (reinterpret_cast<uintptr_t>(pointer) % alignment != 0) {
    Refuse(name, " is at ", pointer, ": its address must be a multiple of ", alignment);
  }
  cudaPointerAttributes attributes;
  CheckCuda(cudaPointerGetAttributes(&attributes, pointer), "look up a pointer");
  if (attributes.type != cudaMemoryTypeDevice && attributes.type != cudaMemoryTypeManaged) {
    Refuse(name, " is in the host's memory: it must be in that of device ", device);
  }
  if (attributes.type == cudaMemoryTypeDevice && attributes.device != device) {
    Refuse(name, " is on device ", attributes.device, ": it must be on device ", device);
  }
}

DeviceScope::DeviceScope(int device) {
  CheckCuda(cudaGetDevice(&before_), "ask for the current device");
  CheckCuda(cudaSetDevice(device), "take the device");
}

DeviceScope::~DeviceScope() { cudaSetDevice(before_); }

}  // namespace srctrace
