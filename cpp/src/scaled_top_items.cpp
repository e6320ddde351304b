#include <algorithm>
#include <limits>
#include <vector>

#include "fastautorec/check.hpp"
#include "fastautorec/parallel.hpp"
#include "fastautorec/rank_ops.hpp"
#include "fastautorec/simd.hpp"

namespace fastautorec {
namespace {

constexpr std::int64_t kRowsPerTask = 16;
constexpr int kBisections = 16;
constexpr float kNever = -std::numeric_limits<float>::infinity();

struct Listed {
    float score;
    std::int32_t id;

    bool operator<(const Listed& other) const { return score > other.score || (score == other.score && id < other.id); }
};

// maxima[g * kLanes + lane] of the products in groups of `depth` consecutive vectors; NaN loses every comparison.
FASTAUTOREC_CLONES void product_maxima(const float* scores, const float* factors, std::int64_t vectors,
                                       std::int64_t depth, float* maxima) {
    for (std::int64_t start = 0; start < vectors; start += depth, maxima += kLanes) {
        const std::int64_t stop = start + depth < vectors ? start + depth : vectors;
        Vec best = Vec{} + kNever;
        for (std::int64_t v = start; v < stop; ++v) {
            const Vec product = vec(scores + v * kLanes) * vec(factors + v * kLanes);
            best = product > best ? product : best;
        }
        vec(maxima) = best;
    }
}

FASTAUTOREC_CLONES std::int64_t count_from(const float* values, std::int64_t size, float floor) {
    std::int32_t count = 0;
    for (std::int64_t i = 0; i < size; ++i) count += values[i] >= floor;
    return count;
}

// Writes the positions of the products >= floor among every `step`-th from `start` on, without a branch for any of
// them; returns the place after the last.
FASTAUTOREC_INLINE std::int32_t* positions_from(const float* scores, const float* factors, std::int64_t start,
                                                std::int64_t stop, std::int64_t step, float floor,
                                                std::int32_t* found) {
    for (std::int64_t i = start; i < stop; i += step) {
        *found = static_cast<std::int32_t>(i);
        found += scores[i] * factors[i] >= floor;
    }
    return found;
}

// Writes the positions of the products >= floor, looking only at lanes of groups whose maximum reaches it, and at the
// items behind the last whole vector; returns their number.
FASTAUTOREC_CLONES std::int64_t candidates_from(const float* scores, const float* factors, std::int64_t width,
                                                std::int64_t depth, const float* maxima, float floor,
                                                std::int32_t* lanes, std::int32_t* found) {
    const std::int64_t vectors = width / kLanes, size = (vectors + depth - 1) / depth * kLanes;
    std::int32_t* end = lanes;
    for (std::int64_t lane = 0; lane < size; ++lane) {
        *end = static_cast<std::int32_t>(lane);
        end += maxima[lane] >= floor;
    }
    std::int32_t* last = found;
    for (const std::int32_t* lane = lanes; lane < end; ++lane) {
        const std::int64_t start = *lane / kLanes * depth;
        const std::int64_t stop = start + depth < vectors ? start + depth : vectors;
        last = positions_from(scores, factors, start * kLanes + *lane % kLanes, stop * kLanes, kLanes, floor, last);
    }
    last = positions_from(scores, factors, vectors * kLanes, width, 1, floor, last);
    return last - found;
}

// Lists of one user by several rows of factors. The scores are loaded once; the products are never stored: one sweep
// finds their maxima, from which follows how large one of the best must be, and few groups hold one that is so large.
class Lists {
   public:
    Lists(std::int64_t width, std::int64_t n_top)
        : width_(width),
          n_top_(n_top),
          vectors_(width / kLanes),
          depth_(std::max<std::int64_t>(1, width / (8 * n_top + kLanes))),
          n_maxima_((vectors_ + depth_ - 1) / depth_ * kLanes),
          row_(static_cast<std::size_t>(width)),
          maxima_(static_cast<std::size_t>(n_maxima_)),
          lanes_(maxima_.size() + 1),
          found_(row_.size() + 1) {}

    void load(const float* scores, const CsrView* exclude, std::int64_t u, std::int64_t first) {
        std::copy_n(scores, width_, row_.data());
        if (!exclude) return;
        const std::int32_t* end = exclude->indices + exclude->indptr[u + 1];
        const std::int32_t* p = std::lower_bound(exclude->indices + exclude->indptr[u], end, first);
        for (; p != end && *p < first + width_; ++p) row_[static_cast<std::size_t>(*p - first)] = kNever;
    }

    // Merges the best products of the loaded row into a list.
    void merge_into(const float* factors, std::int64_t first, std::int32_t* ids, float* best) {
        product_maxima(row_.data(), factors, vectors_, depth_, maxima_.data());
        const float floor = ids[n_top_ - 1] >= 0 ? best[n_top_ - 1] : row_floor();
        const std::int64_t count =
            candidates_from(row_.data(), factors, width_, depth_, maxima_.data(), floor, lanes_.data(), found_.data());
        fresh_.clear();
        for (std::int64_t c = 0; c < count; ++c) {
            const std::int32_t place = found_[static_cast<std::size_t>(c)];
            const float score = row_[static_cast<std::size_t>(place)] * factors[place] + 0.0f;  // no minus zero
            if (score > kNever) fresh_.push_back({score, static_cast<std::int32_t>(first + place)});
        }
        if (fresh_.empty()) return;
        const auto kept =
            fresh_.begin() + std::min<std::ptrdiff_t>(n_top_, std::distance(fresh_.begin(), fresh_.end()));
        if (kept != fresh_.end()) std::nth_element(fresh_.begin(), kept, fresh_.end());
        std::sort(fresh_.begin(), kept);
        earlier_.clear();
        for (std::int64_t l = 0; l < n_top_ && ids[l] >= 0; ++l) earlier_.push_back({best[l], ids[l]});
        auto old = earlier_.begin();
        auto next = fresh_.begin();
        for (std::int64_t l = 0; l < n_top_ && (old != earlier_.end() || next != kept); ++l) {
            const bool from_old = next == kept || (old != earlier_.end() && *old < *next);
            const Listed chosen = from_old ? *old++ : *next++;
            ids[l] = chosen.id;
            best[l] = chosen.score;
        }
    }

   private:
    // A value that at least n_top of the maxima reach, and hardly more than n_top where bisection gets there soon.
    float row_floor() const {
        if (n_maxima_ < n_top_) return kNever;
        float low = -kNever, high = kNever;
        for (const float value : maxima_) {
            high = std::max(high, value);
            if (value > kNever) low = std::min(low, value);
        }
        if (count_from(maxima_.data(), n_maxima_, low) < n_top_) return kNever;
        for (int step = 0; step < kBisections; ++step) {
            const float middle = 0.5f * low + 0.5f * high;
            const std::int64_t reached = count_from(maxima_.data(), n_maxima_, middle);
            (reached >= n_top_ ? low : high) = middle;
            if (reached >= n_top_ && reached <= n_top_ + n_top_ / 8 + 1) break;
        }
        return low;
    }

    std::int64_t width_, n_top_, vectors_, depth_, n_maxima_;
    std::vector<float> row_, maxima_;
    std::vector<std::int32_t> lanes_, found_;
    std::vector<Listed> fresh_, earlier_;
};

}  // namespace

void scaled_top_items(ConstMatrix scores, ConstMatrix factors, const CsrView* exclude, std::int64_t first_item,
                      MatrixView<std::int32_t> ids, Matrix best, int num_threads) {
    require(factors.cols == scores.cols, "scaled_top_items: factors must have the columns of scores");
    require(ids.rows == scores.rows * factors.rows && best.rows == ids.rows && ids.cols == best.cols,
            "scaled_top_items: ids and best must be (factors * users, n_top)");
    require(!exclude || (exclude->n_rows == scores.rows && exclude->n_cols >= first_item + scores.cols),
            "scaled_top_items: exclude must have the rows of scores and at least its columns");
    require(first_item >= 0 && first_item + scores.cols <= std::numeric_limits<std::int32_t>::max(),
            "scaled_top_items: item ids must fit in 32 bits");
    const std::int64_t n_top = ids.cols, tasks = (scores.rows + kRowsPerTask - 1) / kRowsPerTask;
    if (n_top == 0) return;
    parallel_for(tasks, num_threads, [&](std::int64_t t) {
        Lists lists(scores.cols, n_top);
        const std::int64_t stop = std::min(scores.rows, (t + 1) * kRowsPerTask);
        for (std::int64_t u = t * kRowsPerTask; u < stop; ++u) {
            lists.load(scores.row(u), exclude, u, first_item);
            for (std::int64_t g = 0; g < factors.rows; ++g) {
                const std::int64_t row = g * scores.rows + u;
                lists.merge_into(factors.row(g), first_item, ids.row(row), best.row(row));
            }
        }
    });
}

}  // namespace fastautorec
