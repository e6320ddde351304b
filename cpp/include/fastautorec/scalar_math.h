// Per-element formulas, one text for the C++ core and the CUDA kernels.
#pragma once

#ifdef __CUDACC__
#define FASTAUTOREC_HD __host__ __device__ __forceinline__
#else
#include <cmath>
#define FASTAUTOREC_HD inline
#endif

namespace fastautorec {

enum Activation { kIdentity = 0, kRelu = 1, kTanh = 2, kSigmoid = 3 };

FASTAUTOREC_HD float activate(float a, int activation) {
    switch (activation) {
        case kRelu:
            return a > 0.0f ? a : 0.0f;
        case kTanh:
            return tanhf(a);
        case kSigmoid:
            return 1.0f / (1.0f + expf(-a));
        default:
            return a;
    }
}

}  // namespace fastautorec
