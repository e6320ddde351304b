// The entries of a CSR matrix row by row: copies of chosen rows, values made from item weights and row lengths,
// dropout. One warp for each row: entries of a row are read and written by neighbouring lanes. All are bound by memory:
// they touch each entry (8 to 20 bytes) once.

namespace {

constexpr int kWarp = 32;

__device__ long long warp_number() { return (blockIdx.x * static_cast<long long>(blockDim.x) + threadIdx.x) / kWarp; }

__device__ long long warps() { return static_cast<long long>(gridDim.x) * blockDim.x / kWarp; }

__device__ int lane() { return static_cast<int>(threadIdx.x % kWarp); }

// length^-power; the two usual powers round as NumPy's float32 does
__device__ float length_power(long long length, float power) {
    const float x = static_cast<float>(length > 1 ? length : 1);
    if (power == 0.0f) return 1.0f;
    return power == 0.5f ? 1.0f / sqrtf(x) : powf(x, -power);
}

}  // namespace

// Copies the ids, values and user number of row rows[i] of a matrix to ids, data and users, from begin[i] on.
// rows, begin, users: (q,); from_data, from_users, data and users may be null.
extern "C" __global__ void take_rows_kernel(int* __restrict__ ids, float* __restrict__ data,
                                            long long* __restrict__ users, const long long* __restrict__ begin,
                                            const long long* __restrict__ rows, const int* __restrict__ from_ids,
                                            const float* __restrict__ from_data,
                                            const long long* __restrict__ from_indptr,
                                            const long long* __restrict__ from_users, long long q) {
    for (long long i = warp_number(); i < q; i += warps()) {
        const long long row = rows[i], source = from_indptr[row], length = from_indptr[row + 1] - source;
        const long long target = begin[i];
        for (long long e = lane(); e < length; e += kWarp) {
            ids[target + e] = from_ids[source + e];
            if (data) data[target + e] = from_data[source + e];
        }
        if (users && lane() == 0) users[i] = from_users[row];
    }
}

// data_p = weights[id_p] * length_i^-power for the entries p of each row i; weights (n,) or null for 1.
extern "C" __global__ void weight_entries_kernel(float* __restrict__ data, const long long* __restrict__ indptr,
                                                 const int* __restrict__ ids, const float* __restrict__ weights,
                                                 float power, long long m) {
    for (long long i = warp_number(); i < m; i += warps()) {
        const long long begin = indptr[i], end = indptr[i + 1];
        const float share = length_power(end - begin, power);
        for (long long p = begin + lane(); p < end; p += kWarp) data[p] = weights ? weights[ids[p]] * share : share;
    }
}

// out[i * stride] = length_i^-power, one thread for each row.
extern "C" __global__ void length_powers_kernel(float* __restrict__ out, long long stride,
                                                const long long* __restrict__ indptr, float power, long long m) {
    FASTAUTOREC_GRID_STRIDE(i, m) { out[i * stride] = length_power(indptr[i + 1] - indptr[i], power); }
}

// counts[id] += 1 for every entry, one thread each. Integers: the order of the additions does not matter.
extern "C" __global__ void count_items_kernel(int* __restrict__ counts, const int* __restrict__ ids, long long nnz) {
    FASTAUTOREC_GRID_STRIDE(p, nnz) { atomicAdd(&counts[ids[p]], 1); }
}

// Sets entries to 0 where their random word is below the threshold, and multiplies the others by scale.
// The word of position 4 b + w of a row is word w of block b of its user's stream: one lane draws for four entries.
// from (nnz) may be null for values of 1; users (m,) may be null where row i is user i.
extern "C" __global__ void drop_entries_kernel(float* __restrict__ data, const long long* __restrict__ indptr,
                                               const float* __restrict__ from, const long long* __restrict__ users,
                                               unsigned int threshold, float scale, unsigned long long seed,
                                               unsigned int epoch, long long m) {
    for (long long i = warp_number(); i < m; i += warps()) {
        const long long begin = indptr[i], end = indptr[i + 1];
        const long long user = users ? users[i] : i;
        for (long long p = begin + 4 * lane(); p < end; p += 4 * kWarp) {
            const auto block = static_cast<unsigned int>((p - begin) / 4);
            const fastautorec::Philox4x32 words =
                fastautorec::philox_of_user(seed, epoch, static_cast<unsigned long long>(user), block);
            for (int w = 0; w < 4; ++w) {
                const float value = from && p + w < end ? from[p + w] * scale : scale;
                if (p + w < end) data[p + w] = words.word[w] < threshold ? 0.0f : value;
            }
        }
    }
}
