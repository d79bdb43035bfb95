// What can go wrong on a GPU, as exceptions whose messages say it.

#ifndef SRCTRACE_CSRC_CUDA_ERROR_H_
#define SRCTRACE_CSRC_CUDA_ERROR_H_

#include <cstddef>
#include <stdexcept>
#include <string>

namespace srctrace {

class CudaError : public std::runtime_error {
 public:
  using std::runtime_error::runtime_error;
};

// Throws CudaError unless `status`, a cudaError_t, is success. `doing` completes "CUDA failed to ...".
void CheckCuda(int status, const char* doing);

// A property of a device; `attribute` is a cudaDeviceAttr.
int DeviceAttribute(int attribute, int device);

// Why there is no GPU to compute on, in one line; empty if there is one.
std::string WhyNoGpu();

// Throws CudaError, which says why, if there is no such device, or it is too old.
void CheckDevice(int device);

// Throws std::invalid_argument unless `pointer` is to the memory of `device` and a multiple of `alignment`.
void CheckPointer(const void* pointer, const char* name, size_t alignment, int device);

// Makes a device the current one, as long as this is there.
class DeviceScope {
 public:
  explicit DeviceScope(int device);
  ~DeviceScope();
  DeviceScope(const DeviceScope&) = delete;

 private:
  int before_;
};

}  // namespace srctrace

#endif  // SRCTRACE_CSRC_CUDA_ERROR_H_
