// The best items of each row of scores. Score and id make one key of 64 bits that ascends in the order of the lists:
// descending score, then ascending id. Keys are compared as integers, so that nothing is rounded or flushed to zero.

namespace fastautorec {
namespace {

using Key = unsigned long long;

constexpr int kDigitBits = 8;
constexpr int kDigits = 1 << kDigitBits;
constexpr Key kNoKey = ~Key{0};  // above all keys: of NaN and minus infinity

__device__ __forceinline__ Key key_of(float score, long long id) {
    unsigned int bits = __float_as_uint(score);
    if ((bits & 0x7fffffffu) > 0x7f800000u || bits == 0xff800000u) return kNoKey;
    if (bits == 0x80000000u) bits = 0;  // minus zero ties with zero
    const unsigned int ascending = bits & 0x80000000u ? ~bits : bits | 0x80000000u;
    return Key{~ascending} << 32 | static_cast<unsigned int>(id);
}

__device__ __forceinline__ float score_of(Key key) {
    const unsigned int ascending = ~static_cast<unsigned int>(key >> 32);
    return __uint_as_float(ascending & 0x80000000u ? ascending & 0x7fffffffu : ~ascending);
}

// Excluded items of a row, ascending.
struct Excluded {
    const int* ids;
    long long size;

    // The first place whose id is not below `id`.
    __device__ long long find(long long id) const {
        long long low = 0, high = size;
        while (low < high) {
            const long long middle = (low + high) / 2;
            if (ids[middle] < id) {
                low = middle + 1;
            } else {
                high = middle;
            }
        }
        return low;
    }

    __device__ bool has(long long id) const {
        const long long place = find(id);
        return place < size && ids[place] == id;
    }
};

// One row: the scores of a tile and the best of the tiles before it. Keys up to `floor` are listed already, keys after
// `last`, the last of the best, cannot be listed.
struct Row {
    const float* scores;
    long long width, first_item;
    const int* best_ids;
    const float* best;
    long long n_best;
    Key floor, last;

    __device__ long long size() const { return width + n_best; }

    __device__ Key key(long long i) const {
        if (i < width) return key_of(scores[i], first_item + i);
        return best_ids[i - width] < 0 ? kNoKey : key_of(best[i - width], best_ids[i - width]);
    }

    __device__ bool wants(Key key) const { return key > floor && key <= last && key != kNoKey; }
};

// Returns a key that the n_top first keys do not exceed and at most `room` keys reach, by fixing digits of it from the
// top. Excluded items are counted with the others and then taken off. All threads get the same; `counts` is shared.
__device__ Key find_limit(const Row& row, const Excluded& excluded, long long n_top, long long room, int* counts,
                          Key* found) {
    const long long from = excluded.find(row.first_item), to = excluded.find(row.first_item + row.width);
    Key prefix = 0;
    long long below = 0;  // keys before those that begin with the prefix
    for (int shift = 64 - kDigitBits;; shift -= kDigitBits) {
        const auto matches = [&](Key key) {  // in two steps, since a shift by 64 is undefined
            return row.wants(key) && key >> shift >> kDigitBits == prefix;
        };
        for (int d = threadIdx.x; d < kDigits; d += blockDim.x) counts[d] = 0;
        __syncthreads();
        for (long long i = threadIdx.x; i < row.size(); i += blockDim.x) {
            const Key key = row.key(i);
            if (matches(key)) atomicAdd(&counts[key >> shift & (kDigits - 1)], 1);
        }
        for (long long e = from + threadIdx.x; e < to; e += blockDim.x) {
            const Key key = row.key(excluded.ids[e] - row.first_item);
            if (matches(key)) atomicAdd(&counts[key >> shift & (kDigits - 1)], -1);
        }
        __syncthreads();
        if (threadIdx.x < kLanes) {  // each lane adds up some digits; the one where n_top is reached looks closer
            constexpr int kShare = kDigits / kLanes;
            long long sum = 0;
            for (int d = 0; d < kShare; ++d) sum += counts[threadIdx.x * kShare + d];
            long long until = sum;
            for (int distance = 1; distance < kLanes; distance *= 2) {
                const long long other = __shfl_up_sync(kWholeWarp, until, distance);
                if (static_cast<int>(threadIdx.x) >= distance) until += other;
            }
            const long long before = below + until - sum;
            if (threadIdx.x == kLanes - 1 && below + until < n_top) found[0] = kNoKey;  // too few keys: all are listed
            if (before < n_top && n_top <= below + until) {
                long long reached = before;
                int digit = threadIdx.x * kShare;
                while (reached + counts[digit] < n_top) reached += counts[digit++];
                found[0] = prefix << kDigitBits | digit;
                found[1] = reached;
                found[2] = reached + counts[digit];
            }
        }
        __syncthreads();
        if (found[0] == kNoKey) return row.last;
        prefix = found[0];
        below = static_cast<long long>(found[1]);
        if (static_cast<long long>(found[2]) <= room || shift == 0) {
            const Key limit = prefix << shift | ((Key{1} << shift) - 1);
            return limit < row.last ? limit : row.last;
        }
    }
}

// Bitonic sort of `size` keys, a power of two.
__device__ void sort_keys(Key* keys, int size) {
    for (int run = 2; run <= size; run *= 2) {
        for (int distance = run / 2; distance > 0; distance /= 2) {
            __syncthreads();
            for (int t = threadIdx.x; t < size / 2; t += blockDim.x) {
                const int low = 2 * t - (t & (distance - 1)), high = low + distance;
                const Key a = keys[low], b = keys[high];
                if ((a > b) == ((low & run) == 0)) {
                    keys[low] = b;
                    keys[high] = a;
                }
            }
        }
    }
    __syncthreads();
}

}  // namespace
}  // namespace fastautorec

using namespace fastautorec;

// ids, values (n_rows, n_top), scores (n_rows, width) of the items first_item, first_item + 1, ..., best_ids and best
// (n_rows, n_top) of earlier tiles, or null. Row i of the excluded items is stored at excluded_begin[i] to
// excluded_begin[i + 1]; excluded_begin may be null. A block for each row lists n_listed places at a time; the shared
// memory holds `room` keys, a power of two of at least n_listed.
//
// Floor: for n_listed places the row is read twice or three times from the cache, and once more for each 8 bits in
// which more than `room` keys agree with that of the last of these places.
extern "C" __global__ void top_items_kernel(int* ids, float* values, const float* scores, long long stride,
                                            long long n_rows, long long width, long long first_item, long long n_top,
                                            const int* best_ids, const float* best, const long long* excluded_begin,
                                            const int* excluded_ids, long long n_listed, long long room) {
    extern __shared__ unsigned long long keys[];
    __shared__ unsigned long long found[3];
    __shared__ int counts[kDigits];
    __shared__ int n_keys;
    for (long long i = blockIdx.x; i < n_rows; i += gridDim.x) {
        Row row{scores + i * stride, width, first_item, best_ids + i * n_top, best + i * n_top, 0, 0, kNoKey};
        if (best_ids) {
            row.n_best = n_top;
            row.last = row.key(width + n_top - 1);
        }
        const long long begin = excluded_begin ? excluded_begin[i] : 0;
        const Excluded excluded{excluded_ids + begin, excluded_begin ? excluded_begin[i + 1] - begin : 0};
        for (long long done = 0; done < n_top; done += n_listed) {
            const long long n_now = n_top - done < n_listed ? n_top - done : n_listed;
            if (threadIdx.x == 0) n_keys = 0;
            const Key limit = find_limit(row, excluded, n_now, room, counts, found);  // with barriers in it
            for (long long e = threadIdx.x; e < row.size(); e += blockDim.x) {
                const Key key = row.key(e);
                if (!row.wants(key) || key > limit || (e < width && excluded.has(first_item + e))) continue;
                keys[atomicAdd(&n_keys, 1)] = key;  // in any order: the keys are distinct, and sorted next
            }
            __syncthreads();
            int size = 1;
            while (size < n_keys || size < n_now) size *= 2;
            for (int k = n_keys + threadIdx.x; k < size; k += blockDim.x) keys[k] = kNoKey;
            sort_keys(keys, size);
            for (long long k = threadIdx.x; k < n_now; k += blockDim.x) {
                const bool free = keys[k] == kNoKey;
                ids[i * n_top + done + k] = free ? -1 : static_cast<int>(keys[k] & 0xffffffffu);
                values[i * n_top + done + k] = free ? __uint_as_float(0x7fc00000u) : score_of(keys[k]);
            }
            row.floor = keys[n_now - 1];
        }
    }
}
