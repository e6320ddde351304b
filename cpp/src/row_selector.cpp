#include "fastautorec/row_selector.hpp"

#include <algorithm>

namespace fastautorec {
namespace {

constexpr int kBisections = 20;
constexpr std::size_t kRankedKeys = 160;  // up to so many keys are ranked by comparing every pair

// maxima[g * kLanes + lane] of groups of `depth` consecutive vectors; NaN loses every comparison.
FASTAUTOREC_CLONES void lane_maxima(const float* scores, std::int64_t vectors, std::int64_t depth, float* maxima) {
    for (std::int64_t start = 0; start < vectors; start += depth, maxima += kLanes) {
        const std::int64_t stop = start + depth < vectors ? start + depth : vectors;
        Vec best = Vec{} + kNever;
        for (std::int64_t v = start; v < stop; ++v) {
            const Vec s = vec(scores + v * kLanes);
            best = s > best ? s : best;
        }
        vec(maxima) = best;
    }
}

// The smallest and the largest of the values that are above minus infinity.
FASTAUTOREC_CLONES void extent(const float* values, std::int64_t vectors, float* low, float* high) {
    const Vec none = Vec{} - kNever;
    Vec least = none, most = -none;  // one comparison for each choice: with two GCC 12 goes lane by lane
    for (std::int64_t v = 0; v < vectors; ++v) {
        const Vec s = vec(values + v * kLanes);
        most = s > most ? s : most;
        const Vec there = s > kNever ? s : none;
        least = there < least ? there : least;
    }
    float lows[kLanes], highs[kLanes];
    vec(lows) = least;
    vec(highs) = most;
    for (int width = kLanes / 2; width > 0; width /= 2) {  // by halves: no lane waits for all the others
        for (int lane = 0; lane < width; ++lane) {
            lows[lane] = lows[lane + width] < lows[lane] ? lows[lane + width] : lows[lane];
            highs[lane] = highs[lane + width] > highs[lane] ? highs[lane + width] : highs[lane];
        }
    }
    *low = lows[0];
    *high = highs[0];
}

// sorted[r] = the key that r others precede, for r < n_sorted. Comparing every pair takes no branches, which for some
// dozens of distinct keys is several times faster than sorting them.
FASTAUTOREC_CLONES void rank_keys(const std::uint64_t* keys, std::int64_t size, std::uint64_t* sorted,
                                  std::int64_t n_sorted) {
    for (std::int64_t i = 0; i < size; ++i) {
        std::int64_t rank = 0;
        for (std::int64_t j = 0; j < size; ++j) rank += keys[j] < keys[i];
        if (rank < n_sorted) sorted[rank] = keys[i];
    }
}

// Writes the positions of the values >= floor among every `step`-th from `start` on, without a branch for any of them;
// returns the place after the last.
FASTAUTOREC_INLINE std::int32_t* positions_from(const float* values, std::int64_t start, std::int64_t stop,
                                                std::int64_t step, float floor, std::int32_t* found) {
    for (std::int64_t i = start; i < stop; i += step) {
        *found = static_cast<std::int32_t>(i);
        found += values[i] >= floor;
    }
    return found;
}

// Writes the positions of the scores >= floor, looking only at lanes of groups whose maximum reaches it; returns their
// number. Groups are those of lane_maxima; `lanes` has a place for each of their lanes and one more.
FASTAUTOREC_CLONES std::int64_t candidates_from(const float* scores, std::int64_t vectors, std::int64_t depth,
                                                const float* maxima, float floor, std::int32_t* lanes,
                                                std::int32_t* found) {
    const std::int64_t size = (vectors + depth - 1) / depth * kLanes;
    const std::int32_t* const end = positions_from(maxima, 0, size, 1, floor, lanes);
    std::int32_t* last = found;
    for (const std::int32_t* lane = lanes; lane < end; ++lane) {
        const std::int64_t start = *lane / kLanes * depth;
        const std::int64_t stop = start + depth < vectors ? start + depth : vectors;
        last = positions_from(scores, start * kLanes + *lane % kLanes, stop * kLanes, kLanes, floor, last);
    }
    return last - found;
}

}  // namespace

FASTAUTOREC_CLONES std::int64_t count_from(const float* values, std::int64_t size, float floor) {
    std::int32_t count = 0;
    for (std::int64_t i = 0; i < size; ++i) count += values[i] >= floor;
    return count;
}

float raised_floor(const float* maxima, std::int64_t size, std::int64_t n_top, float floor) {
    const std::int64_t enough = n_top + n_top / 8 + 1;
    if (count_from(maxima, size, floor) <= enough) return floor;
    float low, high;
    extent(maxima, size / kLanes, &low, &high);
    low = std::max(low, floor);
    if (count_from(maxima, size, low) < n_top) return floor;
    for (int step = 0; step < kBisections; ++step) {
        const float middle = 0.5f * low + 0.5f * high;
        const std::int64_t reached = count_from(maxima, size, middle);
        (reached >= n_top ? low : high) = middle;
        if (reached >= n_top && reached <= enough) break;
    }
    return low;
}

void keep_best(std::vector<std::uint64_t>& keys, std::int64_t n_top) {
    const std::size_t kept = std::min(keys.size(), static_cast<std::size_t>(n_top));
    if (keys.size() <= kRankedKeys) {
        std::uint64_t sorted[kRankedKeys];
        rank_keys(keys.data(), static_cast<std::int64_t>(keys.size()), sorted, static_cast<std::int64_t>(kept));
        keys.assign(sorted, sorted + kept);
        return;
    }
    if (keys.size() > kept) {
        std::nth_element(keys.begin(), keys.begin() + static_cast<std::ptrdiff_t>(kept), keys.end());
        keys.resize(kept);
    }
    std::sort(keys.begin(), keys.end());
}

void write_list(const std::vector<std::uint64_t>& keys, std::int64_t n_top, std::int32_t* ids, float* scores) {
    for (std::int64_t l = 0; l < n_top; ++l) {
        const bool there = l < static_cast<std::int64_t>(keys.size());
        ids[l] = there ? id_of(keys[static_cast<std::size_t>(l)]) : -1;
        scores[l] = there ? score_of(keys[static_cast<std::size_t>(l)]) : std::numeric_limits<float>::quiet_NaN();
    }
}

RowSelector::RowSelector(std::int64_t width, std::int64_t n_top)
    : vectors_((width + kLanes - 1) / kLanes),
      n_top_(n_top),
      depth_(std::max<std::int64_t>(1, vectors_ * kLanes / (8 * std::max<std::int64_t>(n_top, 1) + kLanes))),
      maxima_((vectors_ / depth_ + 1) * kLanes),
      lanes_((vectors_ / depth_ + 1) * kLanes + 1),
      found_(vectors_ * kLanes + 1) {}

void RowSelector::look_at(const float* row) {
    row_ = row;
    lane_maxima(row_, vectors_, depth_, maxima_.data());
}

std::int64_t RowSelector::find(float floor) {
    return candidates_from(row_, vectors_, depth_, maxima_.data(), floor, lanes_.as<std::int32_t>(),
                           found_.as<std::int32_t>());
}

float RowSelector::floor(float known) const {
    return raised_floor(maxima_.data(), (vectors_ + depth_ - 1) / depth_ * kLanes, n_top_, known);
}

void leave_out(const CsrView& exclude, std::int64_t u, std::int64_t first, std::int64_t width, float* row) {
    const std::int32_t* end = exclude.indices + exclude.indptr[u + 1];
    const std::int32_t* p = std::lower_bound(exclude.indices + exclude.indptr[u], end, first);
    for (; p != end && *p < first + width; ++p) row[*p - first] = kNever;
}

}  // namespace fastautorec
