#pragma once
// GRADUS_FN marks functions that also run on a GPU.

#if defined(__CUDACC__)
#define GRADUS_FN __host__ __device__
#else
#define GRADUS_FN
#endif
