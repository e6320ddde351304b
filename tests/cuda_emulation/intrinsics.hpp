// CUDA's keywords, vector types and functions for `cuda_on_cpu.hpp`. Barriers and warp operations know their line, so
// that threads which meet at different places are found.
#pragma once

#include <math.h>
#include <stdlib.h>
#include <string.h>

#include <type_traits>

#include "block.hpp"

#define __CUDACC__ 1
#define __CUDA_ARCH__ 800
#define __global__
#define __device__
#define __host__
#define __forceinline__ inline
#define __noinline__ __attribute__((noinline))
#define __constant__ static const
#define __launch_bounds__(...)
#define __align__(n) __attribute__((aligned(n)))
// Blocks run one by one, so that one copy is enough; a section of its own, so that it can be spoilt between blocks.
#define __shared__ static __attribute__((section("cuda_shared")))

#define __syncthreads cuda_on_cpu::Barrier{__LINE__}.sync
#define __syncthreads_count cuda_on_cpu::Barrier{__LINE__}.count
#define __syncthreads_or cuda_on_cpu::Barrier{__LINE__}.any
#define __syncthreads_and cuda_on_cpu::Barrier{__LINE__}.all
#define __syncwarp cuda_on_cpu::Warp{__LINE__}.sync
#define __ballot_sync cuda_on_cpu::Warp{__LINE__}.ballot
#define __any_sync cuda_on_cpu::Warp{__LINE__}.any
#define __all_sync cuda_on_cpu::Warp{__LINE__}.all
#define __shfl_sync cuda_on_cpu::Warp{__LINE__}.shuffle
#define __shfl_up_sync cuda_on_cpu::Warp{__LINE__}.shuffle_up
#define __shfl_down_sync cuda_on_cpu::Warp{__LINE__}.shuffle_down
#define __shfl_xor_sync cuda_on_cpu::Warp{__LINE__}.shuffle_xor

namespace cuda_on_cpu {
namespace {

struct Barrier {
    int line;

    void sync() const { wait_at_barrier(line, false); }
    int count(int vote) const { return wait_at_barrier(line, vote != 0).count; }
    int any(int vote) const { return wait_at_barrier(line, vote != 0).any; }
    int all(int vote) const { return wait_at_barrier(line, vote != 0).all; }
};

struct Warp {
    int line;

    static int lane() { return static_cast<int>(block.current % kWarp); }

    void sync(unsigned mask = ~0u) const { wait_in_warp(Operation::kSyncWarp, line, mask, 0, 0); }

    unsigned ballot(unsigned mask, int vote) const {
        return static_cast<unsigned>(wait_in_warp(Operation::kBallot, line, mask, vote != 0, 0));
    }
    int any(unsigned mask, int vote) const { return ballot(mask, vote) != 0; }
    int all(unsigned mask, int vote) const { return ballot(mask, vote) == mask; }

    template <class T>
    T shuffle(unsigned mask, T value, int source, int width = 32) const {
        static_assert(sizeof(T) <= 8 && std::is_arithmetic<T>::value, "shuffles move numbers of up to 8 bytes");
        if (width != static_cast<int>(kWarp)) throw Error("shuffles have width 32 here");
        std::uint64_t word = 0;
        memcpy(&word, &value, sizeof(T));
        word = wait_in_warp(Operation::kShuffle, line, mask, word, source & 31);
        memcpy(&value, &word, sizeof(T));
        return value;
    }
    template <class T>  // lanes whose source is outside the warp keep their value
    T shuffle_up(unsigned mask, T value, unsigned distance, int width = 32) const {
        const int source = lane() - static_cast<int>(distance);
        return shuffle(mask, value, source < 0 ? lane() : source, width);
    }
    template <class T>
    T shuffle_down(unsigned mask, T value, unsigned distance, int width = 32) const {
        const int source = lane() + static_cast<int>(distance);
        return shuffle(mask, value, source > 31 ? lane() : source, width);
    }
    template <class T>
    T shuffle_xor(unsigned mask, T value, int bits, int width = 32) const {
        return shuffle(mask, value, lane() ^ bits, width);
    }
};

}  // namespace
}  // namespace cuda_on_cpu

namespace {

// clang-format off
struct alignas(8) float2 { float x, y; };
struct alignas(16) float4 { float x, y, z, w; };
struct alignas(16) double2 { double x, y; };
struct alignas(8) int2 { int x, y; };
struct alignas(16) int4 { int x, y, z, w; };
struct alignas(8) uint2 { unsigned x, y; };
struct alignas(16) uint4 { unsigned x, y, z, w; };
inline float2 make_float2(float x, float y) { return {x, y}; }
inline float4 make_float4(float x, float y, float z, float w) { return {x, y, z, w}; }
inline double2 make_double2(double x, double y) { return {x, y}; }
inline int2 make_int2(int x, int y) { return {x, y}; }
inline int4 make_int4(int x, int y, int z, int w) { return {x, y, z, w}; }
inline uint2 make_uint2(unsigned x, unsigned y) { return {x, y}; }
inline uint4 make_uint4(unsigned x, unsigned y, unsigned z, unsigned w) { return {x, y, z, w}; }
// clang-format on

constexpr int warpSize = 32;

template <class A, class B, class T = std::common_type_t<A, B>>
T max(A a, B b) {
    if constexpr (std::is_floating_point<T>::value) return static_cast<T>(fmax(a, b));  // not NaN, as CUDA has it
    return static_cast<T>(a) < static_cast<T>(b) ? static_cast<T>(b) : static_cast<T>(a);
}
template <class A, class B, class T = std::common_type_t<A, B>>
T min(A a, B b) {
    if constexpr (std::is_floating_point<T>::value) return static_cast<T>(fmin(a, b));
    return static_cast<T>(b) < static_cast<T>(a) ? static_cast<T>(b) : static_cast<T>(a);
}

template <class To, class From>
To bits_as(From from) {
    static_assert(sizeof(To) == sizeof(From));
    To to;
    memcpy(&to, &from, sizeof(To));
    return to;
}
inline int __float_as_int(float x) { return bits_as<int>(x); }
inline unsigned __float_as_uint(float x) { return bits_as<unsigned>(x); }
inline float __int_as_float(int x) { return bits_as<float>(x); }
inline float __uint_as_float(unsigned x) { return bits_as<float>(x); }
inline long long __double_as_longlong(double x) { return bits_as<long long>(x); }
inline double __longlong_as_double(long long x) { return bits_as<double>(x); }

inline int __popc(unsigned x) { return __builtin_popcount(x); }
inline int __popcll(unsigned long long x) { return __builtin_popcountll(x); }
inline int __ffs(int x) { return __builtin_ffs(x); }
inline int __ffsll(long long x) { return __builtin_ffsll(x); }
inline int __clz(int x) { return x ? __builtin_clz(static_cast<unsigned>(x)) : 32; }
inline int __clzll(long long x) { return x ? __builtin_clzll(static_cast<unsigned long long>(x)) : 64; }
inline unsigned __brev(unsigned x) {
    unsigned r = 0;
    for (int i = 0; i < 32; ++i) r |= (x >> i & 1u) << (31 - i);
    return r;
}
inline unsigned __umulhi(unsigned a, unsigned b) { return static_cast<unsigned>(std::uint64_t{a} * b >> 32); }
inline unsigned long long __umul64hi(unsigned long long a, unsigned long long b) {
    __extension__ using Wide = unsigned __int128;
    return static_cast<unsigned long long>(static_cast<Wide>(a) * b >> 64);
}

inline float rsqrtf(float x) { return 1.0f / sqrtf(x); }
inline float __expf(float x) { return expf(x); }
inline float __logf(float x) { return logf(x); }
inline float __fdividef(float a, float b) { return a / b; }
inline float __fadd_rn(float a, float b) { return a + b; }
inline float __fmul_rn(float a, float b) { return a * b; }
inline float __fsqrt_rn(float a) { return sqrtf(a); }
inline float __fdiv_rn(float a, float b) { return a / b; }
inline float __fmaf_rn(float a, float b, float c) { return fmaf(a, b, c); }
inline double __dadd_rn(double a, double b) { return a + b; }
inline double __dmul_rn(double a, double b) { return a * b; }

template <class T>
T __ldg(const T* p) {
    return *p;
}
template <class T>
T __ldcs(const T* p) {
    return *p;
}
template <class T>
void __stcs(T* p, T value) {
    *p = value;
}

inline void __threadfence() {}
inline void __threadfence_block() {}

// The order of atomic operations is not fixed, so a sum of floating-point numbers would not be either.
template <class T, class Change>
T atomic(T* p, Change change) {
    static_assert(std::is_integral<T>::value, "atomics are for integers here");
    const T old = *p;
    *p = change(old);
    return old;
}
// clang-format off
template <class T> using Same = std::common_type_t<T>;  // the pointer alone decides the type
template <class T> T atomicAdd(T* p, Same<T> v) { return atomic(p, [=](T old) { return static_cast<T>(old + v); }); }
template <class T> T atomicSub(T* p, Same<T> v) { return atomic(p, [=](T old) { return static_cast<T>(old - v); }); }
template <class T> T atomicMax(T* p, Same<T> v) { return atomic(p, [=](T old) { return old < v ? v : old; }); }
template <class T> T atomicMin(T* p, Same<T> v) { return atomic(p, [=](T old) { return v < old ? v : old; }); }
template <class T> T atomicOr(T* p, Same<T> v) { return atomic(p, [=](T old) { return static_cast<T>(old | v); }); }
template <class T> T atomicAnd(T* p, Same<T> v) { return atomic(p, [=](T old) { return static_cast<T>(old & v); }); }
template <class T> T atomicXor(T* p, Same<T> v) { return atomic(p, [=](T old) { return static_cast<T>(old ^ v); }); }
template <class T> T atomicExch(T* p, Same<T> v) { return atomic(p, [=](T) { return v; }); }
template <class T> T atomicCAS(T* p, Same<T> compare, Same<T> v) {
    return atomic(p, [=](T old) { return old == compare ? v : old; });
}
// clang-format on

}  // namespace
