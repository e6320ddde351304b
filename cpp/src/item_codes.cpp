#include "fastautorec/item_codes.hpp"

#include <algorithm>
#include <atomic>
#include <cmath>
#include <cstring>

#include "fastautorec/check.hpp"
#include "fastautorec/parallel.hpp"

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

constexpr int kMost = 127;
constexpr std::int64_t kGroupsPerTask = 64;
constexpr float kLargest = 1e15f;    // norms: products of two stay far from the end of float32
constexpr float kSmallest = 1e-30f;  // steps: smaller ones would lose digits
constexpr float kTiny = 1e-35f;      // more than everything that underflows in a product or its bound
constexpr double kUp = 1.0 + 1e-6;   // more than a rounding to float32
constexpr double kUnit = 1.01 / (1 << 24);
constexpr int kMoreRoundings = 32;  // of the bound itself

// The largest magnitude; NaN where one value is that, whose bits are above those of all numbers.
FASTAUTOREC_CLONES float largest_of(const float* values, std::int64_t size) {
    std::int32_t most = 0;
    for (std::int64_t i = 0; i < size; ++i) {
        std::int32_t bits;
        std::memcpy(&bits, values + i, sizeof bits);
        most = std::max(most, bits & 0x7fffffff);
    }
    float largest;
    std::memcpy(&largest, &most, sizeof largest);
    return largest;
}

// Integers c within 127, so that step * c is near to the values: the sum of their squares, and that of what is left.
FASTAUTOREC_CLONES void encode_by(float step, const float* values, std::int64_t size, std::int8_t* codes,
                                  double* coded_square, double* rest_square) {
    constexpr int kSums = 8;             // side by side, for registers
    constexpr float kRounder = 3 << 22;  // added and taken off again, it leaves the nearest integer
    const float inverse = step > 0.0f ? 1.0f / step : 0.0f;
    const double exact_step = step;
    std::int32_t coded = 0;
    double rests[kSums]{};
    const auto encode_one = [&](std::int64_t i, double& rest) {
        const float rounded = (values[i] * inverse + kRounder) - kRounder;
        const auto code = static_cast<std::int32_t>(std::min(std::max(rounded, -127.0f), 127.0f));
        const double left = static_cast<double>(values[i]) - exact_step * code;
        coded += code * code;
        rest += left * left;
        codes[i] = static_cast<std::int8_t>(code);
    };
    std::int64_t i = 0;
    for (; i + kSums <= size; i += kSums)
        for (int lane = 0; lane < kSums; ++lane) encode_one(i + lane, rests[lane]);
    for (; i < size; ++i) encode_one(i, rests[0]);
    *coded_square = coded;
    *rest_square = 0.0;
    for (const double rest : rests) *rest_square += rest;
}

// The step, 0 where all values are tiny, the codes, and the norms of step * codes and of what is left.
float encode(const float* values, std::int64_t size, float largest, std::int8_t* codes, double* coded_norm,
             double* rest_norm) {
    const float step = largest / kMost < kSmallest ? 0.0f : largest / kMost;
    double coded, rest;
    encode_by(step, values, size, codes, &coded, &rest);
    *coded_norm = step * std::sqrt(coded) * kUp;
    *rest_norm = std::sqrt(rest) * kUp;
    return step;
}

FASTAUTOREC_INLINE void store_bounds(const std::int32_t* sums, const Question& question, const ItemCodes& items,
                                     std::int64_t place, float* out) {
    const float *steps = items.facts.row(0) + place, *coded = items.facts.row(1) + place,
                *rests = items.facts.row(2) + place;
    for (int lane = 0; lane < kLanes; ++lane)
        out[lane] = question.step * steps[lane] * static_cast<float>(sums[lane] - question.offset) +
                    question.alpha * coded[lane] + question.beta * rests[lane] + kTiny;
}

// One group of rows with one vector.
FASTAUTOREC_CLONES void bound_group(const Question& question, const ItemCodes& items, std::int64_t group, float* out) {
    const std::uint8_t* codes = items.codes.row(group);
    std::int32_t sums[kLanes]{};
    for (std::int64_t c = 0; c < items.width(); c += kCodedTogether, codes += kCodedTogether * kLanes) {
        const std::int8_t* own = question.codes.data() + c;
        for (int lane = 0; lane < kLanes; ++lane) {
            const std::uint8_t* its = codes + kCodedTogether * lane;
            sums[lane] += its[0] * own[0] + its[1] * own[1] + its[2] * own[2] + its[3] * own[3];
        }
    }
    store_bounds(sums, question, items, group * kLanes, out);
}

#ifdef FASTAUTOREC_VNNI
#define FASTAUTOREC_TARGET_VNNI __attribute__((target("avx512f,avx512bw,avx512vl,avx512dq,avx512vnni,fma")))

// kGroups groups of rows with kVectors vectors, all sums in registers.
template <int kVectors, int kGroups>
FASTAUTOREC_TARGET_VNNI void bound_block(const Question* questions, const ItemCodes& items, std::int64_t group,
                                         float* const* out) {
    const std::int64_t step = kCodedTogether * kLanes, end = items.codes.cols;
    const std::uint8_t* rows[kGroups];
    const std::int8_t* own[kVectors];
    __m512i sums[kVectors][kGroups];
    for (int g = 0; g < kGroups; ++g) rows[g] = items.codes.row(group + g);
    for (int v = 0; v < kVectors; ++v) {
        own[v] = questions[v].codes.data();
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
            const Question& q = questions[v];
            const __m512 products = _mm512_cvtepi32_ps(_mm512_sub_epi32(sums[v][g], _mm512_set1_epi32(q.offset)));
            __m512 bound =
                _mm512_fmadd_ps(_mm512_mul_ps(steps, _mm512_set1_ps(q.step)), products, _mm512_set1_ps(kTiny));
            bound = _mm512_fmadd_ps(coded, _mm512_set1_ps(q.alpha), bound);
            bound = _mm512_fmadd_ps(rests, _mm512_set1_ps(q.beta), bound);
            _mm512_storeu_ps(out[v] + g * kLanes, bound);
        }
    }
}

template <int kVectors, int kGroups>
FASTAUTOREC_TARGET_VNNI void bound_run(const Question* questions, const ItemCodes& items, std::int64_t first,
                                       std::int64_t last, Matrix bounds, std::int64_t row) {
    float* out[kVectors];
    std::int64_t g = first;
    for (; g < last; g += g + kGroups <= last ? kGroups : 1) {
        for (int v = 0; v < kVectors; ++v) out[v] = bounds.row(row + v) + (g - first) * kLanes;
        if (g + kGroups <= last)
            bound_block<kVectors, kGroups>(questions, items, g, out);
        else
            bound_block<kVectors, 1>(questions, items, g, out);
    }
}

bool has_vnni() {
    static const bool has = __builtin_cpu_supports("avx512vnni") && __builtin_cpu_supports("avx512bw") &&
                            __builtin_cpu_supports("avx512dq") && __builtin_cpu_supports("avx512vl");
    return has;
}
#endif

}  // namespace

std::int64_t coded_width(std::int64_t k) { return (k + kCodedTogether - 1) / kCodedTogether * kCodedTogether; }

bool encode_items(ConstMatrix rows, MatrixView<std::uint8_t> codes, Matrix facts, int num_threads) {
    const std::int64_t width = coded_width(rows.cols), groups = (rows.rows + kLanes - 1) / kLanes;
    require(codes.rows == groups && codes.cols == width * kLanes && facts.rows == 3 && facts.cols == groups * kLanes,
            "encode_items: shapes do not match");
    require(rows.cols <= kLongestCoded, "encode_items: rows are too long");
    std::atomic<bool> usable{true};
    parallel_for((groups + kGroupsPerTask - 1) / kGroupsPerTask, num_threads, [&](std::int64_t t) {
        std::vector<std::int8_t> own(static_cast<std::size_t>(width));
        const std::int64_t stop = std::min(groups, (t + 1) * kGroupsPerTask);
        for (std::int64_t place = t * kGroupsPerTask * kLanes; place < stop * kLanes; ++place) {
            std::fill(own.begin(), own.end(), std::int8_t{0});
            double coded = 0.0, rest = 0.0;
            float step = 0.0f;
            if (place < rows.rows) {
                const float largest = largest_of(rows.row(place), rows.cols);
                if (!(largest <= kLargest)) usable = false;
                if (!usable) return;
                step = encode(rows.row(place), rows.cols, largest, own.data(), &coded, &rest);
            }
            std::uint8_t* its = codes.row(place / kLanes) + place % kLanes * kCodedTogether;
            for (std::int64_t c = 0; c < width; c += kCodedTogether) {
                std::uint32_t four;
                std::memcpy(&four, own.data() + c, sizeof four);
                four ^= 0x80808080u;  // adds 128 to each
                std::memcpy(its + c * kLanes, &four, sizeof four);
            }
            facts.row(0)[place] = step;
            facts.row(1)[place] = static_cast<float>(coded * kUp);
            facts.row(2)[place] = static_cast<float>(rest * kUp);
        }
    });
    return usable;
}

Question::Question(const float* vector, std::int64_t size, std::int64_t width)
    : usable(true), codes(static_cast<std::size_t>(width)), offset(0), step(0.0f), alpha(0.0f), beta(0.0f) {
    const float largest = largest_of(vector, size);
    usable = largest <= kLargest;
    if (!usable) return;
    double coded = 0.0, rest = 0.0, square = 0.0;
    step = encode(vector, size, largest, codes.data(), &coded, &rest);
    for (std::int64_t c = 0; c < size; ++c) {
        offset += 128 * codes[static_cast<std::size_t>(c)];
        square += static_cast<double>(vector[c]) * vector[c];
    }
    const double norm = std::sqrt(square) * kUp, slack = static_cast<double>(size + kMoreRoundings) * kUnit;
    alpha = static_cast<float>((rest * (1.0 + slack) + (norm + rest) * slack) * kUp);
    beta = static_cast<float>(norm * (1.0 + slack) * kUp);
}

void bound_products(const Question* questions, std::int64_t count, const ItemCodes& items, std::int64_t first,
                    std::int64_t last, Matrix bounds) {
    std::int64_t v = 0;
#ifdef FASTAUTOREC_VNNI
    if (has_vnni()) {
        for (; v + 8 <= count; v += 8) bound_run<8, 2>(questions + v, items, first, last, bounds, v);
        for (; v + 4 <= count; v += 4) bound_run<4, 4>(questions + v, items, first, last, bounds, v);
        for (; v < count; ++v) bound_run<1, 8>(questions + v, items, first, last, bounds, v);
    }
#endif
    for (; v < count; ++v)
        for (std::int64_t g = first; g < last; ++g)
            bound_group(questions[v], items, g, bounds.row(v) + (g - first) * kLanes);
}

}  // namespace fastautorec
