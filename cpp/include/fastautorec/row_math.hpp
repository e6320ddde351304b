// Loops over one row of floats, whatever its length and alignment; to be inlined into functions with clones.
#pragma once

#include <cstdint>

#include "fastautorec/simd.hpp"

namespace fastautorec {

// out += value * a
FASTAUTOREC_INLINE void add_scaled(float value, const float* a, std::int64_t size, float* out) {
    std::int64_t c = 0;
    for (; c + kLanes <= size; c += kLanes) vec(out + c) += value * vec(a + c);
    if (c + kLanes / 2 <= size) {
        half(out + c) += value * half(a + c);
        c += kLanes / 2;
    }
    for (; c < size; ++c) out[c] += value * a[c];
}

FASTAUTOREC_INLINE float sum_of(const Vec lanes) {
    float sum[kLanes];
    vec(sum) = lanes;
    for (int width = kLanes / 2; width > 0; width /= 2)
        for (int c = 0; c < width; ++c) sum[c] += sum[c + width];
    return sum[0];
}

FASTAUTOREC_INLINE float dot(const float* a, const float* b, std::int64_t size) {
    Vec even{}, odd{};
    std::int64_t c = 0;
    for (; c + 2 * kLanes <= size; c += 2 * kLanes) {
        even += vec(a + c) * vec(b + c);
        odd += vec(a + c + kLanes) * vec(b + c + kLanes);
    }
    if (c + kLanes <= size) {
        even += vec(a + c) * vec(b + c);
        c += kLanes;
    }
    float rest = 0.0f;
    for (; c < size; ++c) rest += a[c] * b[c];
    return sum_of(even + odd) + rest;
}

}  // namespace fastautorec
