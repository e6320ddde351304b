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

// kVectors registers of columns of a sum of rows.
template <int kVectors>
FASTAUTOREC_INLINE void sum_columns(const Entry* entries, std::int64_t size, const float* rows, std::int64_t stride,
                                    float* out) {
    Vec sums[kVectors]{};
    for (std::int64_t e = 0; e < size; ++e) {
        const float* row = rows + entries[e].user * stride;
        for (int v = 0; v < kVectors; ++v) sums[v] += entries[e].value * vec(row + v * kLanes);
    }
    for (int v = 0; v < kVectors; ++v) vec(out + v * kLanes) = sums[v];
}

FASTAUTOREC_INLINE void sum_rows(const Entry* entries, std::int64_t size, ConstMatrix rows, float* out) {
    const std::int64_t k = rows.cols;
    std::int64_t c = 0;
    for (; c + 4 * kLanes <= k; c += 4 * kLanes) sum_columns<4>(entries, size, rows.data + c, rows.stride, out + c);
    for (; c + kLanes <= k; c += kLanes) sum_columns<1>(entries, size, rows.data + c, rows.stride, out + c);
    if (c < k && k >= kLanes) {  // the last register begins early: some columns are computed twice, with the same bits
        c = k - kLanes;
        sum_columns<1>(entries, size, rows.data + c, rows.stride, out + c);
        return;
    }
    for (; c < k; ++c) {
        float sum = 0.0f;
        for (std::int64_t e = 0; e < size; ++e) sum += entries[e].value * rows.row(entries[e].user)[c];
        out[c] = sum;
    }
}

FASTAUTOREC_CLONES void sum_rows_of_items(const ByItem& sorted, ConstMatrix rows, Matrix out) {
    for (std::int64_t i = 0; i < out.rows; ++i) {
        const std::int64_t start = sorted.stops[static_cast<std::size_t>(i)];
        const std::int64_t size = sorted.stops[static_cast<std::size_t>(i + 1)] - start;
        sum_rows(sorted.entries.data() + start, size, rows, out.row(i));
    }
}

}  // namespace

void transposed_product(const CsrView& x, std::int64_t first, std::int64_t last, float factor, ConstMatrix rows,
                        Matrix out) {
    require(x.n_rows <= std::numeric_limits<std::int32_t>::max(), "too many users at once");
    thread_local ByItem sorted;
    sorted.sort(x, first, last, factor);
    sum_rows_of_items(sorted, rows, out);
}

}  // namespace fastautorec
