// Metrics of ranked lists against test items.

namespace fastautorec {
namespace {

__device__ __forceinline__ bool is_in(const int* ids, long long size, int id) {
    long long low = 0, high = size;
    while (low < high) {
        const long long middle = (low + high) / 2;
        if (ids[middle] < id) {
            low = middle + 1;
        } else {
            high = middle;
        }
    }
    return low < size && ids[low] == id;
}

// Whether place l of a list is a hit; a repeated id is one at its first place only. Hits are few: looking back is
// cheap.
__device__ bool is_hit(const int* list, long long l, const int* test, long long total) {
    const int id = list[l];
    if (!is_in(test, total, id)) return false;
    for (long long earlier = 0; earlier < l; ++earlier)
        if (list[earlier] == id) return false;
    return true;
}

}  // namespace
}  // namespace fastautorec

using namespace fastautorec;

// out (n_rows, 2 + n_cutoffs * (paper ? 4 : 5)) as in metric_names of src/fastautorec/_compute/protocol.py, lists
// (n_rows, length), cutoffs (n_cutoffs) ascending. For rank r = 1, 2, ...: gains[r - 1] is 1 / log2(r + 1), ideal[r -
// 1] the sum of the gains and harmonic[r - 1] that of the reciprocals of the ranks up to r. A warp for each row: 32
// places are looked up at a time, and each lane adds up their hits for a cut-off of its own.
//
// Floor: lists and test items are read once, out is written once.
extern "C" __global__ void ranking_metrics_kernel(double* out, const int* lists, long long stride, long long n_rows,
                                                  long long length, const long long* test_begin, const int* test_ids,
                                                  const long long* cutoffs, long long n_cutoffs, int paper,
                                                  const double* gains, const double* ideal, const double* harmonic) {
    const long long n_warps = static_cast<long long>(gridDim.x) * blockDim.x / kLanes;
    const long long columns = 2 + n_cutoffs * (paper ? 4 : 5), longest = cutoffs[n_cutoffs - 1];
    const int lane = lane_number();
    long long i = (blockIdx.x * static_cast<long long>(blockDim.x) + threadIdx.x) / kLanes;
    for (; i < n_rows; i += n_warps) {
        const int *list = lists + i * stride, *test = test_ids + test_begin[i];
        const long long total = test_begin[i + 1] - test_begin[i];
        double* row = out + i * columns;
        if (total == 0) {
            for (long long c = lane; c < columns; c += kLanes) row[c] = nan("");
            continue;
        }
        const long long at = total < length ? total : length;        // R-precision looks so far
        const long long needed = longest < total ? total : longest;  // nothing looks further
        const long long stop = needed < length ? needed : length;
        for (long long first = 0; first < n_cutoffs; first += kLanes) {
            const long long c = first + lane, k = c < n_cutoffs ? cutoffs[c] : 0;
            double dcg = 0, sum = 0;
            long long hits = 0, hits_at = 0;
            for (long long start = 0; start < stop; start += kLanes) {
                const bool hit = start + lane < stop && is_hit(list, start + lane, test, total);
                for (unsigned int left = __ballot_sync(kWholeWarp, hit); left; left &= left - 1) {
                    const long long rank = start + __ffs(static_cast<int>(left));
                    hits_at += rank <= at;
                    if (rank > k) continue;
                    ++hits;
                    dcg += gains[rank - 1];
                    // paper: a hit at rank r adds 1/l to precision@l of each l >= r, in all harmonic(k) - harmonic(r -
                    // 1)
                    sum += paper ? harmonic[k - 1] - (rank > 1 ? harmonic[rank - 2] : 0.0)
                                 : static_cast<double>(hits) / static_cast<double>(rank);
                }
            }
            if (c < n_cutoffs) {
                const long long most = k < total ? k : total;
                const double precision = static_cast<double>(hits) / static_cast<double>(k);
                const double recall = static_cast<double>(hits) / static_cast<double>(total);
                const double ndcg = dcg / ideal[(paper ? total : most) - 1];
                double* column = row + 2 + c;
                if (c == 0) row[0] = static_cast<double>(hits_at) / static_cast<double>(total);
                if (c == n_cutoffs - 1) row[1] = ndcg;
                if (!paper) {
                    *column = ndcg;
                    column += n_cutoffs;
                }
                column[0] = sum / static_cast<double>(paper ? k : most);
                column[n_cutoffs] = precision;
                column[2 * n_cutoffs] = recall;
                column[3 * n_cutoffs] = hits ? 2 * precision * recall / (precision + recall) : 0.0;
            }
        }
    }
}
