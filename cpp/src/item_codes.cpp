#include "fastautorec/item_codes.hpp"

#include <algorithm>
#include <atomic>
#include <cmath>
#include <cstring>

#include "fastautorec/parallel.hpp"

namespace fastautorec {
namespace {

constexpr int kMost = 127;
constexpr std::int64_t kGroupsPerTask = 64;
constexpr float kLargest = 1e15f;    // norms: products of two stay far from the end of float32
constexpr float kSmallest = 1e-30f;  // steps: smaller ones would lose digits
constexpr double kLost = 1e-19;      // more than the norm of values whose squares underflow
constexpr double kLostSteps = 1e-9;  // more than that of rests, in steps, which underflow
constexpr double kUp = 1.0 + 1e-6;   // more than a rounding to float32
constexpr double kUnit = 1.01 / (1 << 24);
constexpr int kMoreRoundings = 32;  // of the bound itself
constexpr int kShift = 15;          // the upper bits of a float32, by which rows are put in order
constexpr std::int64_t kAhead = 3;  // rows from one to the prefetch of another
constexpr int kSums = 16;           // side by side, for registers

// Relative; sums of so many positive values, and their roots, are off by less.
double slack_of(std::int64_t size) { return static_cast<double>(size + kMoreRoundings) * kUnit; }

FASTAUTOREC_CLONES float square_of(const float* values, std::int64_t size) {
    float sums[2 * kSums]{}, sum = 0.0f;
    std::int64_t i = 0;
    for (; i + 2 * kSums <= size; i += 2 * kSums)
        for (int lane = 0; lane < 2 * kSums; ++lane) sums[lane] += values[i + lane] * values[i + lane];
    for (; i < size; ++i) sum += values[i] * values[i];
    for (const float more : sums) sum += more;
    return sum;
}

// The norm, rounded up; NaN or more than kLargest where the values are not usable.
double norm_of(float square, std::int64_t size) { return std::sqrt(square) * (1.0 + slack_of(size)) * kUp + kLost; }

// The largest magnitude, found in integers, which compilers make vectors of.
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

// Integers c within 127, so that step * c is near to the values: the sum of their squares, and that of what is left, in
// steps.
FASTAUTOREC_CLONES void encode_by(float step, float inverse, const float* values, std::int64_t size, std::int8_t* codes,
                                  float* coded_square, float* rest_square) {
    constexpr float kRounder = 3 << 22;  // added and taken off again, it leaves the nearest integer
    float coded[kSums]{}, rests[kSums]{};
    const auto encode_one = [&](std::int64_t i, int lane) {
        const float code = (values[i] * inverse + kRounder) - kRounder;
        const float left = __builtin_fmaf(-step, code, values[i]) * inverse;
        coded[lane] += code * code;
        rests[lane] += left * left;
        codes[i] = static_cast<std::int8_t>(static_cast<std::int32_t>(code));
    };
    std::int64_t i = 0;
    for (; i + kSums <= size; i += kSums)
        for (int lane = 0; lane < kSums; ++lane) encode_one(i + lane, lane);
    for (; i < size; ++i) encode_one(i, 0);
    *coded_square = *rest_square = 0.0f;
    for (int lane = 0; lane < kSums; ++lane) {
        *coded_square += coded[lane];
        *rest_square += rests[lane];
    }
}

struct Encoded {
    float step;  // 0 where all values are tiny
    double coded_norm, rest_norm;
};

Encoded encode(const float* values, std::int64_t size, std::int8_t* codes) {
    const float largest = largest_of(values, size), step = largest / kMost;
    if (step < kSmallest) {
        std::fill_n(codes, size, std::int8_t{0});
        return {0.0f, 0.0, std::sqrt(static_cast<double>(size)) * largest};
    }
    float coded, rest;
    encode_by(step, 1.0f / step, values, size, codes, &coded, &rest);
    return {step, step * std::sqrt(coded) * (1.0 + slack_of(size)),
            step * (std::sqrt(rest) * (1.0 + slack_of(size)) + kLostSteps)};
}

// Writes the ids and places of rows by descending squares, as far as their upper bits tell these apart, then ascending.
void put_in_order(const std::vector<float>& squares, MatrixView<std::int32_t> order) {
    constexpr std::uint32_t kKeys = 1u << (32 - kShift - 1);  // no sign
    std::vector<std::int32_t> next(kKeys + 1);
    const auto key_of = [](float square) {
        std::uint32_t bits;
        std::memcpy(&bits, &square, sizeof bits);
        return kKeys - 1 - (bits >> kShift);
    };
    for (const float square : squares) ++next[key_of(square) + 1];
    for (std::uint32_t key = 0; key < kKeys; ++key) next[key + 1] += next[key];
    for (std::size_t i = 0; i < squares.size(); ++i) {
        const std::int32_t place = next[key_of(squares[i])]++;
        order.row(0)[place] = static_cast<std::int32_t>(i);
        order.row(1)[i] = place;
    }
}

}  // namespace

std::int64_t coded_width(std::int64_t k) { return (k + kCodedTogether - 1) / kCodedTogether * kCodedTogether; }

bool encode_items(ConstMatrix rows, const NewItemCodes& out, int num_threads) {
    require_codes_of(out, rows.rows, rows.cols);
    require(rows.cols <= kLongestCoded, "encode_items: rows are too long");
    const std::int64_t n = rows.rows, k = rows.cols, width = out.width(), groups = out.groups();
    const std::int64_t tasks = (groups + kGroupsPerTask - 1) / kGroupsPerTask, rows_per_task = kGroupsPerTask * kLanes;
    std::vector<float> squares(static_cast<std::size_t>(n));
    std::atomic<bool> usable{true};
    parallel_for(tasks, num_threads, [&](std::int64_t t) {
        for (std::int64_t i = t * rows_per_task; i < std::min(n, (t + 1) * rows_per_task); ++i) {
            const float square = squares[static_cast<std::size_t>(i)] = square_of(rows.row(i), k);
            if (!(norm_of(square, k) <= kLargest)) usable = false;
        }
    });
    if (!usable) return false;
    put_in_order(squares, out.order);
    parallel_for(tasks, num_threads, [&](std::int64_t t) {
        std::vector<std::int8_t> own(static_cast<std::size_t>(width));
        const std::int64_t stop = std::min(groups, (t + 1) * kGroupsPerTask);
        for (std::int64_t place = t * rows_per_task; place < stop * kLanes; ++place) {
            Encoded row{};
            if (place + kAhead < n) fetch(rows.row(out.row_at(place + kAhead)), k);
            if (place < n) {
                row = encode(rows.row(out.row_at(place)), k, own.data());
            } else {
                std::fill(own.begin(), own.end(), std::int8_t{0});
            }
            std::uint8_t* its = out.codes.row(place / kLanes) + place % kLanes * kCodedTogether;
            for (std::int64_t c = 0; c < width; c += kCodedTogether) {
                std::uint32_t four;
                std::memcpy(&four, own.data() + c, sizeof four);
                four ^= 0x80808080u;  // adds 128 to each
                std::memcpy(its + c * kLanes, &four, sizeof four);
            }
            out.facts.row(0)[place] = row.step;
            out.facts.row(1)[place] = static_cast<float>(row.coded_norm * kUp);
            out.facts.row(2)[place] = static_cast<float>(row.rest_norm * kUp);
        }
    });
    float longest = 0.0f;
    for (std::int64_t place = n - 1; place >= 0; --place) {
        longest = std::max(longest, squares[static_cast<std::size_t>(out.row_at(place))]);
        if (place % kLanes == 0) out.longest.data[place / kLanes] = static_cast<float>(norm_of(longest, k) * kUp);
    }
    return true;
}

Question::Question(const float* vector, std::int64_t size, std::int64_t width)
    : usable(false), codes(static_cast<std::size_t>(width)), offset(0), step(0.0f), alpha(0.0f), beta(0.0f) {
    const double norm = norm_of(square_of(vector, size), size), slack = slack_of(size);
    usable = norm <= kLargest;
    if (!usable) return;
    const Encoded own = encode(vector, size, codes.data());
    step = own.step;
    for (const std::int8_t code : codes) offset += 128 * code;
    alpha = static_cast<float>((own.rest_norm * (1.0 + slack) + (norm + own.rest_norm) * slack) * kUp);
    beta = static_cast<float>(norm * (1.0 + slack) * kUp);
}

std::int64_t Question::groups_from(float floor, const ItemCodes& items) const {
    const auto reaches = [&](float length) { return length * beta + kTiny >= floor; };
    return std::partition_point(items.longest.data, items.longest.data + items.longest.size, reaches) -
           items.longest.data;
}

}  // namespace fastautorec
