// The entries of a CSR matrix row by row: copies of chosen rows, values made from item weights and row lengths,
// dropout. One warp for each row: entries of a row are read and written by neighbouring lanes. All are bound by memory:
// they touch each entry (8 to 20 bytes) once.

namespace fastautorec {

// length^-power; the two usual powers round as NumPy's float32 does
__device__ __forceinline__ float length_power(long long length, float power) {
    const float x = static_cast<float>(length > 1 ? length : 1);
    if (power == 0.0f) return 1.0f;
    return power == 0.5f ? 1.0f / sqrtf(x) : powf(x, -power);
}

}  // namespace fastautorec

// Copies the ids, values and user number of row rows[i] of a matrix to ids, data and users, from begin[i] on.
// rows, begin, users: (q,); from_data, from_users, data and users may be null.
extern "C" __global__ void take_rows_kernel(int* __restrict__ ids, float* __restrict__ data,
                                            long long* __restrict__ users, const long long* __restrict__ begin,
                                            const long long* __restrict__ rows, const int* __restrict__ from_ids,
                                            const float* __restrict__ from_data,
                                            const long long* __restrict__ from_indptr,
                                            const long long* __restrict__ from_users, long long q) {
    FASTAUTOREC_WARP_STRIDE(i, q) {
        const long long row = rows[i], source = from_indptr[row], length = from_indptr[row + 1] - source;
        const long long target = begin[i];
        for (long long e = fastautorec::lane_number(); e < length; e += fastautorec::kLanes) {
            ids[target + e] = from_ids[source + e];
            if (data) data[target + e] = from_data[source + e];
        }
        if (users && fastautorec::lane_number() == 0) users[i] = from_users[row];
    }
}

// data_p = weights[id_p] * length_i^-power for the entries p of each row i; weights (n,) or null for 1.
extern "C" __global__ void weight_entries_kernel(float* __restrict__ data, const long long* __restrict__ indptr,
                                                 const int* __restrict__ ids, const float* __restrict__ weights,
                                                 float power, long long m) {
    FASTAUTOREC_WARP_STRIDE(i, m) {
        const long long begin = indptr[i], end = indptr[i + 1];
        const float share = fastautorec::length_power(end - begin, power);
        for (long long p = begin + fastautorec::lane_number(); p < end; p += fastautorec::kLanes)
            data[p] = weights ? weights[ids[p]] * share : share;
    }
}

// out[i * stride] = length_i^-power, one thread for each row.
extern "C" __global__ void length_powers_kernel(float* __restrict__ out, long long stride,
                                                const long long* __restrict__ indptr, float power, long long m) {
    FASTAUTOREC_GRID_STRIDE(i, m) { out[i * stride] = fastautorec::length_power(indptr[i + 1] - indptr[i], power); }
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
    FASTAUTOREC_WARP_STRIDE(i, m) {
        const long long begin = indptr[i], end = indptr[i + 1];
        const long long user = users ? users[i] : i;
        for (long long p = begin + 4 * fastautorec::lane_number(); p < end; p += 4 * fastautorec::kLanes) {
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
