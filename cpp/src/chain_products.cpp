#include <algorithm>

#include "fastautorec/scan_items.hpp"
#include "fastautorec/simd.hpp"

#if defined(__x86_64__) && defined(__GNUC__)
#include <immintrin.h>
#define FASTAUTOREC_AVX2 1
#endif

namespace fastautorec {
namespace {

constexpr std::int64_t kChains = 8;  // side by side: each waits for its own last sum
constexpr std::int64_t kSets = 4;    // of so many

// A compiler that makes vectors of these chains spends more on putting them together than they save.
#if defined(__GNUC__) && !defined(__clang__)
#define FASTAUTOREC_SCALAR __attribute__((optimize("O3", "no-tree-vectorize")))
#else
#define FASTAUTOREC_SCALAR
#endif

FASTAUTOREC_SCALAR FASTAUTOREC_CLONES void chains(const float* a, const float* const* rows, std::int64_t first,
                                                  std::int64_t last, float* sums) {
    const float *r0 = rows[0], *r1 = rows[1], *r2 = rows[2], *r3 = rows[3], *r4 = rows[4], *r5 = rows[5], *r6 = rows[6],
                *r7 = rows[7];
    float s0 = 0, s1 = 0, s2 = 0, s3 = 0, s4 = 0, s5 = 0, s6 = 0, s7 = 0;
    for (std::int64_t c = first; c < last; ++c) {
        const float value = a[c];
        s0 = __builtin_fmaf(value, r0[c], s0);
        s1 = __builtin_fmaf(value, r1[c], s1);
        s2 = __builtin_fmaf(value, r2[c], s2);
        s3 = __builtin_fmaf(value, r3[c], s3);
        s4 = __builtin_fmaf(value, r4[c], s4);
        s5 = __builtin_fmaf(value, r5[c], s5);
        s6 = __builtin_fmaf(value, r6[c], s6);
        s7 = __builtin_fmaf(value, r7[c], s7);
    }
    const float all[kChains] = {s0, s1, s2, s3, s4, s5, s6, s7};
    for (int r = 0; r < kChains; ++r) sums[r] = first == 0 ? all[r] : sums[r] + all[r];
}

#ifdef FASTAUTOREC_AVX2
#define FASTAUTOREC_TARGET_AVX2 __attribute__((target("avx2,fma")))

// Four columns of eight rows: element r of columns[j] is that of row r.
FASTAUTOREC_TARGET_AVX2 inline void turn(const float* const* rows, std::int64_t c, __m256* columns) {
    __m256 two[4];  // rows in each: r and r + 4
    for (int r = 0; r < 4; ++r)
        two[r] =
            _mm256_insertf128_ps(_mm256_castps128_ps256(_mm_loadu_ps(rows[r] + c)), _mm_loadu_ps(rows[r + 4] + c), 1);
    const __m256d low = _mm256_castps_pd(_mm256_unpacklo_ps(two[0], two[1])),
                  high = _mm256_castps_pd(_mm256_unpackhi_ps(two[0], two[1])),
                  more_low = _mm256_castps_pd(_mm256_unpacklo_ps(two[2], two[3])),
                  more_high = _mm256_castps_pd(_mm256_unpackhi_ps(two[2], two[3]));
    columns[0] = _mm256_castpd_ps(_mm256_unpacklo_pd(low, more_low));
    columns[1] = _mm256_castpd_ps(_mm256_unpackhi_pd(low, more_low));
    columns[2] = _mm256_castpd_ps(_mm256_unpacklo_pd(high, more_high));
    columns[3] = _mm256_castpd_ps(_mm256_unpackhi_pd(high, more_high));
}

// The same chains for several sets of rows: a register has the sums of eight.
template <int kOf>
FASTAUTOREC_TARGET_AVX2 void chains_of_sets(const float* a, const float* const* rows, std::int64_t first,
                                            std::int64_t last, float* sums) {
    __m256 total[kOf];
    for (int s = 0; s < kOf; ++s) total[s] = _mm256_setzero_ps();
    std::int64_t c = first;
    for (; c + 4 <= last; c += 4) {
        for (int s = 0; s < kOf; ++s) {
            __m256 columns[4];
            turn(rows + s * kChains, c, columns);
            for (int j = 0; j < 4; ++j)
                total[s] = _mm256_fmadd_ps(_mm256_broadcast_ss(a + c + j), columns[j], total[s]);
        }
    }
    for (; c < last; ++c) {
        for (int s = 0; s < kOf; ++s) {
            const float* const* r = rows + s * kChains;
            const __m256 column =
                _mm256_setr_ps(r[0][c], r[1][c], r[2][c], r[3][c], r[4][c], r[5][c], r[6][c], r[7][c]);
            total[s] = _mm256_fmadd_ps(_mm256_broadcast_ss(a + c), column, total[s]);
        }
    }
    for (int s = 0; s < kOf; ++s) {
        float* its = sums + s * kChains;
        _mm256_storeu_ps(its, first == 0 ? total[s] : _mm256_add_ps(_mm256_loadu_ps(its), total[s]));
    }
}

bool has_avx2() {
    static const bool has = __builtin_cpu_supports("avx2") && __builtin_cpu_supports("fma");
    return has;
}
#endif

void chains_of(std::int64_t sets, const float* a, const float* const* rows, std::int64_t first, std::int64_t last,
               float* sums) {
#ifdef FASTAUTOREC_AVX2
    constexpr decltype(&chains_of_sets<1>) by_sets[kSets] = {chains_of_sets<1>, chains_of_sets<2>, chains_of_sets<3>,
                                                             chains_of_sets<4>};
    if (has_avx2()) return by_sets[sets - 1](a, rows, first, last, sums);
#endif
    for (std::int64_t s = 0; s < sets; ++s) chains(a, rows + s * kChains, first, last, sums + s * kChains);
}

}  // namespace

void chain_products(const float* a, ConstMatrix b, const std::int32_t* listed, std::int64_t count,
                    VectorView<const std::int64_t> borders, float* out) {
    constexpr std::int64_t kTogether = kSets * kChains;
    for (std::int64_t j = 0; j < count; j += kTogether) {
        const std::int64_t sets = std::min(kSets, (count - j + kChains - 1) / kChains);
        const float* rows[kTogether];
        float sums[kTogether];
        for (std::int64_t r = 0; r < sets * kChains; ++r) {
            rows[r] = b.row(listed[std::min(j + r, count - 1)]);
            fetch(rows[r], b.cols);
        }
        std::int64_t first = 0;
        for (std::int64_t border = 0; border < borders.size; first = borders.data[border++])
            chains_of(sets, a, rows, first, borders.data[border], sums);
        std::copy_n(sums, std::min(kTogether, count - j), out + j);
    }
}

}  // namespace fastautorec
