// Rows whose lengths are known only after they are drawn.

using namespace fastautorec;

// Moves ids and counts from places (n_users, room) to compressed rows: row i begins at indptr[i]. A warp for each row.
//
// Floor: 8 bytes read and written for each entry.
extern "C" __global__ void pack_samples_kernel(int* packed_ids, int* packed_counts, const int* ids, const int* counts,
                                               long long room, const long long* indptr, long long n_users) {
    const long long n_warps = static_cast<long long>(gridDim.x) * blockDim.x / kLanes;
    long long i = (blockIdx.x * static_cast<long long>(blockDim.x) + threadIdx.x) / kLanes;
    for (; i < n_users; i += n_warps) {
        const long long begin = indptr[i], length = indptr[i + 1] - begin;
        for (long long e = lane_number(); e < length; e += kLanes) {
            packed_ids[begin + e] = ids[i * room + e];
            packed_counts[begin + e] = counts[i * room + e];
        }
    }
}
