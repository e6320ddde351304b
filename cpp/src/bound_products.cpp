#include <algorithm>
#include <cstring>

#include "fastautorec/item_codes.hpp"

#if defined(__x86_64__) && defined(__GNUC__)
#if !defined(__clang__)  // GCC 12 warns of the undefined registers in its own header
#pragma GCC diagnostic ignored "-Wuninitialized"
#pragma GCC diagnostic ignored "-Wmaybe-uninitialized"
#endif
#include <immintrin.h>
#define FASTAUTOREC_VNNI 1
#endif

namespace fastautorec {
namespace {

FASTAUTOREC_INLINE void store_bounds(const std::int32_t* sums, const Question& question, const ItemCodes& items,
                                     std::int64_t place, float* of) {
    const float *steps = items.facts.row(0) + place, *coded = items.facts.row(1) + place,
                *rests = items.facts.row(2) + place;
    for (int lane = 0; lane < kLanes; ++lane)
        of[place + lane] = question.step * steps[lane] * static_cast<float>(sums[lane] - question.offset) +
                           question.alpha * coded[lane] + question.beta * rests[lane] + kTiny;
}

// One group of rows with one vector.
FASTAUTOREC_CLONES void bound_group(const Question& question, const ItemCodes& items, std::int64_t group, float* of) {
    const std::uint8_t* codes = items.codes.row(group);
    std::int32_t sums[kLanes]{};
    for (std::int64_t c = 0; c < items.width(); c += kCodedTogether, codes += kCodedTogether * kLanes) {
        const std::int8_t* own = question.codes.data() + c;
        for (int lane = 0; lane < kLanes; ++lane) {
            const std::uint8_t* its = codes + kCodedTogether * lane;
            sums[lane] += its[0] * own[0] + its[1] * own[1] + its[2] * own[2] + its[3] * own[3];
        }
    }
    store_bounds(sums, question, items, group * kLanes, of);
}

#ifdef FASTAUTOREC_VNNI
#define FASTAUTOREC_TARGET_VNNI __attribute__((target("avx512f,avx512bw,avx512vl,avx512dq,avx512vnni,fma")))

// kGroups groups of rows with kVectors vectors, all sums in registers.
template <int kVectors, int kGroups>
FASTAUTOREC_TARGET_VNNI void bound_block(const Bounds* asked, const ItemCodes& items, std::int64_t group) {
    const std::int64_t step = kCodedTogether * kLanes, end = items.codes.cols;
    const std::uint8_t* rows[kGroups];
    const std::int8_t* own[kVectors];
    __m512i sums[kVectors][kGroups];
    for (int g = 0; g < kGroups; ++g) rows[g] = items.codes.row(group + g);
    for (int v = 0; v < kVectors; ++v) {
        own[v] = asked[v].question->codes.data();
        for (int g = 0; g < kGroups; ++g) sums[v][g] = _mm512_setzero_si512();
    }
    for (std::int64_t c = 0; c < end; c += step) {
        __m512i codes[kGroups];
        for (int g = 0; g < kGroups; ++g) codes[g] = _mm512_loadu_si512(rows[g] + c);
        for (int v = 0; v < kVectors; ++v) {
            std::int32_t four;
            std::memcpy(&four, own[v] + c / kLanes, sizeof four);
            const __m512i spread = _mm512_set1_epi32(four);
            for (int g = 0; g < kGroups; ++g) sums[v][g] = _mm512_dpbusd_epi32(sums[v][g], codes[g], spread);
        }
    }
    for (int g = 0; g < kGroups; ++g) {
        const std::int64_t place = (group + g) * kLanes;
        const __m512 steps = _mm512_loadu_ps(items.facts.row(0) + place),
                     coded = _mm512_loadu_ps(items.facts.row(1) + place),
                     rests = _mm512_loadu_ps(items.facts.row(2) + place);
        for (int v = 0; v < kVectors; ++v) {
            const Question& q = *asked[v].question;
            const __m512 products = _mm512_cvtepi32_ps(_mm512_sub_epi32(sums[v][g], _mm512_set1_epi32(q.offset)));
            __m512 bound =
                _mm512_fmadd_ps(_mm512_mul_ps(steps, _mm512_set1_ps(q.step)), products, _mm512_set1_ps(kTiny));
            bound = _mm512_fmadd_ps(coded, _mm512_set1_ps(q.alpha), bound);
            bound = _mm512_fmadd_ps(rests, _mm512_set1_ps(q.beta), bound);
            _mm512_storeu_ps(asked[v].of + place, bound);
        }
    }
}

template <int kVectors, int kGroups>
FASTAUTOREC_TARGET_VNNI void bound_run(const Bounds* asked, const ItemCodes& items, std::int64_t first,
                                       std::int64_t last) {
    std::int64_t g = first;
    for (; g + kGroups <= last; g += kGroups) bound_block<kVectors, kGroups>(asked, items, g);
    for (; g < last; ++g) bound_block<kVectors, 1>(asked, items, g);
}

bool has_vnni() {
    static const bool has = __builtin_cpu_supports("avx512vnni") && __builtin_cpu_supports("avx512bw") &&
                            __builtin_cpu_supports("avx512dq") && __builtin_cpu_supports("avx512vl");
    return has;
}

#define FASTAUTOREC_TARGET_AVX2 __attribute__((target("avx2,fma")))

FASTAUTOREC_TARGET_AVX2 inline __m256i low_bytes(__m256i pairs) {
    return _mm256_srai_epi16(_mm256_slli_epi16(pairs, 8), 8);
}

// The same sums of integers in pairs of 16 bits, where nothing overflows: one group of rows with kVectors vectors.
template <int kVectors>
FASTAUTOREC_TARGET_AVX2 void bound_by_pairs(const Bounds* asked, const ItemCodes& items, std::int64_t group) {
    const std::uint8_t* row = items.codes.row(group);
    __m256i sums[kVectors][2];
    for (auto& both : sums) both[0] = both[1] = _mm256_setzero_si256();
    for (std::int64_t c = 0; c < items.width(); c += kCodedTogether, row += kCodedTogether * kLanes) {
        __m256i even[2], odd[2];
        for (int half = 0; half < 2; ++half) {
            const __m256i codes = _mm256_loadu_si256(reinterpret_cast<const __m256i*>(row) + half);
            even[half] = _mm256_and_si256(codes, _mm256_set1_epi16(0xff));
            odd[half] = _mm256_srli_epi16(codes, 8);
        }
        for (int v = 0; v < kVectors; ++v) {
            std::int32_t four;
            std::memcpy(&four, asked[v].question->codes.data() + c, sizeof four);
            const __m256i own = _mm256_set1_epi32(four), first = low_bytes(own), second = _mm256_srai_epi16(own, 8);
            for (int half = 0; half < 2; ++half) {
                const __m256i products =
                    _mm256_add_epi32(_mm256_madd_epi16(even[half], first), _mm256_madd_epi16(odd[half], second));
                sums[v][half] = _mm256_add_epi32(sums[v][half], products);
            }
        }
    }
    for (int v = 0; v < kVectors; ++v) {
        std::int32_t all[kLanes];
        std::memcpy(all, sums[v], sizeof all);
        store_bounds(all, *asked[v].question, items, group * kLanes, asked[v].of);
    }
}

bool has_avx2() {
    static const bool has = __builtin_cpu_supports("avx2") && __builtin_cpu_supports("fma");
    return has;
}
#endif

}  // namespace

const char* code_kernel() {
#ifdef FASTAUTOREC_VNNI
    if (has_vnni()) return "vnni";
    if (has_avx2()) return "avx2";
#endif
    return "portable";
}

void bound_products(const Bounds* asked, std::int64_t count, const ItemCodes& items, std::int64_t first,
                    std::int64_t last, Kernel kernel) {
    std::int64_t v = 0;
#ifdef FASTAUTOREC_VNNI
    if (kernel == Kernel::kFastest && has_vnni()) {
        for (; v + 8 <= count; v += 8) bound_run<8, 2>(asked + v, items, first, last);
        if (v == count) return;
        Bounds rest[8];  // the last one again and again: faster than fewer at a time
        for (std::int64_t r = 0; r < 8; ++r) rest[r] = asked[std::min(v + r, count - 1)];
        if (count - v > 4) return bound_run<8, 2>(rest, items, first, last);
        if (count - v > 1) return bound_run<4, 4>(rest, items, first, last);
        return bound_run<1, 8>(rest, items, first, last);
    }
    if (kernel != Kernel::kPortable && has_avx2()) {
        for (std::int64_t g = first; g < last; ++g) {
            for (v = 0; v + 4 <= count; v += 4) bound_by_pairs<4>(asked + v, items, g);
            for (; v < count; ++v) bound_by_pairs<1>(asked + v, items, g);
        }
        return;
    }
#endif
    for (; v < count; ++v)
        for (std::int64_t g = first; g < last; ++g) bound_group(*asked[v].question, items, g, asked[v].of);
}

}  // namespace fastautorec
