#include "fastautorec/item_tiles.hpp"

#include <limits>
#include <vector>

#include "fastautorec/check.hpp"

namespace fastautorec {
namespace {

struct Entry {
    std::int32_t user;
    float value;
};

// The entries of a tile by item, users ascending. Each thread keeps its memory for the next tile.
struct ByItem {
    std::vector<Segment> segments;    // of each user, so that they are looked for once
    std::vector<std::int64_t> stops;  // item i of the tile: entries [stops[i], stops[i + 1])
    std::vector<Entry> entries;

    void sort(const CsrView& x, std::int64_t first, std::int64_t last, float factor);
};

void ByItem::sort(const CsrView& x, std::int64_t first, std::int64_t last, float factor) {
    segments.resize(static_cast<std::size_t>(x.n_rows));
    stops.assign(static_cast<std::size_t>(last - first + 2), 0);
    std::int64_t* const places = stops.data();
    const std::int32_t* const ids = x.indices;
    for (std::int64_t u = 0; u < x.n_rows; ++u) {
        const Segment stored = segment_of(x, u, first, last);
        segments[static_cast<std::size_t>(u)] = stored;
        for (std::int64_t p = stored.start; p < stored.stop; ++p) ++places[ids[p] - first + 2];
    }
    for (std::int64_t i = 0; i < last - first; ++i) places[i + 2] += places[i + 1];
    entries.resize(static_cast<std::size_t>(places[last - first + 1]));
    for (std::int64_t u = 0; u < x.n_rows; ++u) {
        const Segment stored = segments[static_cast<std::size_t>(u)];
        for (std::int64_t p = stored.start; p < stored.stop; ++p) {
            const std::int64_t place = places[ids[p] - first + 1]++;
            entries[static_cast<std::size_t>(place)] = {static_cast<std::int32_t>(u), factor * x.value(p)};
        }
    }
}

// kVectors registers of columns of the sums of all items. These columns of `rows` are read again and again: all columns
// of many users would not stay in the cache.
template <int kVectors>
FASTAUTOREC_INLINE void sum_columns(const ByItem& sorted, ConstMatrix rows, std::int64_t column, Matrix out) {
    const float* const data = rows.data + column;
    const Entry* const entries = sorted.entries.data();
    for (std::int64_t i = 0; i < out.rows; ++i) {
        const std::int64_t stop = sorted.stops[static_cast<std::size_t>(i + 1)];
        Vec sums[kVectors]{};
        for (std::int64_t e = sorted.stops[static_cast<std::size_t>(i)]; e < stop; ++e) {
            const float* row = data + entries[e].user * rows.stride;
            for (int v = 0; v < kVectors; ++v) sums[v] += entries[e].value * vec(row + v * kLanes);
        }
        for (int v = 0; v < kVectors; ++v) vec(out.row(i) + column + v * kLanes) = sums[v];
    }
}

FASTAUTOREC_INLINE void sum_column(const ByItem& sorted, ConstMatrix rows, std::int64_t column, Matrix out) {
    for (std::int64_t i = 0; i < out.rows; ++i) {
        float sum = 0.0f;
        for (std::int64_t e = sorted.stops[static_cast<std::size_t>(i)];
             e < sorted.stops[static_cast<std::size_t>(i + 1)]; ++e) {
            const Entry entry = sorted.entries[static_cast<std::size_t>(e)];
            sum += entry.value * rows.row(entry.user)[column];
        }
        out.row(i)[column] = sum;
    }
}

FASTAUTOREC_CLONES void sum_rows(const ByItem& sorted, ConstMatrix rows, Matrix out) {
    const std::int64_t k = rows.cols;
    std::int64_t c = 0;
    for (; c + 4 * kLanes <= k; c += 4 * kLanes) sum_columns<4>(sorted, rows, c, out);
    for (; c + kLanes <= k; c += kLanes) sum_columns<1>(sorted, rows, c, out);
    if (c == k) return;
    // The last register begins early: some columns are computed twice, with the same bits.
    if (k >= kLanes) sum_columns<1>(sorted, rows, k - kLanes, out);
    for (; k < kLanes && c < k; ++c) sum_column(sorted, rows, c, out);
}

}  // namespace

void transposed_product(const CsrView& x, std::int64_t first, std::int64_t last, float factor, ConstMatrix rows,
                        Matrix out) {
    require(x.n_rows <= std::numeric_limits<std::int32_t>::max(), "too many users at once");
    thread_local ByItem sorted;
    sorted.sort(x, first, last, factor);
    sum_rows(sorted, rows, out);
}

}  // namespace fastautorec
