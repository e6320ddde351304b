#include <algorithm>
#include <limits>

#include "fastautorec/check.hpp"
#include "fastautorec/parallel.hpp"
#include "fastautorec/rank_ops.hpp"
#include "fastautorec/row_selector.hpp"
#include "fastautorec/scratch.hpp"

namespace fastautorec {
namespace {

constexpr std::int64_t kRowsPerTask = 16;
constexpr std::int64_t kFew = 24;                               // lanes take less time to look at than all products
constexpr std::int64_t kGroups = 4;                             // of lanes in one word
constexpr int kKeys = 8;                                        // of a vector
constexpr std::int64_t kRanked = 160;                           // up to so many keys are ranked by comparing pairs
constexpr float kLeast = std::numeric_limits<float>::lowest();  // minus infinity is never listed

typedef std::uint64_t Keys __attribute__((vector_size(kKeys * sizeof(std::uint64_t)), aligned(8), may_alias));
typedef std::uint8_t Bytes __attribute__((vector_size(kLanes)));
typedef std::uint64_t Halves __attribute__((vector_size(kLanes)));

FASTAUTOREC_INLINE Keys& keys_at(std::uint64_t* p) { return *reinterpret_cast<Keys*>(p); }
FASTAUTOREC_INLINE const Keys& keys_at(const std::uint64_t* p) { return *reinterpret_cast<const Keys*>(p); }

constexpr std::int64_t padded(std::int64_t keys) { return (keys + kKeys - 1) / kKeys * kKeys; }

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

// Bit l is set where value l reaches the floor.
FASTAUTOREC_INLINE std::uint64_t lanes_from(const float* values, float floor) {
    constexpr Bytes kOwn = {1, 2, 4, 8, 16, 32, 64, 128, 1, 2, 4, 8, 16, 32, 64, 128};
    constexpr std::uint64_t kOnes = 0x0101010101010101u;  // their product's highest byte is the sum of all bytes
    const auto own = reinterpret_cast<Halves>(__builtin_convertvector(vec(values) >= floor, Bytes) & kOwn);
    return own[0] * kOnes >> 56 | own[1] * kOnes >> 56 << 8;
}

// Writes the positions of the products >= floor among every kLanes-th from `start` on, without a branch for any of
// them; returns the place after the last.
FASTAUTOREC_INLINE std::int32_t* positions_from(const float* scores, const float* factors, std::int64_t start,
                                                std::int64_t stop, float floor, std::int32_t* found) {
    for (std::int64_t i = start; i < stop; i += kLanes) {
        *found = static_cast<std::int32_t>(i);
        found += scores[i] * factors[i] >= floor;
    }
    return found;
}

// Writes the positions of the products >= floor, looking only at lanes of groups whose maximum reaches it; returns
// their number. The lanes of four groups are one word.
FASTAUTOREC_CLONES std::int64_t candidates_from(const float* scores, const float* factors, std::int64_t vectors,
                                                std::int64_t depth, const float* maxima, float floor,
                                                std::int32_t* found) {
    const std::int64_t n_groups = (vectors + depth - 1) / depth;
    std::int32_t* last = found;
    for (std::int64_t begin = 0; begin < n_groups; begin += kGroups) {
        std::uint64_t word = 0;
        for (std::int64_t g = begin; g < begin + kGroups && g < n_groups; ++g)
            word |= lanes_from(maxima + g * kLanes, floor) << (g - begin) * kLanes;
        for (; word; word &= word - 1) {
            const std::int64_t bit = __builtin_ctzll(word), start = (begin + bit / kLanes) * depth;
            const std::int64_t stop = start + depth < vectors ? start + depth : vectors;
            last = positions_from(scores, factors, start * kLanes + bit % kLanes, stop * kLanes, floor, last);
        }
    }
    return last - found;
}

FASTAUTOREC_CLONES void keys_of(const float* scores, const float* factors, const std::int32_t* found, std::int64_t size,
                                std::int32_t first, std::uint64_t* keys) {
    for (std::int64_t c = 0; c < size; ++c) keys[c] = to_key(scores[found[c]] * factors[found[c]], first + found[c]);
}

// ranks[i] += how many of `others` are before key i; keys and ranks are whole vectors.
FASTAUTOREC_INLINE void add_preceding(const std::uint64_t* keys, std::int64_t size, const std::uint64_t* others,
                                      std::int64_t n_others, std::uint64_t* ranks) {
    for (std::int64_t i = 0; i < size; i += kKeys) {
        const Keys own = keys_at(keys + i);
        Keys rank = keys_at(ranks + i);
        for (std::int64_t j = 0; j < n_others; ++j) rank -= reinterpret_cast<Keys>(Keys{} + others[j] < own);
        keys_at(ranks + i) = rank;
    }
}

// Merges fresh keys into a list of n_old ascending ones; merged[n_old + n_fresh] is written. Where every key goes is
// counted, not found by branches that nobody can foretell.
FASTAUTOREC_CLONES void merge_keys(const std::uint64_t* old, std::int64_t n_old, const std::uint64_t* fresh,
                                   std::int64_t n_fresh, std::uint64_t* ranks, std::uint64_t* merged) {
    for (std::int64_t i = 0; i < n_old; ++i) ranks[i] = static_cast<std::uint64_t>(i);
    add_preceding(old, n_old, fresh, n_fresh, ranks);
    for (std::int64_t i = 0; i < n_old; ++i) merged[ranks[i]] = old[i];
    for (std::int64_t i = 0; i < n_fresh; ++i) ranks[i] = 0;
    add_preceding(fresh, n_fresh, old, n_old, ranks);
    add_preceding(fresh, n_fresh, fresh, n_fresh, ranks);
    for (std::int64_t i = 0; i < n_fresh; ++i) merged[ranks[i]] = fresh[i];
}

FASTAUTOREC_CLONES void to_keys(const std::int32_t* ids, const float* scores, std::int64_t size, std::uint64_t* keys) {
    for (std::int64_t l = 0; l < size; ++l) keys[l] = to_key(scores[l], ids[l]);
}

FASTAUTOREC_CLONES void from_keys(const std::uint64_t* keys, std::int64_t size, std::int32_t* ids, float* scores) {
    for (std::int64_t l = 0; l < size; ++l) {
        ids[l] = id_of(keys[l]);
        scores[l] = score_of(keys[l]);
    }
}

// How the items of a tile are shared out to groups of vectors.
struct Groups {
    std::int64_t vectors, depth, lanes;

    Groups(std::int64_t width, std::int64_t n_top)
        : vectors((width + kLanes - 1) / kLanes),
          depth(std::max<std::int64_t>(1, width / (6 * n_top + kLanes))),
          lanes((vectors + depth - 1) / depth * kLanes) {}
};

// Rows of factors as whole vectors, each in one cache line, and the largest factor in each lane of the groups.
class Factors {
   public:
    Factors(ConstMatrix factors, const Groups& groups)
        : rows_(factors.rows + 1, groups.vectors * kLanes), largest_(factors.rows, groups.lanes) {
        std::fill_n(ones(), rows_->cols, 1.0f);
        for (std::int64_t g = 0; g < factors.rows; ++g) {
            std::fill(std::copy_n(factors.row(g), factors.cols, rows_->row(g)), rows_->row(g) + rows_->cols, 1.0f);
            product_maxima(row(g), ones(), groups.vectors, groups.depth, largest_->row(g));
        }
    }

    const float* row(std::int64_t g) const { return rows_->row(g); }
    const float* largest(std::int64_t g) const { return largest_->row(g); }
    float* ones() const { return rows_->row(rows_->rows - 1); }

   private:
    ScratchMatrix rows_, largest_;
};

// Lists of one user by several rows of factors. The scores are loaded once; the products are never stored. Where a list
// is full, the largest score of a lane times its largest factor tells which few lanes can matter. Else one sweep finds
// the maxima of the products, from which follows how large one of the best must be.
class Lists {
   public:
    Lists(std::int64_t width, std::int64_t n_top, const Groups& groups, const Factors& factors)
        : width_(width),
          n_top_(n_top),
          groups_(groups),
          factors_(factors),
          row_(groups.vectors * kLanes),
          largest_(groups.lanes),
          maxima_(groups.lanes),
          found_(width + 1),
          old_(2 * padded(n_top)),
          fresh_(2 * padded(width)),
          ranks_(2 * padded(std::max(width, n_top))),
          merged_(2 * padded(n_top + width)) {}

    void load(const float* scores, const CsrView* exclude, std::int64_t u, std::int64_t first) {
        float* row = row_.data();
        std::fill(std::copy_n(scores, width_, row), row + groups_.vectors * kLanes, kNever);  // never listed
        if (exclude) leave_out(*exclude, u, first, width_, row);
        product_maxima(row, factors_.ones(), groups_.vectors, groups_.depth, largest_.data());
    }

    // Merges the best products of the loaded row and row g of the factors into a list.
    void merge_into(std::int64_t g, std::int64_t first, std::int32_t* ids, float* best) {
        const bool full = ids[n_top_ - 1] >= 0;
        const float *row = row_.data(), *factors = factors_.row(g);
        const float floor = find_lanes(g, full ? best[n_top_ - 1] : kNever);
        auto* found = found_.as<std::int32_t>();
        auto *old = old_.as<std::uint64_t>(), *fresh = fresh_.as<std::uint64_t>();
        auto* merged = merged_.as<std::uint64_t>();
        const std::int64_t n_fresh =
            candidates_from(row, factors, groups_.vectors, groups_.depth, maxima_.data(), floor, found);
        if (n_fresh == 0) return;
        const std::int64_t n_old = full ? n_top_ : std::find(ids, ids + n_top_, -1) - ids, both = n_old + n_fresh;
        to_keys(ids, best, n_old, old);
        keys_of(row, factors, found, n_fresh, static_cast<std::int32_t>(first), fresh);
        if (both <= kRanked) {
            merge_keys(old, n_old, fresh, n_fresh, ranks_.as<std::uint64_t>(), merged);
        } else {
            std::copy_n(fresh, n_fresh, std::copy_n(old, n_old, merged));
            std::nth_element(merged, merged + std::min(both, n_top_), merged + both);
            std::sort(merged, merged + std::min(both, n_top_));
        }
        from_keys(merged, std::min(both, n_top_), ids, best);
    }

   private:
    // Writes what no product of a lane exceeds to the maxima, and returns a value that the best n_top of this row and
    // the list so far reach: `floor`, which the list does, or more where bisection gets to a value that hardly more
    // than n_top of the maxima reach. Nothing at minus infinity is listed.
    float find_lanes(std::int64_t g, float floor) {
        float* maxima = maxima_.data();
        if (floor > 0) {  // then negative scores, which a smaller factor makes larger, don't matter
            product_maxima(largest_.data(), factors_.largest(g), groups_.lanes / kLanes, 1, maxima);
            if (count_from(maxima, groups_.lanes, floor) <= kFew) return floor;
        }
        product_maxima(row_.data(), factors_.row(g), groups_.vectors, groups_.depth, maxima);
        return raised_floor(maxima, groups_.lanes, n_top_, std::max(floor, kLeast));
    }

    std::int64_t width_, n_top_;
    const Groups& groups_;
    const Factors& factors_;
    Scratch row_, largest_, maxima_, found_, old_, fresh_, ranks_, merged_;
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
    const Groups groups(scores.cols, n_top);
    const Factors own(factors, groups);
    parallel_for(tasks, num_threads, [&](std::int64_t t) {
        Lists lists(scores.cols, n_top, groups, own);
        const std::int64_t stop = std::min(scores.rows, (t + 1) * kRowsPerTask);
        for (std::int64_t u = t * kRowsPerTask; u < stop; ++u) {
            lists.load(scores.row(u), exclude, u, first_item);
            for (std::int64_t g = 0; g < factors.rows; ++g) {
                const std::int64_t row = g * scores.rows + u;
                lists.merge_into(g, first_item, ids.row(row), best.row(row));
            }
        }
    });
}

}  // namespace fastautorec
