#define SRCTRACE_KERNEL kScalarKernel
#define SRCTRACE_NAME "scalar"
#define SRCTRACE_LANES 1
#include "kernel.inc"
