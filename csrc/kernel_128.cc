// The 128 bits that every x86-64 processor has, and every 64-bit Arm.
#if defined(__aarch64__)
#define SRCTRACE_NAME "neon"
#else
#define SRCTRACE_NAME "sse2"
#endif
#define SRCTRACE_KERNEL k128Kernel
#define SRCTRACE_LANES 4
#include "kernel.inc"
