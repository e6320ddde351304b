#include "fastautorec/item_index.hpp"

#include <algorithm>
#include <limits>

#include "fastautorec/check.hpp"
#include "fastautorec/item_tiles.hpp"
#include "fastautorec/simd.hpp"

namespace fastautorec {
namespace {

using Entry = ItemIndex::Entry;

constexpr std::int64_t kMostParts = 16;
constexpr std::int64_t kEntriesOfRow = 16;  // that a part takes from a row: finding them must not be most of the work

// What a run of items asks for: rows `stops[i]..stops[i + 1]` of the entries make row i of `out`.
struct Sums {
    const std::int64_t* stops;
    const Entry* entries;
    float factor;
    ConstMatrix rows;
    Matrix out;
};

// kVectors registers of columns of the sums of all items. These columns of `rows` are read again and again: all columns
// of many users would not stay in the cache.
template <int kVectors>
FASTAUTOREC_INLINE void sum_columns(const Sums of, std::int64_t column) {
    const float* const data = of.rows.data + column;
    for (std::int64_t i = 0; i < of.out.rows; ++i) {
        const std::int64_t stop = of.stops[i + 1];
        Vec sums[kVectors]{};
        for (std::int64_t e = of.stops[i]; e < stop; ++e) {
            const float* row = data + of.entries[e].user * of.rows.stride;
            for (int v = 0; v < kVectors; ++v) sums[v] += of.entries[e].value * vec(row + v * kLanes);
        }
        for (int v = 0; v < kVectors; ++v) vec(of.out.row(i) + column + v * kLanes) = of.factor * sums[v];
    }
}

FASTAUTOREC_INLINE void sum_column(const Sums of, std::int64_t column) {
    for (std::int64_t i = 0; i < of.out.rows; ++i) {
        float sum = 0.0f;
        for (std::int64_t e = of.stops[i]; e < of.stops[i + 1]; ++e)
            sum += of.entries[e].value * of.rows.row(of.entries[e].user)[column];
        of.out.row(i)[column] = of.factor * sum;
    }
}

FASTAUTOREC_CLONES void sum_rows(const Sums of) {
    const std::int64_t k = of.rows.cols;
    std::int64_t c = 0;
    for (; c + 4 * kLanes <= k; c += 4 * kLanes) sum_columns<4>(of, c);
    for (; c + kLanes <= k; c += kLanes) sum_columns<1>(of, c);
    if (c == k) return;
    // The last register begins early: some columns are computed twice, with the same bits.
    if (k >= kLanes) sum_columns<1>(of, k - kLanes);
    for (; k < kLanes && c < k; ++c) sum_column(of, c);
}

}  // namespace

ItemIndex::ItemIndex(const CsrView& x)
    : x_(x),
      parts_(std::clamp<std::int64_t>(x.nnz() / (kEntriesOfRow * std::max<std::int64_t>(x.n_rows, 1)), 1, kMostParts)),
      stop_memory_(2 * (x.n_cols + 1)),
      entry_memory_(2 * x.nnz()),
      stops_(stop_memory_.as<std::int64_t>()),
      entries_(entry_memory_.as<Entry>()) {
    require(x.n_rows <= std::numeric_limits<std::int32_t>::max(), "too many users at once");
    stops_[x.n_cols] = x.nnz();
}

// A counting sort of the items of one part. How many entries belong before it follows from where it begins in each row.
void ItemIndex::make(std::int64_t part) {
    const std::int64_t first = part * x_.n_cols / parts_, last = (part + 1) * x_.n_cols / parts_;
    const std::int32_t* const ids = x_.indices;
    const Scratch segment_memory(4 * x_.n_rows), place_memory(2 * (last - first + 1));
    Segment* const segments = segment_memory.as<Segment>();
    std::int64_t* const places = place_memory.as<std::int64_t>();  // shifted by one: counts, then places
    std::fill_n(places, last - first + 1, 0);
    for (std::int64_t u = 0; u < x_.n_rows; ++u) {
        const Segment stored = segment_of(x_, u, first, last);
        segments[u] = stored;
        places[0] += stored.start - x_.indptr[u];
        for (std::int64_t p = stored.start; p < stored.stop; ++p) ++places[ids[p] - first + 1];
    }
    for (std::int64_t i = 0; i < last - first; ++i) {
        stops_[first + i] = places[i];
        places[i + 1] += places[i];
    }
    for (std::int64_t u = 0; u < x_.n_rows; ++u) {
        const Segment stored = segments[u];
        for (std::int64_t p = stored.start; p < stored.stop; ++p) {
            const std::int64_t place = places[ids[p] - first]++;
            entries_[place] = {static_cast<std::int32_t>(u), x_.value(p)};
        }
    }
}

void ItemIndex::product(std::int64_t first, std::int64_t last, float factor, ConstMatrix rows, Matrix out) const {
    require(rows.rows == x_.n_rows && out.rows == last - first && out.cols == rows.cols, "product: wrong shape");
    sum_rows({stops_ + first, entries_, factor, rows, out});
}

}  // namespace fastautorec
