// Run-time choice of the instruction set: a function marked FASTAUTOREC_CLONES is compiled once per level and the
// loader picks one. Only free functions are cloned; what they call must be FASTAUTOREC_INLINE.
#pragma once

#include <cstdint>  // also makes the C library define __GLIBC__

#if defined(FASTAUTOREC_SIMD_DISPATCH) && defined(__x86_64__) && defined(__GLIBC__) && defined(__GNUC__) && \
    !defined(__clang__)
#if __GNUC__ >= 12
#define FASTAUTOREC_CLONES __attribute__((target_clones("arch=x86-64-v4", "arch=x86-64-v3", "default")))
#else
#define FASTAUTOREC_CLONES __attribute__((target_clones("avx512f", "avx2", "default")))
#endif
#else
#define FASTAUTOREC_CLONES
#endif

#define FASTAUTOREC_INLINE inline __attribute__((always_inline))

namespace fastautorec {

inline constexpr int kLanes = 16;  // one AVX-512 register; narrower levels use two or four

// Unaligned on purpose: rows of user arrays start anywhere.
typedef float Vec __attribute__((vector_size(kLanes * sizeof(float)), aligned(alignof(float)), may_alias));

typedef float HalfVec __attribute__((vector_size(kLanes / 2 * sizeof(float)), aligned(alignof(float)), may_alias));

typedef float QuarterVec __attribute__((vector_size(kLanes / 4 * sizeof(float)), aligned(alignof(float)), may_alias));

FASTAUTOREC_INLINE Vec& vec(float* p) { return *reinterpret_cast<Vec*>(p); }
FASTAUTOREC_INLINE const Vec& vec(const float* p) { return *reinterpret_cast<const Vec*>(p); }
FASTAUTOREC_INLINE HalfVec& half(float* p) { return *reinterpret_cast<HalfVec*>(p); }
FASTAUTOREC_INLINE const HalfVec& half(const float* p) { return *reinterpret_cast<const HalfVec*>(p); }
FASTAUTOREC_INLINE const QuarterVec& quarter(const float* p) { return *reinterpret_cast<const QuarterVec*>(p); }

// Asks for a row before it is needed.
FASTAUTOREC_INLINE void fetch(const float* row, std::int64_t size) {
    for (std::int64_t c = 0; c < size; c += kLanes) __builtin_prefetch(row + c);
}

const char* simd_level();  // "x86-64-v4", "x86-64-v3" or "baseline": what the loader picks on this machine

}  // namespace fastautorec
