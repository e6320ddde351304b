// Runs of items whose rows of a weight matrix, and of its gradient, stay in the cache of one core while they are worked
// on. Borders and groups depend on the sizes alone, so results have the same bits for any number of threads.
#pragma once

#include <algorithm>
#include <cstdint>

#include "fastautorec/simd.hpp"
#include "fastautorec/views.hpp"

namespace fastautorec {

class ItemTiles {
   public:
    // `width`: floats of the widest row that is kept for each item.
    ItemTiles(std::int64_t n_items, std::int64_t width) : n_items_(n_items) {
        const std::int64_t most =
            std::clamp<std::int64_t>(kTileFloats / std::max<std::int64_t>(width, 1), 8, kMostRows);
        std::int64_t count = (n_items + most - 1) / most;
        if (count > 1) count += count % 2;  // of equal size for two threads
        rows_ = count ? (n_items + count - 1) / count : 1;
        rows_ = (rows_ + 7) / 8 * 8;  // the step of products in BLAS
        count_ = (n_items + rows_ - 1) / rows_;
    }

    std::int64_t count() const { return count_; }
    std::int64_t rows() const { return rows_; }  // of every tile but the last
    std::int64_t first(std::int64_t t) const { return t * rows_; }
    std::int64_t last(std::int64_t t) const { return std::min(n_items_, (t + 1) * rows_); }

   private:
    static constexpr std::int64_t kTileFloats = 60 << 10;  // 240 KB: weights, gradient and scores fill half of 1 MB
    static constexpr std::int64_t kMostRows = 4096;
    std::int64_t n_items_, rows_, count_;
};

// What one row of a sparse matrix stores for a run of items.
struct Segment {
    std::int64_t start, stop;  // places in the storage
};

// The first place in ids[start..stop) whose id is at least `id`; without branches that no processor can predict.
FASTAUTOREC_INLINE std::int64_t lower_bound(const std::int32_t* ids, std::int64_t start, std::int64_t stop,
                                            std::int64_t id) {
    const std::int32_t* base = ids + start;
    for (std::int64_t size = stop - start; size > 0;) {
        const std::int64_t middle = (size + 1) / 2;
        base += base[middle - 1] < id ? middle : 0;
        size -= middle;
    }
    return base - ids;
}

// Entries of row u whose items are in [first, last); ids ascend within a row.
FASTAUTOREC_INLINE Segment segment_of(const CsrView& x, std::int64_t u, std::int64_t first, std::int64_t last) {
    const std::int64_t start = lower_bound(x.indices, x.indptr[u], x.indptr[u + 1], first);
    std::int64_t stop = start;
    while (stop < x.indptr[u + 1] && x.indices[stop] < last) ++stop;
    return {start, stop};
}

}  // namespace fastautorec
