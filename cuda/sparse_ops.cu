// Products of a sparse matrix with a dense one: the sum of value * source[id] over each list of entries, where the
// lists are the rows of a CSR matrix (X W) or its columns by an item index (X^T G). Bound by gathering 4 k bytes for
// each entry, mostly from L2; ids and values are read once for every 128 columns.
//
// Long lists must not keep one warp busy while the others have ended, so all entries are cut into segments of equal
// length. Lists up to this length are summed by one warp. Of a longer one every segment sums its part, and the parts
// are added up in order: results do not depend on the schedule. Two long lists at most meet in a segment, the one its
// first entry is in (part 2 s) and the one its last entry is in (part 2 s + 1).

namespace fastautorec {

constexpr int kInFlight = 4;  // rows that a lane loads before it needs the first

struct Range {
    long long begin, end;
};

struct Entries {
    const int* ids;
    const long long* places;  // of the values; null where they are in the order of the ids
    const float* values;      // null where each is 1
};

// What becomes of a list's sum: out = act(sum + bias); or, to be added, out += sum, out += scale * (product - sum).
struct Ending {
    const float* bias;
    int activation;
    bool add;
    const float* product;
    float scale;
};

// The list that entry e is in.
__device__ __forceinline__ long long list_of(const long long* begin, long long n_lists, long long e) {
    long long low = 0, high = n_lists;  // begin[low] <= e < begin[high]
    while (high - low > 1) {
        const long long middle = (low + high) / 2;
        (begin[middle] <= e ? low : high) = middle;
    }
    return low;
}

// The entries of a part; none where there is no long list.
__device__ __forceinline__ Range part_range(const long long* begin, long long n_lists, long long segment,
                                            long long part) {
    const long long start = begin[0] + part / 2 * segment;
    const long long stop = min(start + segment, begin[n_lists]);
    if (start >= stop) return {0, 0};
    const bool last = part % 2 != 0;
    const long long list = list_of(begin, n_lists, last ? stop - 1 : start);
    const Range own = {begin[list], begin[list + 1]};
    if (own.end - own.begin <= segment || (last && own.begin <= start)) return {0, 0};
    return {max(start, own.begin), min(stop, own.end)};
}

// Adds value * row of a tile of the source for the entries of a range, in their order. By the whole warp.
template <bool kWide>
__device__ __forceinline__ void add_entries(const Entries& entries, Range range, const float* tile, long long stride,
                                            int columns, float (&sum)[4]) {
    for (long long start = range.begin; start < range.end; start += kLanes) {
        const long long own = start + lane_number();
        int id = 0;
        float value = 1.0f;
        if (own < range.end) {
            id = entries.ids[own];
            if (entries.values) value = entries.values[entries.places ? entries.places[own] : own];
        }
        const int size = static_cast<int>(min(range.end - start, static_cast<long long>(kLanes)));
        for (int e = 0; e < size; e += kInFlight) {
            float four[kInFlight][4];
#pragma unroll
            for (int i = 0; i < kInFlight; ++i) {
                const long long row = __shfl_sync(kWholeWarp, id, e + i);
                load_four<kWide>(tile + row * stride, e + i < size ? columns : 0, four[i]);
            }
#pragma unroll
            for (int i = 0; i < kInFlight; ++i) {
                const float weight = __shfl_sync(kWholeWarp, value, e + i);
#pragma unroll
                for (int c = 0; c < 4; ++c) sum[c] += weight * four[i][c];
            }
        }
    }
}

// Element by element: the sums are few, and other matrices may be aligned in another way than the source.
template <bool kWide>
__device__ __forceinline__ void finish(const float (&sum)[4], const Ending& ending, long long first, int columns,
                                       float* out, long long product_row) {
#pragma unroll
    for (int c = 0; c < 4; ++c) {
        const long long j = first + column_of<kWide>(c);
        if (column_of<kWide>(c) >= columns) continue;
        if (!ending.add) {
            out[j] = activate(sum[c] + (ending.bias ? ending.bias[j] : 0.0f), ending.activation);
        } else {
            out[j] += ending.product ? ending.scale * (ending.product[product_row + j] - sum[c]) : sum[c];
        }
    }
}

template <bool kWide>
__device__ __forceinline__ void sum_list(const Entries& entries, Range range, const float* source, long long stride,
                                         const Ending& ending, long long first, int columns, float* out,
                                         long long product_row) {
    float sum[4] = {};
    add_entries<kWide>(entries, range, source + first, stride, columns, sum);
    finish<kWide>(sum, ending, first, columns, out, product_row);
}

}  // namespace fastautorec

// out (n_lists, k) from the lists of at most `segment` entries, and parts (n_parts, k) of the longer ones.
// begin (n_lists + 1,); ids; places or null where values are in the order of the ids; values or null for ones;
// source (., k), bias (k,) or null, product (n_lists, k) or null. One warp for each list or part and 128 columns.
extern "C" __global__ void sum_lists_kernel(float* __restrict__ out, long long out_stride, float* __restrict__ parts,
                                            long long n_parts, const long long* __restrict__ begin,
                                            const int* __restrict__ ids, const long long* __restrict__ places,
                                            const float* __restrict__ values, const float* __restrict__ source,
                                            long long source_stride, const float* __restrict__ bias, int activation,
                                            int add, const float* __restrict__ product, long long product_stride,
                                            float scale, long long segment, long long n_lists, long long k) {
    using namespace fastautorec;
    const Entries entries = {ids, places, values};
    const bool wide = is_wide(source, source_stride);
    const long long tiles = (k + kTile - 1) / kTile;
    FASTAUTOREC_WARP_STRIDE(task, (n_parts + n_lists) * tiles) {
        const long long part = task / tiles, list = part - n_parts, first = task % tiles * kTile;
        const bool whole = list >= 0;
        const Range range = whole ? Range{begin[list], begin[list + 1]} : part_range(begin, n_lists, segment, part);
        const long long size = range.end - range.begin;
        if (whole ? size > segment : size == 0) continue;
        Ending ending = {bias, activation, add != 0, product, scale};
        if (!whole) ending = {nullptr, kIdentity, false, nullptr, 0.0f};
        float* const target = whole ? out + list * out_stride : parts + part * k;
        const int columns = static_cast<int>(min(k - first, static_cast<long long>(kTile)));
        wide ? sum_list<true>(entries, range, source, source_stride, ending, first, columns, target,
                              list * product_stride)
             : sum_list<false>(entries, range, source, source_stride, ending, first, columns, target,
                               list * product_stride);
    }
}

// The rows of out (n_lists, k) of the lists of more than `segment` entries, from their parts.
// Arguments as above. One warp for each list and 128 columns.
extern "C" __global__ void join_parts_kernel(float* __restrict__ out, long long out_stride,
                                             const float* __restrict__ parts, const long long* __restrict__ begin,
                                             const float* __restrict__ bias, int activation, int add,
                                             const float* __restrict__ product, long long product_stride, float scale,
                                             long long segment, long long n_lists, long long k) {
    using namespace fastautorec;
    const long long tiles = (k + kTile - 1) / kTile;
    FASTAUTOREC_WARP_STRIDE(task, n_lists * tiles) {
        const long long list = task / tiles, first = task % tiles * kTile;
        const Range range = {begin[list] - begin[0], begin[list + 1] - begin[0]};
        if (range.end - range.begin <= segment) continue;
        const int columns = static_cast<int>(min(k - first, static_cast<long long>(kTile)));
        float sum[4] = {};
        for (long long s = range.begin / segment; s <= (range.end - 1) / segment; ++s) {
            const long long part = 2 * s + (s * segment < range.begin);  // the first may begin within a segment
            float four[4];
            load_four<false>(parts + part * k + first, columns, four);
#pragma unroll
            for (int c = 0; c < 4; ++c) sum[c] += four[c];
        }
        finish<false>(sum, {bias, activation, add != 0, product, scale}, first, columns, out + list * out_stride,
                      list * product_stride);
    }
}
