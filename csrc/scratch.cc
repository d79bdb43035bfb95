#include "scratch.h"

#include <map>
#include <mutex>
#include <new>
#include <utility>

namespace srctrace {
namespace {

constexpr std::align_val_t kAlignment{64};
constexpr size_t kBytesKept = size_t{256} << 20;

struct Pool {
  std::mutex mutex;
  std::multimap<size_t, void*> free;  // by size
  size_t bytes = 0;
};

// Never destroyed: threads may outlive static objects.
Pool& GetPool() {
  static Pool& pool = *new Pool;
  return pool;
}

}  // namespace

Scratch::Scratch(size_t bytes) : bytes_(bytes) {
  if (bytes == 0) return;
  Pool& pool = GetPool();
  {
    const std::lock_guard<std::mutex> lock(pool.mutex);
    const auto found = pool.free.lower_bound(bytes);
    if (found != pool.free.end() && found->first <= 2 * bytes) {
      bytes_ = found->first;
      memory_ = found->second;
      pool.bytes -= bytes_;
      pool.free.erase(found);
      return;
    }
  }
  memory_ = ::operator new(bytes, kAlignment);
}

Scratch::~Scratch() {
  if (memory_ == nullptr) return;
  Pool& pool = GetPool();
  {
    const std::lock_guard<std::mutex> lock(pool.mutex);
    if (pool.bytes + bytes_ <= kBytesKept) {
      pool.free.emplace(bytes_, memory_);
      pool.bytes += bytes_;
      return;
    }
  }
  ::operator delete(memory_, kAlignment);
}

Scratch::Scratch(Scratch&& other) noexcept
    : memory_(std::exchange(other.memory_, nullptr)), bytes_(std::exchange(other.bytes_, 0)) {}

Scratch& Scratch::operator=(Scratch&& other) noexcept {
  std::swap(memory_, other.memory_);
  std::swap(bytes_, other.bytes_);
  return *this;
}

}  // namespace srctrace
