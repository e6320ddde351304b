// The negative-sampling head: scores, losses and slopes of the stored entries, and the gradient of the hidden units.

namespace fastautorec {

constexpr int kWarps = 8;               // of a block
constexpr int kKept = 4;                // tiles of a decoder row that stay in registers between its score and its use
constexpr int kSlab = kKept * kTile;    // columns
constexpr int kStep = kWarps * kLanes;  // entries of a block at a time

struct Lists {
    const long long *positive_begin, *negative_begin;
    const int *positives, *negatives, *counts;
    float *positive_slopes, *negative_slopes;
};

// What one user has: its positives, then its negatives.
struct UserEntries {
    long long positive_start, negative_start;
    int positives, size;
    float weight;  // |r_u| / |s_u| of the negatives, or |r_u| without any
};

__device__ __forceinline__ UserEntries entries_of(const Lists& lists, long long user) {
    UserEntries own;
    own.positive_start = lists.positive_begin[user];
    own.negative_start = lists.negative_begin[user];
    own.positives = static_cast<int>(lists.positive_begin[user + 1] - own.positive_start);
    const int negatives = static_cast<int>(lists.negative_begin[user + 1] - own.negative_start);
    own.size = own.positives + negatives;
    long long total = 0;
    for (int e = lane_number(); e < negatives; e += kLanes) total += lists.counts[own.negative_start + e];
    total = warp_sum(total);
    own.weight = static_cast<float>(own.positives / static_cast<double>(total > 1 ? total : 1));
    return own;
}

__device__ __forceinline__ int columns_left(long long first, long long k) {
    return static_cast<int>(k - first < kTile ? k - first : kTile);
}

// This lane's part of the inner product of two rows from the tile `first` on.
template <bool kWide>
__device__ __forceinline__ float dot_from(long long first, const float* a, const float* b, long long k) {
    float sum = 0.0f;
    for (; first < k; first += kTile) {
        float x[4], y[4];
        load_four<kWide>(a + first, columns_left(first, k), x);
        load_four<kWide>(b + first, columns_left(first, k), y);
#pragma unroll
        for (int c = 0; c < 4; ++c) sum += x[c] * y[c];
    }
    return sum;
}

// One warp's entries of one user: every eighth. With `first` 0 their slopes are found, otherwise read; `sum` gets their
// part of the gradient in columns first.. of the slab. Returns this lane's part of the loss.
template <bool kWide>
__device__ __forceinline__ double visit_entries(const Lists& lists, const UserEntries& own, const float* hidden,
                                                const float* decoder, long long stride, int output, long long first,
                                                long long k, float (&sum)[kKept][4]) {
    double loss = 0;
    for (int start = warp_number(); start < own.size; start += kStep) {
        const int mine = start + kWarps * lane_number();
        const long long positive = own.positive_start + mine, negative = own.negative_start + mine - own.positives;
        const bool is_positive = mine < own.positives, exists = mine < own.size;
        int item = 0;
        float factor = -1.0f, slope = 0.0f;
        if (exists) item = is_positive ? lists.positives[positive] : lists.negatives[negative];
        if (exists && !is_positive) factor = own.weight * static_cast<float>(lists.counts[negative]);
        float* const place = is_positive ? lists.positive_slopes + positive : lists.negative_slopes + negative;
        if (exists && first != 0) slope = *place;
        for (int lane = 0, e = start; lane < kLanes && e < own.size; ++lane, e += kWarps) {
            const float* row = decoder + __shfl_sync(kWholeWarp, item, lane) * stride;
            float d[kKept][4];
#pragma unroll
            for (int t = 0; t < kKept; ++t)
                load_four<kWide>(row + first + t * kTile, columns_left(first + t * kTile, k), d[t]);
            if (first == 0) {
                float z = dot_from<kWide>(kSlab, hidden, row, k);
#pragma unroll
                for (int t = 0; t < kKept; ++t) {
                    float h[4];
                    load_four<kWide>(hidden + t * kTile, columns_left(t * kTile, k), h);
#pragma unroll
                    for (int c = 0; c < 4; ++c) z += h[c] * d[t][c];
                }
                z = warp_sum(z);
                const OutputSlope o = output_of(z, output, e < own.positives);
                if (lane == lane_number()) {
                    slope = factor * o.slope;
                    loss += static_cast<double>(factor) * static_cast<double>(o.value);
                }
            }
            const float g = __shfl_sync(kWholeWarp, slope, lane);
#pragma unroll
            for (int t = 0; t < kKept; ++t)
#pragma unroll
                for (int c = 0; c < 4; ++c) sum[t][c] += g * d[t][c];
        }
        if (exists && first == 0) *place = slope;
    }
    return loss;
}

// The users of one block; returns the part of the loss of one thread.
template <bool kWide>
__device__ __forceinline__ double visit_users(const Lists& lists, float* grad, long long grad_stride,
                                              const float* hidden, long long hidden_stride, const float* decoder,
                                              long long stride, int output, float scale, long long q, long long k,
                                              float (*partial)[kSlab]) {
    double loss = 0;
    for (long long user = blockIdx.x; user < q; user += gridDim.x) {
        const UserEntries own = entries_of(lists, user);
        for (long long first = 0; first < (grad ? k : 1); first += kSlab) {
            float sum[kKept][4] = {};
            loss +=
                visit_entries<kWide>(lists, own, hidden + user * hidden_stride, decoder, stride, output, first, k, sum);
            if (!grad) continue;
#pragma unroll
            for (int t = 0; t < kKept; ++t) store_four<kWide>(sum[t], kTile, partial[warp_number()] + t * kTile);
            __syncthreads();
            for (int c = static_cast<int>(threadIdx.x); c < kSlab && first + c < k; c += kStep) {
                float total = 0.0f;
                for (int warp = 0; warp < kWarps; ++warp) total += partial[warp][c];
                grad[user * grad_stride + first + c] += scale * total;
            }
            __syncthreads();
        }
    }
    return loss;
}

}  // namespace fastautorec

using namespace fastautorec;

// Of each stored entry (u, j), z = h_u . d_j: its slope, -out'(z) for positives and w_u s_uj out'(z) for negatives,
// goes to its place in positive_slopes or negative_slopes, and scale * sum_j slope d_j is added to grad_u where there
// is a `grad`. `losses` (a place for each block) gets parts of sum_u [w_u s_u . o_u - r_u . o_u].
//
// grad, hidden (q, k); decoder (n, k). A block takes a user, its warps every eighth entry each, in a fixed order; lanes
// are columns. Bound by gathering the decoder's rows, mostly from L2: once up to 512 columns, twice beyond.
extern "C" __global__ void __launch_bounds__(256, 2)
    ns_entries_kernel(float* grad, float* positive_slopes, float* negative_slopes, double* losses,
                      const float* __restrict__ hidden, const float* __restrict__ decoder,
                      const long long* __restrict__ positive_begin, const int* __restrict__ positives,
                      const long long* __restrict__ negative_begin, const int* __restrict__ negatives,
                      const int* __restrict__ counts, long long q, long long k, long long grad_stride,
                      long long hidden_stride, long long decoder_stride, int output, float scale) {
    __shared__ __align__(16) float partial[kWarps][kSlab];
    __shared__ double sums[kWarps];
    const Lists lists{positive_begin, negative_begin, positives, negatives, counts, positive_slopes, negative_slopes};
    const bool wide = is_wide(hidden, hidden_stride) && is_wide(decoder, decoder_stride);
    double loss = wide ? visit_users<true>(lists, grad, grad_stride, hidden, hidden_stride, decoder, decoder_stride,
                                           output, scale, q, k, partial)
                       : visit_users<false>(lists, grad, grad_stride, hidden, hidden_stride, decoder, decoder_stride,
                                            output, scale, q, k, partial);
    loss = block_sum(loss, sums);
    if (threadIdx.x == 0) losses[blockIdx.x] = loss;
}
