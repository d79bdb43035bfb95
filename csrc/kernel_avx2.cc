#define SRCTRACE_KERNEL kAvx2Kernel
#define SRCTRACE_NAME "avx2"
#define SRCTRACE_LANES 8
#include "kernel.inc"
