#include "fastautorec/simd.hpp"

namespace fastautorec {

const char* simd_level() {
#if defined(FASTAUTOREC_SIMD_DISPATCH) && defined(__x86_64__) && defined(__GLIBC__) && defined(__GNUC__) && \
    !defined(__clang__)
    __builtin_cpu_init();
    if (__builtin_cpu_supports("avx512f") && __builtin_cpu_supports("avx512vl")) return "x86-64-v4";
    if (__builtin_cpu_supports("avx2") && __builtin_cpu_supports("fma")) return "x86-64-v3";
#endif
    return "baseline";
}

}  // namespace fastautorec
