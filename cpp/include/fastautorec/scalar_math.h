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

// Constants of one step of an optimiser, the bias corrections of Adam among them.
struct UpdateRates {
    float rate;           // "adam": learning_rate / (1 - beta1^step)
    float decay;          // added to the gradient as decay * w; 0 for "adamw"
    float shrink;         // w is multiplied by it first: 1 - learning_rate * decay for "adamw", else 1
    float beta1, share1;  // share: 1 - beta, rounded once
    float beta2, share2;
    float correction;  // 1 / sqrt(1 - beta2^step)
    float epsilon;
};

FASTAUTOREC_HD void sgd_update(float g, const UpdateRates& r, float& w) { w -= r.rate * (g + r.decay * w); }

// beta1 is the momentum; 0 at the first step, which starts the average.
FASTAUTOREC_HD void momentum_update(float g, const UpdateRates& r, float& w, float& m) {
    m = r.beta1 * m + (g + r.decay * w);
    w -= r.rate * m;
}

FASTAUTOREC_HD void adam_update(float g, const UpdateRates& r, float& w, float& m, float& v) {
    const float shrunk = r.shrink * w;
    const float full = g + r.decay * w;
    m = r.beta1 * m + r.share1 * full;
    v = r.beta2 * v + r.share2 * full * full;
    w = shrunk - r.rate * m / (sqrtf(v) * r.correction + r.epsilon);
}

// out(z) of the negative-sampling head, "logsigmoid" for log s(z) of positives and -log s(-z) of negatives (Eq. 3).
enum Output { kSigmoidOutput = 0, kLogSigmoidOutput = 1, kTanhOutput = 2, kIdentityOutput = 3 };

struct OutputSlope {
    float value, slope;
};

FASTAUTOREC_HD OutputSlope output_of(float z, int output, bool positive) {
    if (output == kIdentityOutput) return {z, 1.0f};
    if (output == kTanhOutput) {
        const float t = tanhf(z);
        return {t, 1.0f - t * t};
    }
    const float e = expf(-fabsf(z));  // never overflows, and both of s(z) and s(-z) keep their digits
    const float large = 1.0f / (1.0f + e), small = e * large;
    const float up = z > 0.0f ? large : small, down = z > 0.0f ? small : large;  // s(z), s(-z)
    if (output == kSigmoidOutput) return {up, up * down};
    const float tail = log1pf(e);
    if (positive) return {(z < 0.0f ? z : 0.0f) - tail, down};
    return {(z > 0.0f ? z : 0.0f) + tail, up};
}

}  // namespace fastautorec
