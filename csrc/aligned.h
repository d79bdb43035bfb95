// Memory for vectors.

#ifndef SRCTRACE_CSRC_ALIGNED_H_
#define SRCTRACE_CSRC_ALIGNED_H_

#include <cstddef>
#include <new>
#include <vector>

namespace srctrace {

// Allocates at multiples of 64 bytes: the longest vector, and a cache line.
template <typename T>
struct AlignedAllocator {
  using value_type = T;
  static constexpr std::align_val_t kAlignment{64};

  AlignedAllocator() = default;
  template <typename U>
  explicit AlignedAllocator(const AlignedAllocator<U>&) {}

  T* allocate(size_t count) { return static_cast<T*>(::operator new(count * sizeof(T), kAlignment)); }
  void deallocate(T* p, size_t) { ::operator delete(p, kAlignment); }

  bool operator==(const AlignedAllocator&) const { return true; }
  bool operator!=(const AlignedAllocator&) const { return false; }
};

template <typename T>
using AlignedArray = std::vector<T, AlignedAllocator<T>>;

}  // namespace srctrace

#endif  // SRCTRACE_CSRC_ALIGNED_H_
