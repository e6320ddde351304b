// The pass over a weight matrix that ends every gradient: each row's gradient is added up from the entries of its item
// and used up at once, so that it never exists as a matrix.

namespace fastautorec {

constexpr int kWarps = 8;       // of a block
constexpr int kShort = kLanes;  // entries of an item that one warp adds up alone
constexpr int kInFlight = 4;    // rows that a lane loads before it needs the first

// Entries by item: those of item j are begin[j]..begin[j + 1], each with its row and the place of its value.
struct ItemIndex {
    const long long* begin;  // null for no entries at all
    const int* rows;
    const long long* places;
    const float* values;  // by place; null where each is 1

    __device__ __forceinline__ float value(long long e) const { return values ? values[places[e]] : 1.0f; }
};

// Entries of one item: those of one index, then those of another.
struct Entries {
    long long starts[2];
    int sizes[2];  // rows are int32

    __device__ __forceinline__ int size() const { return sizes[0] + sizes[1]; }
};

struct Rows {
    const float* data;
    long long stride;
};

struct State {
    float *value, *first, *second;  // moments: null where the rule keeps none
    long long value_stride, first_stride, second_stride;
};

// Rule of optim_ops.hpp: what the optimiser does, and the constants of this step.
enum Rule { kGradient = 0, kSgd = 1, kAdam = 2, kAdamW = 3 };

struct Change {
    int rule;
    UpdateRates rates;
    long long bias;  // the column with its own decay, or -1
    float bias_decay, bias_shrink;
};

__device__ __forceinline__ Entries entries_of(const ItemIndex (&index)[2], int item) {
    Entries entries{};
#pragma unroll
    for (int i = 0; i < 2; ++i) {
        if (!index[i].begin) continue;
        entries.starts[i] = index[i].begin[item];
        entries.sizes[i] = static_cast<int>(index[i].begin[item + 1] - entries.starts[i]);
    }
    return entries;
}

// Adds value_e * row_e of a tile to `sum`, for the entries from `start` on, at most one for each lane,
// in their order. Returns the value of this lane's entry.
template <bool kWide>
__device__ __forceinline__ float add_entries(const ItemIndex (&index)[2], const Entries& entries, int start,
                                             const Rows& tile, int columns, float (&sum)[4]) {
    const int size = entries.size() - start < kLanes ? entries.size() - start : kLanes;
    int row = 0, e = start + lane_number();
    float value = 0.0f;
    if (e < entries.sizes[0]) {
        row = index[0].rows[entries.starts[0] + e];
        value = index[0].value(entries.starts[0] + e);
    } else if (lane_number() < size) {
        e -= entries.sizes[0];
        row = index[1].rows[entries.starts[1] + e];
        value = index[1].value(entries.starts[1] + e);
    }
    for (e = 0; e < size; e += kInFlight) {
        float four[kInFlight][4];
#pragma unroll
        for (int i = 0; i < kInFlight; ++i) {
            const int from = __shfl_sync(kWholeWarp, row, e + i);
            load_four<kWide>(tile.data + from * tile.stride, e + i < size ? columns : 0, four[i]);
        }
#pragma unroll
        for (int i = 0; i < kInFlight; ++i) {
            const float weight = __shfl_sync(kWholeWarp, value, e + i);
#pragma unroll
            for (int c = 0; c < 4; ++c) sum[c] += weight * four[i][c];
        }
    }
    return value;
}

// Changes one tile of one row for the gradient g.
template <bool kWide>
__device__ __forceinline__ void change_tile(const Change& change, const State& state, long long item, long long first,
                                            int columns, const float (&g)[4], float (&w)[4]) {
    float m[4] = {}, v[4] = {};
    float* const m_tile = state.first ? state.first + item * state.first_stride + first : nullptr;
    float* const v_tile = state.second ? state.second + item * state.second_stride + first : nullptr;
    if (m_tile) load_four<kWide>(m_tile, columns, m);
    if (v_tile) load_four<kWide>(v_tile, columns, v);
#pragma unroll
    for (int i = 0; i < 4; ++i) {
        UpdateRates rates = change.rates;
        if (first + column_of<kWide>(i) == change.bias)
            rates.decay = change.bias_decay, rates.shrink = change.bias_shrink;
        if (change.rule == kGradient) {
            m[i] = g[i];
        } else if (change.rule != kSgd) {
            adam_update(g[i], rates, w[i], m[i], v[i]);
        } else if (m_tile) {
            momentum_update(g[i], rates, w[i], m[i]);
        } else {
            sgd_update(g[i], rates, w[i]);
        }
    }
    if (change.rule != kGradient) store_four<kWide>(w, columns, state.value + item * state.value_stride + first);
    if (m_tile) store_four<kWide>(m, columns, m_tile);
    if (v_tile) store_four<kWide>(v, columns, v_tile);
}

// The part of one block; returns the part of the loss of one thread.
template <bool kWide>
__device__ __forceinline__ double step_rows(const ItemIndex (&index)[2], const Rows& factor, const Rows& base,
                                            float scale, const State& state, const Change& change, bool with_loss,
                                            long long n, long long k, float (*partial)[kTile]) {
    const long long tiles = (k + kTile - 1) / kTile;
    const int groups = static_cast<int>((n + kWarps - 1) / kWarps), warp = warp_number();
    double loss = 0;
    for (long long task = blockIdx.x; task < groups * tiles; task += gridDim.x) {
        const long long first = task % tiles * kTile;
        const int group = static_cast<int>(task / tiles), item = group + warp * groups;
        const int columns = static_cast<int>(k - first < kTile ? k - first : kTile);
        const Rows tile{factor.data + first, factor.stride};

        // every warp looks at the lists of all items of the block, that of item group + i * groups in lanes i, i + 8,
        // ...
        const int of_lane = group + lane_number() % kWarps * groups;
        const bool is_long = of_lane < n && entries_of(index, of_lane).size() > kShort;
        const unsigned long_lists = __ballot_sync(kWholeWarp, is_long);

        float sum[4] = {};
        for (int w = -1; w < kWarps;
             ++w) {  // first each warp its own list if it is short, then all warps each long one
            if (w >= 0 && !(long_lists >> w & 1)) continue;
            const int of = w < 0 ? item : group + w * groups;
            Entries entries{};
            if (of < n) entries = entries_of(index, of);
            if (w < 0 && entries.size() > kShort) continue;
            float part[4] = {};
            for (int start = w < 0 ? 0 : warp * kLanes; start < entries.size(); start += kWarps * kLanes) {
                const double value = add_entries<kWide>(index, entries, start, tile, columns, part);
                if (first == 0) loss += value * value;
            }
            if (w < 0) {
                for (int i = 0; i < 4; ++i) sum[i] = part[i];
                continue;
            }
            store_four<kWide>(part, kTile, partial[warp]);
            __syncthreads();
            if (warp == w)
#pragma unroll 1
                for (int from = 0; from < kWarps; ++from)
                    for (int i = 0; i < 4; ++i) sum[i] += partial[from][column_of<kWide>(i)];
            __syncthreads();
        }
        if (item >= n) continue;

        float w[4], b[4] = {}, g[4];
        load_four<kWide>(state.value + item * state.value_stride + first, columns, w);
        if (base.data) load_four<kWide>(base.data + item * base.stride + first, columns, b);
#pragma unroll
        for (int i = 0; i < 4; ++i) {
            g[i] = scale * (base.data ? b[i] - sum[i] : sum[i]);
            if (with_loss) loss += static_cast<double>(w[i]) * (static_cast<double>(b[i]) - 2.0 * sum[i]);
        }
        change_tile<kWide>(change, state, item, first, columns, g, w);
    }
    return loss;
}

}  // namespace fastautorec

using namespace fastautorec;

// Changes row j of the weights by its rule for the gradient scale * acc_j, or scale * (base_j - acc_j) where there is a
// `base`: acc_j adds up value_e * factor[row_e] over the entries e of item j in two indices. `losses` (a place for each
// block) gets parts of sum_e value_e^2 + sum_j w_j . (base_j - 2 acc_j), for the weights before the change.
//
// value, first, second, base (n, k); factor (q, k). A block takes eight items and a tile of 128 columns, a warp for
// each item: lists of more than 32 entries are shared by the warps, in parts of 32 and added up in a fixed order. The
// items of a block are far apart, since neighbours are often alike popular. Least traffic: weights and moments are read
// and written once (24 bytes a weight with Adam); rows of the factor are gathered, mostly from L2.
extern "C" __global__ void __launch_bounds__(256, 3)
    step_rows_kernel(float* value, float* first, float* second, double* losses, const float* __restrict__ base,
                     const float* __restrict__ factor, const long long* __restrict__ begin0,
                     const int* __restrict__ rows0, const long long* __restrict__ places0,
                     const float* __restrict__ values0, const long long* __restrict__ begin1,
                     const int* __restrict__ rows1, const long long* __restrict__ places1,
                     const float* __restrict__ values1, long long n, long long k, long long value_stride,
                     long long first_stride, long long second_stride, long long base_stride, long long factor_stride,
                     float scale, int rule, long long bias, float rate, float decay, float shrink, float bias_decay,
                     float bias_shrink, float beta1, float share1, float beta2, float share2, float correction,
                     float epsilon) {
    __shared__ __align__(16) float partial[kWarps][kTile];
    __shared__ double sums[kWarps];
    const ItemIndex index[2] = {{begin0, rows0, places0, values0}, {begin1, rows1, places1, values1}};
    const UpdateRates rates{rate, decay, shrink, beta1, share1, beta2, share2, correction, epsilon};
    const Change change{rule, rates, bias, bias_decay, bias_shrink};
    const State state{value, first, second, value_stride, first_stride, second_stride};
    const Rows of_factor{factor, factor_stride}, of_base{base, base_stride};
    const bool wide = is_wide(value, value_stride) && is_wide(first, first_stride) && is_wide(second, second_stride) &&
                      is_wide(base, base_stride) && is_wide(factor, factor_stride);
    const bool with_loss = losses != nullptr;
    double loss = wide ? step_rows<true>(index, of_factor, of_base, scale, state, change, with_loss, n, k, partial)
                       : step_rows<false>(index, of_factor, of_base, scale, state, change, with_loss, n, k, partial);
    if (!with_loss) return;
    loss = block_sum(loss, sums);
    if (threadIdx.x == 0) losses[blockIdx.x] = loss;
}
