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

// out += values[0] * rows[0] + ... + values[3] * rows[3]: out is read and written once.
FASTAUTOREC_INLINE void add_four_scaled(const float* values, const float* const* rows, std::int64_t size, float* out) {
    const float *a0 = rows[0], *a1 = rows[1], *a2 = rows[2], *a3 = rows[3];
    const float v0 = values[0], v1 = values[1], v2 = values[2], v3 = values[3];
    std::int64_t c = 0;
    for (; c + kLanes <= size; c += kLanes)
        vec(out + c) += (v0 * vec(a0 + c) + v1 * vec(a1 + c)) + (v2 * vec(a2 + c) + v3 * vec(a3 + c));
    for (; c < size; ++c) out[c] += (v0 * a0[c] + v1 * a1[c]) + (v2 * a2[c] + v3 * a3[c]);
}

// By halves: pairs of lanes that lie 8 apart, then 4, 2 and 1.
FASTAUTOREC_INLINE float sum_of(Vec lanes) {
    float* p = reinterpret_cast<float*>(&lanes);
    HalfVec eight = half(p) + half(p + kLanes / 2);
    p = reinterpret_cast<float*>(&eight);
    const QuarterVec four = quarter(p) + quarter(p + kLanes / 4);
    return (four[0] + four[2]) + (four[1] + four[3]);
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

// out[r] = <rows[r], b> for four rows at a time.
FASTAUTOREC_INLINE void four_dots(const float* const* rows, const float* b, std::int64_t size, float* out) {
    Vec sums[4]{};
    std::int64_t c = 0;
    for (; c + kLanes <= size; c += kLanes)
        for (int r = 0; r < 4; ++r) sums[r] += vec(rows[r] + c) * vec(b + c);
    for (int r = 0; r < 4; ++r) {
        float rest = 0.0f;
        for (std::int64_t e = c; e < size; ++e) rest += rows[r][e] * b[e];
        out[r] = sum_of(sums[r]) + rest;
    }
}

}  // namespace fastautorec
