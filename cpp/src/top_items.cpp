#include <algorithm>
#include <cmath>
#include <cstring>
#include <limits>
#include <vector>

#include "fastautorec/check.hpp"
#include "fastautorec/parallel.hpp"
#include "fastautorec/rank_ops.hpp"
#include "fastautorec/simd.hpp"

namespace fastautorec {
namespace {

constexpr std::int64_t kRowsPerTask = 16;
constexpr std::size_t kRankedKeys = 160;  // up to so many keys are ranked by comparing every pair
constexpr float kNever = -std::numeric_limits<float>::infinity();

// Score and id as one integer that sorts in the order of the lists: descending score, then ascending id.
std::uint64_t to_key(float score, std::int32_t id) {
    const float value = score + 0.0f;  // minus zero ties with zero
    std::uint32_t bits;
    std::memcpy(&bits, &value, sizeof bits);
    const std::uint32_t ascending = bits & 0x80000000u ? ~bits : bits | 0x80000000u;
    return static_cast<std::uint64_t>(~ascending) << 32 | static_cast<std::uint32_t>(id);
}

std::int32_t id_of(std::uint64_t key) { return static_cast<std::int32_t>(key & 0xffffffffu); }

float score_of(std::uint64_t key) {
    const auto ascending = ~static_cast<std::uint32_t>(key >> 32);
    const std::uint32_t bits = ascending & 0x80000000u ? ascending & 0x7fffffffu : ~ascending;
    float value;
    std::memcpy(&value, &bits, sizeof value);
    return value;
}

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

// How many of the values are >= floor.
FASTAUTOREC_CLONES std::int64_t count_from(const float* values, std::int64_t size, float floor) {
    std::int32_t count = 0;
    for (std::int64_t i = 0; i < size; ++i) count += values[i] >= floor;
    return count;
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

// Finds the best n_top of rows of one width. Two sweeps: a score that n_top of many disjoint groups' maxima reach is
// one that n_top items reach, so only the few items from there on are candidates and need sorting.
class RowSelector {
   public:
    RowSelector(std::int64_t width, std::int64_t n_top)
        : vectors_((width + kLanes - 1) / kLanes),
          n_top_(n_top),
          depth_(std::max<std::int64_t>(1, vectors_ * kLanes / (8 * std::max<std::int64_t>(n_top, 1) + kLanes))),
          row_(static_cast<std::size_t>(vectors_ * kLanes), kNever),
          maxima_(static_cast<std::size_t>((vectors_ / depth_ + 1) * kLanes)),
          lanes_(maxima_.size() + 1),
          found_(row_.size() + 1) {}

    // Takes a copy of the scores and removes the excluded items from it.
    void load(const float* scores, std::int64_t width, const CsrView* exclude, std::int64_t u, std::int64_t first) {
        std::copy_n(scores, width, row_.data());
        if (!exclude) return;
        const std::int32_t* end = exclude->indices + exclude->indptr[u + 1];
        const std::int32_t* p = std::lower_bound(exclude->indices + exclude->indptr[u], end, first);
        for (; p != end && *p < first + width; ++p) row_[static_cast<std::size_t>(*p - first)] = kNever;
    }

    // Merges the loaded row into `keys` (ascending, at most n_top): on return again the best n_top, ascending.
    void merge_into(std::vector<std::uint64_t>& keys, std::int64_t first) {
        lane_maxima(row_.data(), vectors_, depth_, maxima_.data());
        const float floor = keys.size() == static_cast<std::size_t>(n_top_) ? score_of(keys.back()) : row_floor();
        const std::int64_t count =
            candidates_from(row_.data(), vectors_, depth_, maxima_.data(), floor, lanes_.data(), found_.data());
        for (std::int64_t c = 0; c < count; ++c) {
            const float score = row_[static_cast<std::size_t>(found_[static_cast<std::size_t>(c)])];
            const std::int64_t id = first + found_[static_cast<std::size_t>(c)];
            if (score > kNever) keys.push_back(to_key(score, static_cast<std::int32_t>(id)));
        }
        keep_best(keys);
    }

   private:
    void keep_best(std::vector<std::uint64_t>& keys) {
        const std::size_t kept = std::min(keys.size(), static_cast<std::size_t>(n_top_));
        if (keys.size() <= kRankedKeys) {
            sorted_.resize(kept);
            rank_keys(keys.data(), static_cast<std::int64_t>(keys.size()), sorted_.data(),
                      static_cast<std::int64_t>(kept));
            keys.swap(sorted_);
            return;
        }
        if (keys.size() > kept) {
            std::nth_element(keys.begin(), keys.begin() + static_cast<std::ptrdiff_t>(kept), keys.end());
            keys.resize(kept);
        }
        std::sort(keys.begin(), keys.end());
    }

    // A value that at least n_top of the maxima reach, and hardly more than n_top where bisection gets there soon.
    float row_floor() const {
        const std::int64_t count = (vectors_ + depth_ - 1) / depth_ * kLanes;
        if (count < n_top_) return kNever;
        float low, high;
        extent(maxima_.data(), count / kLanes, &low, &high);
        if (count_from(maxima_.data(), count, low) < n_top_) return kNever;
        for (int step = 0; step < 20; ++step) {
            const float middle = 0.5f * low + 0.5f * high;
            const std::int64_t reached = count_from(maxima_.data(), count, middle);
            (reached >= n_top_ ? low : high) = middle;
            if (reached >= n_top_ && reached <= n_top_ + n_top_ / 8 + 1) break;
        }
        return low;
    }

    std::int64_t vectors_, n_top_, depth_;
    std::vector<float> row_, maxima_;
    std::vector<std::int32_t> lanes_, found_;
    std::vector<std::uint64_t> sorted_;
};

}  // namespace

void top_items(ConstMatrix scores, const CsrView* exclude, std::int64_t first_item, MatrixView<std::int32_t> ids,
               Matrix best, int num_threads) {
    require(ids.rows == scores.rows && best.rows == scores.rows && ids.cols == best.cols,
            "top_items: ids and best must be (users, n_top)");
    require(!exclude || (exclude->n_rows == scores.rows && exclude->n_cols >= first_item + scores.cols),
            "top_items: exclude must have the rows of scores and at least its columns");
    require(first_item >= 0 && first_item + scores.cols <= std::numeric_limits<std::int32_t>::max(),
            "top_items: item ids must fit in 32 bits");
    const std::int64_t n_top = ids.cols, tasks = (scores.rows + kRowsPerTask - 1) / kRowsPerTask;
    if (n_top == 0) return;
    parallel_for(tasks, num_threads, [&](std::int64_t t) {
        RowSelector selector(scores.cols, n_top);
        std::vector<std::uint64_t> keys;
        const std::int64_t stop = std::min(scores.rows, (t + 1) * kRowsPerTask);
        for (std::int64_t u = t * kRowsPerTask; u < stop; ++u) {
            std::int32_t* id = ids.row(u);
            float* score = best.row(u);
            keys.clear();
            for (std::int64_t l = 0; l < n_top && id[l] >= 0; ++l) keys.push_back(to_key(score[l], id[l]));
            selector.load(scores.row(u), scores.cols, exclude, u, first_item);
            selector.merge_into(keys, first_item);
            const auto filled = static_cast<std::int64_t>(keys.size());
            for (std::int64_t l = 0; l < n_top; ++l) {
                id[l] = l < filled ? id_of(keys[static_cast<std::size_t>(l)]) : -1;
                score[l] =
                    l < filled ? score_of(keys[static_cast<std::size_t>(l)]) : std::numeric_limits<float>::quiet_NaN();
            }
        }
    });
}

}  // namespace fastautorec
