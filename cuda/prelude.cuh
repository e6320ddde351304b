// Pasted in front of every kernel file by the loader. Kernels use grid-stride loops over 64-bit indices.
#pragma once

#define FASTAUTOREC_GRID_STRIDE(i, n)                                                          \
    for (long long i = blockIdx.x * static_cast<long long>(blockDim.x) + threadIdx.x; i < (n); \
         i += static_cast<long long>(gridDim.x) * blockDim.x)

// The same with one i for a whole warp.
#define FASTAUTOREC_WARP_STRIDE(i, n)                                                                                  \
    for (long long i = (blockIdx.x * static_cast<long long>(blockDim.x) + threadIdx.x) / fastautorec::kLanes; i < (n); \
         i += static_cast<long long>(gridDim.x) * blockDim.x / fastautorec::kLanes)

namespace fastautorec {

constexpr int kLanes = 32;
constexpr unsigned kWholeWarp = 0xffffffffu;

__device__ __forceinline__ int lane_number() { return static_cast<int>(threadIdx.x) % kLanes; }
__device__ __forceinline__ int warp_number() { return static_cast<int>(threadIdx.x) / kLanes; }

// Sum over the lanes of a warp, the same in all of them.
template <class T>
__device__ __forceinline__ T warp_sum(T value) {
    for (int distance = kLanes / 2; distance > 0; distance /= 2) value += __shfl_xor_sync(kWholeWarp, value, distance);
    return value;
}

// Sum over a block of whole warps, in its first thread; `sums` is shared, with a place for each warp.
template <class T>
__device__ __forceinline__ T block_sum(T value, T* sums) {
    value = warp_sum(value);
    if (lane_number() == 0) sums[warp_number()] = value;
    __syncthreads();
    T sum = 0;
    if (threadIdx.x == 0)
        for (int w = 0; w < static_cast<int>(blockDim.x) / kLanes; ++w) sum += sums[w];
    return sum;
}

// Sum over the threads of a block before this one, of whole warps; `all` is that over the block. `sums` is shared, with
// a place for each warp; it may be used again at once.
template <class T>
__device__ __forceinline__ T block_scan(T value, T* sums, T* all) {
    T sum = value, before = 0;
    for (int distance = 1; distance < kLanes; distance *= 2) {
        const T other = __shfl_up_sync(kWholeWarp, sum, distance);
        if (lane_number() >= distance) sum += other;
    }
    if (lane_number() == kLanes - 1) sums[warp_number()] = sum;
    __syncthreads();
    *all = 0;
    for (int w = 0; w < static_cast<int>(blockDim.x) / kLanes; ++w) {
        if (w == warp_number()) before = *all;
        *all += sums[w];
    }
    __syncthreads();
    return before + sum - value;
}

// A warp takes a row in tiles of 128 columns, four for each lane: neighbours where kWide, which needs 16-byte aligned
// rows, else 32 apart.
constexpr int kTile = 4 * kLanes;

template <bool kWide>
__device__ __forceinline__ int column_of(int i) {
    return kWide ? 4 * lane_number() + i : lane_number() + kLanes * i;
}

// Whether every row of a matrix starts at 16 bytes.
__device__ __forceinline__ bool is_wide(const void* matrix, long long stride) {
    return reinterpret_cast<unsigned long long>(matrix) % 16 == 0 && stride % 4 == 0;
}

// This lane's columns of a tile; 0 for those from `columns` on.
template <bool kWide>
__device__ __forceinline__ void load_four(const float* tile, int columns, float (&four)[4]) {
    if (kWide && column_of<kWide>(3) < columns) {
        const float4 all = *reinterpret_cast<const float4*>(tile + column_of<kWide>(0));
        four[0] = all.x, four[1] = all.y, four[2] = all.z, four[3] = all.w;
        return;
    }
#pragma unroll
    for (int i = 0; i < 4; ++i) four[i] = column_of<kWide>(i) < columns ? tile[column_of<kWide>(i)] : 0.0f;
}

template <bool kWide>
__device__ __forceinline__ void store_four(const float (&four)[4], int columns, float* tile) {
    if (kWide && column_of<kWide>(3) < columns) {
        *reinterpret_cast<float4*>(tile + column_of<kWide>(0)) = make_float4(four[0], four[1], four[2], four[3]);
        return;
    }
#pragma unroll
    for (int i = 0; i < 4; ++i)
        if (column_of<kWide>(i) < columns) tile[column_of<kWide>(i)] = four[i];
}

}  // namespace fastautorec
