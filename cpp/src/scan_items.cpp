#include "fastautorec/scan_items.hpp"

#include <algorithm>
#include <atomic>
#include <vector>

#include "fastautorec/check.hpp"
#include "fastautorec/dense_ops.hpp"
#include "fastautorec/parallel.hpp"
#include "fastautorec/row_selector.hpp"
#include "fastautorec/scratch.hpp"

namespace fastautorec {
namespace {

constexpr std::int64_t kGroupsPerTask = 64;
constexpr std::int64_t kTogether = 32;     // vectors whose bounds are found at once, where these fit
constexpr std::int64_t kBounds = 1 << 22;  // into so many floats
constexpr std::int64_t kChains = 8;        // side by side: each waits for its own last sum
constexpr std::int64_t kMoreSeeds = 16;    // beside twice the length of the lists
constexpr std::int64_t kFewShare = 6;      // of the items may be left on average, where memory sets the pace
constexpr std::int64_t kManyShare = 32;    // and where BLAS would be at its full speed

FASTAUTOREC_INLINE void fetch(const float* row, std::int64_t size) {
    for (std::int64_t c = 0; c < size; c += kLanes) __builtin_prefetch(row + c);
}

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

// Finds the lists of one vector from the bounds of its products.
class Finder {
   public:
    // `budget`: items that may still be scored, for all vectors together.
    Finder(ConstMatrix b, VectorView<const std::int64_t> borders, std::int64_t n_top, std::atomic<std::int64_t>* budget)
        : b_(b), borders_(borders), n_top_(n_top), budget_(budget), selector_(b.rows, 2 * n_top + kMoreSeeds) {}

    // False where more items are left than the budget has. The bounds of what must not be listed are minus infinity.
    bool find(const float* a, const float* bounds, std::int32_t* ids, float* best) {
        selector_.look_at(bounds);
        const float first = selector_.floor();
        if (!score(a, bounds, first, -kNever) || !score(a, bounds, score_of(keys_.back()), first)) return false;
        write_list(keys_, n_top_, ids, best);
        return true;
    }

   private:
    // Adds the items whose bounds reach the floor but not the ceiling, and keeps the best.
    bool score(const float* a, const float* bounds, float floor, float ceiling) {
        const std::int64_t count = selector_.find(floor);
        listed_.clear();
        for (const std::int32_t* p = selector_.found(); p < selector_.found() + count; ++p)
            if (bounds[*p] < ceiling) listed_.push_back(*p);
        const auto size = static_cast<std::int64_t>(listed_.size());
        if ((*budget_ -= size) < 0) return false;
        scores_.resize(listed_.size());
        if (borders_.size)
            chain_products(a, b_, listed_.data(), size, borders_, scores_.data());
        else
            multiply_listed_rows(a, b_, listed_.data(), size, scores_.data());
        for (std::size_t c = 0; c < listed_.size(); ++c) keys_.push_back(to_key(scores_[c], listed_[c]));
        keep_best(keys_, n_top_);
        return true;
    }

    ConstMatrix b_;
    VectorView<const std::int64_t> borders_;
    std::int64_t n_top_;
    std::atomic<std::int64_t>* budget_;
    RowSelector selector_;
    std::vector<std::int32_t> listed_;
    std::vector<std::uint64_t> keys_;
    std::vector<float> scores_;
};

}  // namespace

void chain_products(const float* a, ConstMatrix b, const std::int32_t* listed, std::int64_t count,
                    VectorView<const std::int64_t> borders, float* out) {
    float sums[kChains];
    for (std::int64_t j = 0; j < count; j += kChains) {
        const float* rows[kChains];
        for (std::int64_t r = 0; r < kChains; ++r) {
            rows[r] = b.row(listed[std::min(j + r, count - 1)]);
            if (j + r + kChains < count) fetch(b.row(listed[j + r + kChains]), b.cols);
        }
        std::int64_t first = 0;
        for (std::int64_t border = 0; border < borders.size; first = borders.data[border++])
            chains(a, rows, first, borders.data[border], sums);
        std::copy_n(sums, std::min(kChains, count - j), out + j);
    }
}

bool scan_items(ConstMatrix a, ConstMatrix b, const ItemCodes& codes, const CsrView* exclude,
                VectorView<const std::int32_t> masked, VectorView<const std::int64_t> borders,
                MatrixView<std::int32_t> ids, Matrix best, int num_threads) {
    const std::int64_t n = b.rows, groups = (n + kLanes - 1) / kLanes, n_top = ids.cols;
    require(a.cols == b.cols && ids.rows == a.rows && best.rows == a.rows && best.cols == n_top,
            "scan_items: shapes do not match");
    require(codes.codes.rows == groups && codes.width() == coded_width(b.cols) && codes.facts.rows == 3 &&
                codes.facts.cols == groups * kLanes,
            "scan_items: the codes are of another matrix");
    require(!exclude || (exclude->n_rows == a.rows && exclude->n_cols >= n), "scan_items: exclude has another shape");
    require(borders.size == 0 || borders.data[borders.size - 1] == b.cols, "scan_items: borders must end the rows");
    std::atomic<std::int64_t> budget{a.rows * n / (borders.size ? kManyShare : kFewShare)};
    const std::int64_t together = std::min({kTogether, std::max<std::int64_t>(8, kBounds / (n + 1)), a.rows});
    const ScratchMatrix memory(together, groups * kLanes);
    const Matrix bounds = memory;
    for (std::int64_t start = 0; start < a.rows; start += together) {
        const std::int64_t count = std::min(together, a.rows - start);
        std::vector<Question> questions;
        for (std::int64_t i = 0; i < count; ++i) {
            questions.emplace_back(a.row(start + i), a.cols, codes.width());
            if (!questions.back().usable) return false;
        }
        parallel_for((groups + kGroupsPerTask - 1) / kGroupsPerTask, num_threads, [&](std::int64_t t) {
            const std::int64_t first = t * kGroupsPerTask, last = std::min(groups, first + kGroupsPerTask);
            const Matrix part{bounds.data + first * kLanes, count, (last - first) * kLanes, bounds.stride};
            bound_products(questions.data(), count, codes, first, last, part);
        });
        std::atomic<bool> found{true};
        parallel_for(count, num_threads, [&](std::int64_t i) {
            float* row = bounds.row(i);
            for (std::int64_t j = n; j < groups * kLanes; ++j) row[j] = kNever;
            for (std::int64_t m = 0; m < masked.size; ++m) row[masked.data[m]] = kNever;
            if (exclude) leave_out(*exclude, start + i, 0, n, row);
            Finder finder(b, borders, n_top, &budget);
            if (!finder.find(a.row(start + i), row, ids.row(start + i), best.row(start + i))) found = false;
        });
        if (!found) return false;
    }
    return true;
}

}  // namespace fastautorec
