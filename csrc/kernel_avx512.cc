#define SRCTRACE_KERNEL kAvx512Kernel
#define SRCTRACE_NAME "avx512"
#define SRCTRACE_LANES 16
#include "kernel.inc"
