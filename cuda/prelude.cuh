// Pasted in front of every kernel file by the loader. Kernels use grid-stride loops over 64-bit indices.
#pragma once

#define FASTAUTOREC_GRID_STRIDE(i, n)                                                          \
    for (long long i = blockIdx.x * static_cast<long long>(blockDim.x) + threadIdx.x; i < (n); \
         i += static_cast<long long>(gridDim.x) * blockDim.x)
