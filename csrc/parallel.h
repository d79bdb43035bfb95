// Work shared among threads.

#ifndef SRCTRACE_CSRC_PARALLEL_H_
#define SRCTRACE_CSRC_PARALLEL_H_

#include <algorithm>
#include <atomic>
#include <cstdint>
#include <exception>
#include <mutex>
#include <system_error>
#include <thread>
#include <vector>

#include "refuse.h"

namespace srctrace {

// Calls work(i, &worker) for each i < count on up to `threads` threads, each with a worker of its own from
// make_worker(). What the lowest i throws is thrown here, as is std::invalid_argument for fewer than one thread.
template <typename MakeWorker, typename Work>
void ForEach(int64_t count, int threads, const MakeWorker& make_worker, const Work& work) {
  if (threads < 1) Refuse("threads is ", threads, ": it must be at least 1");
  std::atomic<int64_t> next{0};
  std::mutex mutex;
  int64_t failed = count;
  std::exception_ptr error;
  const auto labour = [&] {
    int64_t i = count;
    try {
      auto worker = make_worker();
      while ((i = next++) < count) work(i, &worker);
    } catch (...) {
      next = count;  // all lower ones have been handed out already
      const std::lock_guard<std::mutex> lock(mutex);
      if (i <= failed) {
        failed = i;
        error = std::current_exception();
      }
    }
  };
  std::vector<std::thread> team;
  try {
    for (int64_t i = 1; i < std::min<int64_t>(threads, count); ++i) team.emplace_back(labour);
  } catch (const std::system_error&) {
    // The system gives no more threads: those there are do the work.
  }
  if (count > 0) labour();
  for (std::thread& thread : team) thread.join();
  if (error) std::rethrow_exception(error);
}

}  // namespace srctrace

#endif  // SRCTRACE_CSRC_PARALLEL_H_
