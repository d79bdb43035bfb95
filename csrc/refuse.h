// How the core says no: std::invalid_argument, with a message made of parts.

#ifndef SRCTRACE_CSRC_REFUSE_H_
#define SRCTRACE_CSRC_REFUSE_H_

#include <sstream>
#include <stdexcept>

namespace srctrace {

template <typename... Parts>
[[noreturn]] void Refuse(const Parts&... parts) {
  std::ostringstream message;
  (message << ... << parts);
  throw std::invalid_argument(message.str());
}

}  // namespace srctrace

#endif  // SRCTRACE_CSRC_REFUSE_H_
