// Products of a sparse matrix with a dense one: the sum of value * source[id] over each list of entries, where the
// lists are the rows of a CSR matrix (X W) or its columns by an item index (X^T G). Bound by gathering 4 k bytes for
// each entry, mostly from L2; ids and values are read once for every 128 columns.
//
// Long lists shall not keep one warp busy while the others have ended, so all entries are cut into segments of equal
// length. Lists up to this length are summed by one warp. Of a longer one every segment sums its part, and the parts
// are added up in order: results do not depend on the schedule. Two long lists at most meet in a segment, the one its
// first entry is in (part 2 s) and the one its last entry is in (part 2 s + 1).

namespace {

constexpr int kWarp = 32;
constexpr int kColumns = 4;              // of a lane
constexpr int kTile = kWarp * kColumns;  // columns of a warp: lane l has l, l + 32, ...
constexpr unsigned int kAll = 0xFFFFFFFFu;

struct Range {
    long long begin, end;
};

__device__ int lane() { return static_cast<int>(threadIdx.x % kWarp); }

__device__ long long warp_number() { return (blockIdx.x * static_cast<long long>(blockDim.x) + threadIdx.x) / kWarp; }

__device__ long long warps() { return static_cast<long long>(gridDim.x) * blockDim.x / kWarp; }

// The list that entry e is in.
__device__ long long list_of(const long long* __restrict__ begin, long long n_lists, long long e) {
    long long low = 0, high = n_lists;  // begin[low] <= e < begin[high]
    while (high - low > 1) {
        const long long middle = (low + high) / 2;
        if (begin[middle] <= e) {
            low = middle;
        } else {
            high = middle;
        }
    }
    return low;
}

// The entries of a part; none where there is no long list.
__device__ Range part_range(const long long* __restrict__ begin, long long n_lists, long long segment, long long part) {
    const long long start = begin[0] + part / 2 * segment;
    const long long stop = min(start + segment, begin[n_lists]);
    if (start >= stop) return {0, 0};
    const bool last = part % 2 != 0;
    const long long list = list_of(begin, n_lists, last ? stop - 1 : start);
    const Range own = {begin[list], begin[list + 1]};
    if (own.end - own.begin <= segment || (last && own.begin <= start)) return {0, 0};
    return {max(start, own.begin), min(stop, own.end)};
}

// sum[c] += value_e * source[id_e, first + lane + 32 c] over the entries e of a range. By the whole warp.
__device__ void add_entries(float (&sum)[kColumns], Range range, const int* __restrict__ ids,
                            const long long* __restrict__ places, const float* __restrict__ data,
                            const float* __restrict__ source, long long stride, long long first, long long k) {
    const float* column = source + first + lane();
    for (long long start = range.begin; start < range.end; start += kWarp) {
        const long long e = start + lane();
        int id = 0;
        float value = 1.0f;
        if (e < range.end) {
            id = ids[e];
            if (data) value = data[places ? places[e] : e];
        }
        const int size = static_cast<int>(min(range.end - start, static_cast<long long>(kWarp)));
#pragma unroll 4
        for (int t = 0; t < size; ++t) {
            const float* row = column + __shfl_sync(kAll, id, t) * stride;
            const float weight = __shfl_sync(kAll, value, t);
#pragma unroll
            for (int c = 0; c < kColumns; ++c)
                if (first + lane() + c * kWarp < k) sum[c] += weight * row[c * kWarp];
        }
    }
}

// What becomes of a list's sum: out = act(sum + bias); or, to be added, out += sum, out += scale * (product - sum).
__device__ void finish(const float (&sum)[kColumns], float* __restrict__ out, const float* __restrict__ bias,
                       int activation, bool add, const float* __restrict__ product, float scale, long long first,
                       long long k) {
#pragma unroll
    for (int c = 0; c < kColumns; ++c) {
        const long long j = first + lane() + c * kWarp;
        if (j >= k) return;
        if (!add) {
            out[j] = fastautorec::activate(sum[c] + (bias ? bias[j] : 0.0f), activation);
        } else {
            out[j] += product ? scale * (product[j] - sum[c]) : sum[c];
        }
    }
}

}  // namespace

// out (n_lists, k) from the lists of at most `segment` entries, and parts (n_parts, k) of the longer ones.
// begin (n_lists + 1,); ids; places or null where values are in the order of the ids; data or null for values of 1;
// source (., k), bias (k,) or null, product (n_lists, k) or null. One warp for each list or part and 128 columns.
extern "C" __global__ void sum_lists_kernel(float* __restrict__ out, long long out_stride, float* __restrict__ parts,
                                            long long n_parts, const long long* __restrict__ begin,
                                            const int* __restrict__ ids, const long long* __restrict__ places,
                                            const float* __restrict__ data, const float* __restrict__ source,
                                            long long source_stride, const float* __restrict__ bias,
                                            long long activation, int add, const float* __restrict__ product,
                                            long long product_stride, float scale, long long segment, long long n_lists,
                                            long long k) {
    const long long tiles = (k + kTile - 1) / kTile;
    for (long long w = warp_number(); w < (n_parts + n_lists) * tiles; w += warps()) {
        const long long part = w / tiles, list = part - n_parts, first = w % tiles * kTile;
        const bool whole = list >= 0;
        const Range range = whole ? Range{begin[list], begin[list + 1]} : part_range(begin, n_lists, segment, part);
        const long long size = range.end - range.begin;
        if (whole ? size > segment : size == 0) continue;
        float sum[kColumns] = {};
        add_entries(sum, range, ids, places, data, source, source_stride, first, k);
        if (whole) {
            finish(sum, out + list * out_stride, bias, static_cast<int>(activation), add != 0,
                   product ? product + list * product_stride : nullptr, scale, first, k);
        } else {
            finish(sum, parts + part * k, nullptr, fastautorec::kIdentity, false, nullptr, 0.0f, first, k);
        }
    }
}

// The rows of out (n_lists, k) of the lists of more than `segment` entries, from their parts.
// Arguments as above. One warp for each list and 128 columns.
extern "C" __global__ void join_parts_kernel(float* __restrict__ out, long long out_stride,
                                             const float* __restrict__ parts, const long long* __restrict__ begin,
                                             const float* __restrict__ bias, long long activation, int add,
                                             const float* __restrict__ product, long long product_stride, float scale,
                                             long long segment, long long n_lists, long long k) {
    const long long tiles = (k + kTile - 1) / kTile;
    for (long long w = warp_number(); w < n_lists * tiles; w += warps()) {
        const long long list = w / tiles, first = w % tiles * kTile;
        const Range range = {begin[list] - begin[0], begin[list + 1] - begin[0]};
        if (range.end - range.begin <= segment) continue;
        float sum[kColumns] = {};
        for (long long s = range.begin / segment; s <= (range.end - 1) / segment; ++s) {
            const long long part = 2 * s + (s * segment < range.begin);
#pragma unroll
            for (int c = 0; c < kColumns; ++c) {
                const long long j = first + lane() + c * kWarp;
                if (j < k) sum[c] += parts[part * k + j];
            }
        }
        finish(sum, out + list * out_stride, bias, static_cast<int>(activation), add != 0,
               product ? product + list * product_stride : nullptr, scale, first, k);
    }
}
