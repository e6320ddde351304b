// The entries of a CSR matrix by item, for sums over users without atomics: keys to sort by, and what follows the sort.
// Rows may fall into batches of `size` rows, each with an index of its own: one sort serves them all.
// Bound by memory: with the sort about 150 bytes for each entry.

// For each entry p of row i: keys[p] = batch * n + id, row_of[p] = i, counts[key + 1] += 1.
// counts (batches * n + 1,) of zeros. One warp for each row.
extern "C" __global__ void item_keys_kernel(int* __restrict__ keys, int* __restrict__ row_of, int* __restrict__ counts,
                                            const long long* __restrict__ indptr, const int* __restrict__ ids,
                                            long long size, long long n, long long m) {
    FASTAUTOREC_WARP_STRIDE(i, m) {
        const int batch_key = static_cast<int>(i / size * n);
        const long long end = indptr[i + 1];
        for (long long p = indptr[i] + fastautorec::lane_number(); p < end; p += fastautorec::kLanes) {
            const int key = batch_key + ids[p];
            keys[p] = key;
            row_of[p] = static_cast<int>(i);
            atomicAdd(&counts[key + 1], 1);  // integers: the order of the additions does not matter
        }
    }
}

// The sorted entries: rows[e] is the row within its batch of entry order[e], places[e] where the entry is stored.
// With starts (m + 1,), the row pointers, places count from the first entry of the batch.
// One thread for each entry.
extern "C" __global__ void item_places_kernel(int* __restrict__ rows, long long* __restrict__ places,
                                              const long long* __restrict__ order, const int* __restrict__ row_of,
                                              const long long* __restrict__ starts, long long size, long long nnz) {
    FASTAUTOREC_GRID_STRIDE(e, nnz) {
        const int row = row_of[order[e]];
        const long long head = starts ? row / size * size : 0;  // first row of the batch
        rows[e] = static_cast<int>(row - head);
        places[e] = order[e] - (starts ? starts[head] : 0);
    }
}

// out[j] = sum of data[places[e]]^2 over the entries e of item j, in float64. One warp for each item; lanes take every
// 32nd entry and are added up as a tree.
extern "C" __global__ void column_squares_kernel(double* __restrict__ out, const long long* __restrict__ begin,
                                                 const long long* __restrict__ places, const float* __restrict__ data,
                                                 long long n) {
    FASTAUTOREC_WARP_STRIDE(j, n) {
        double sum = 0.0;
        for (long long e = begin[j] + fastautorec::lane_number(); e < begin[j + 1]; e += fastautorec::kLanes) {
            const double value = data[places[e]];
            sum += value * value;
        }
        sum = fastautorec::warp_sum(sum);
        if (fastautorec::lane_number() == 0) out[j] = sum;
    }
}
