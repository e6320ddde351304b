// Negative samples: for each user N items drawn with replacement, collected as ascending ids and counts. What is drawn
// is specified in src/fastautorec/_compute/sampling.py. A block draws for one user after the other; a row is written to
// a place with room for the longest one, and moved from there when the lengths of all rows are known.

namespace fastautorec {
namespace {

using Word = unsigned long long;

constexpr int kMaxWarps = 8;  // of a block

// Tables of a sampler, as src/fastautorec/_compute/sampling.py makes them.
struct Line {
    const Word* cdf;
    const int* guide;
    int shift;
};

struct Counts {
    const int* table;
    const unsigned int* last;
    const long long* base;
    const int* guide;
};

// The random stream of one user in one epoch.
struct Stream {
    Word seed;
    unsigned int epoch;
    Word user;
};

// What is cut out of the line for one user: gaps (size) and cut (size + 1), and the length that is left.
struct CutOut {
    const Word *gaps, *cut;
    unsigned int size;
    Word total;
};

// Cuts the excluded items (ascending) out of the line. `places` has room for 2 size + 1 words, which the other threads
// see after the next barrier.
__device__ CutOut cut_out(const Word* cdf, const int* excluded, long long size, Word* places, Word* sums) {
    Word *gaps = places, *cut = places + size, taken = 0;
    for (long long first = 0; first < size; first += blockDim.x) {
        const long long e = first + threadIdx.x;
        Word start = 0, width = 0, all;
        if (e < size) {
            const int item = excluded[e];
            start = item ? cdf[item - 1] : 0;
            width = cdf[item] - start;
        }
        const Word before = taken + block_scan(width, sums, &all);
        if (e < size) {
            gaps[e] = start - before;
            cut[e] = before;
        }
        taken += all;
    }
    if (threadIdx.x == 0) cut[size] = taken;
    return {gaps, cut, static_cast<unsigned int>(size), (Word{1} << kTotalBits) - taken};
}

__device__ __forceinline__ int item_of(const Line& line, const CutOut& out, unsigned int low, unsigned int high) {
    Word place = high_product(low | Word{high} << 32, out.total);
    if (out.size > 0) place = skip_excluded(out.gaps, out.cut, out.size, place);
    return item_at(line.cdf, line.guide, line.shift, place);
}

// Calls take(item) for the single draws 0, 1, ..., n_draws - 1, in any order; two come from one block of words.
template <class Take>
__device__ __forceinline__ void draw_items(const Line& line, const CutOut& out, const Stream& stream, long long n_draws,
                                           Take take) {
    for (long long b = threadIdx.x; 2 * b < n_draws; b += blockDim.x) {
        const Philox4x32 words = philox_of_user(stream.seed, stream.epoch, stream.user, static_cast<unsigned int>(b));
        take(item_of(line, out, words.word[0], words.word[1]));
        if (2 * b + 1 < n_draws) take(item_of(line, out, words.word[2], words.word[3]));
    }
}

struct Row {
    int *ids, *counts;
};

// Single draws only. The items drawn are marked in a bitmap; how many bits precede an item is its place in the row,
// where a second pass over the same draws counts it. `work` has room for 2 ceil(n_items / 32) words.
__device__ int row_by_draws(const Row& row, const Line& line, const CutOut& out, const Stream& stream,
                            long long n_samples, long long n_items, unsigned int* work, int* sums) {
    const long long n_words = (n_items + 31) / 32;
    unsigned int *bits = work, *ranks = work + n_words;  // ranks: how many bits precede each word
    for (long long w = threadIdx.x; w < n_words; w += blockDim.x) bits[w] = 0;
    __syncthreads();
    draw_items(line, out, stream, n_samples, [&](int item) { atomicOr(&bits[item / 32], 1u << item % 32); });
    __syncthreads();
    int length = 0;
    for (long long first = 0; first < n_words; first += blockDim.x) {
        const long long w = first + threadIdx.x;
        unsigned int word = w < n_words ? bits[w] : 0;
        int all, place = length + block_scan(__popc(word), sums, &all);
        if (w < n_words) ranks[w] = place;
        for (; word; word &= word - 1, ++place) {
            row.ids[place] = static_cast<int>(32 * w) + __ffs(static_cast<int>(word)) - 1;
            row.counts[place] = 0;
        }
        length += all;
    }
    __syncthreads();
    draw_items(line, out, stream, n_samples, [&](int item) {
        const unsigned int before = bits[item / 32] & ((1u << item % 32) - 1);
        atomicAdd(&row.counts[ranks[item / 32] + __popc(before)], 1);
    });
    return length;
}

// Poisson counts of all items first, then the single draws that are missing. `work` has room for n_items counts.
__device__ int row_by_counts(const Row& row, const Line& line, const CutOut& out, const Stream& stream,
                             const Counts& tables, const int* excluded, long long n_samples, long long n_items,
                             unsigned int* work, Word* wide_sums, int* sums) {
    const unsigned int n_blocks = static_cast<unsigned int>((n_items + 3) / 4);
    long long missing = -1;
    for (unsigned int attempt = kCountBlocks; missing < 0; attempt += n_blocks) {
        Word sum = 0, all;
        for (unsigned int b = threadIdx.x; b < n_blocks; b += blockDim.x) {
            const Philox4x32 words = philox_of_user(stream.seed, stream.epoch, stream.user, attempt + b);
#pragma unroll
            for (int w = 0; w < 4; ++w) {
                const long long j = 4LL * b + w;
                if (j >= n_items) break;
                const int t = tables.table[j];
                work[j] = count_at(tables.last + tables.base[t], tables.guide + kBuckets * t, words.word[w]);
                sum += work[j];
            }
        }
        __syncthreads();
        for (unsigned int e = threadIdx.x; e < out.size; e += blockDim.x) {
            sum -= work[excluded[e]];  // another thread may have added it: only the sum over the block matters
            work[excluded[e]] = 0;
        }
        block_scan(sum, wide_sums, &all);  // ends with a barrier
        missing = n_samples - static_cast<long long>(all);
    }
    draw_items(line, out, stream, missing, [&](int item) { atomicAdd(&work[item], 1u); });
    __syncthreads();
    int length = 0;
    for (long long first = 0; first < n_items; first += blockDim.x) {
        const long long j = first + threadIdx.x;
        const unsigned int count = j < n_items ? work[j] : 0;
        int all;
        const int place = length + block_scan(count ? 1 : 0, sums, &all);
        if (count) {
            row.ids[place] = static_cast<int>(j);
            row.counts[place] = static_cast<int>(count);
        }
        length += all;
    }
    return length;
}

}  // namespace
}  // namespace fastautorec

using namespace fastautorec;

// ids, counts (n_users, room), lengths (n_users), users (n_users), cdf (n_items); `table` (n_items) and what follows it
// are null where every draw is a single one. Row i of the excluded items is stored at excluded_begin[i] to
// excluded_begin[i + 1]; excluded_begin may be null. `cuts` (blocks, cut_room) and `work` (blocks, work_room) are null
// where they fit into the shared memory. A user from whom everything is excluded gets nothing.
//
// Floor: for each draw two or three look-ups in cached tables (twice without `table`), for each item one where there is
// a `table` and else a bit, and 8 bytes written for each item of the row.
extern "C" __global__ void sample_negatives_kernel(int* ids, int* counts, long long* lengths, long long room,
                                                   const long long* users, long long n_users, long long n_samples,
                                                   const unsigned long long* cdf, long long n_items, const int* guide,
                                                   long long shift, const int* table, const unsigned int* last,
                                                   const long long* base, const int* table_guide,
                                                   const long long* excluded_begin, const int* excluded,
                                                   unsigned long long* cuts, long long cut_room, unsigned int* work,
                                                   long long work_room, unsigned long long seed, unsigned int epoch) {
    extern __shared__ unsigned long long shared_words[];
    __shared__ unsigned long long wide_sums[kMaxWarps];
    __shared__ int sums[kMaxWarps];
    unsigned int* shared_work = reinterpret_cast<unsigned int*>(shared_words + (cuts ? 0 : cut_room));
    cuts = cuts ? cuts + blockIdx.x * cut_room : shared_words;
    work = work ? work + blockIdx.x * work_room : shared_work;
    const Line line{cdf, guide, static_cast<int>(shift)};
    const Counts tables{table, last, base, table_guide};
    for (long long i = blockIdx.x; i < n_users; i += gridDim.x) {
        const Row row{ids + i * room, counts + i * room};
        const Stream stream{seed, epoch, static_cast<Word>(users[i])};
        const long long begin = excluded_begin ? excluded_begin[i] : 0;
        const long long n_excluded = excluded_begin ? excluded_begin[i + 1] - begin : 0;
        const CutOut out = cut_out(cdf, excluded + begin, n_excluded, cuts, wide_sums);
        int length = 0;
        if (out.total > 0)
            length = table ? row_by_counts(row, line, out, stream, tables, excluded + begin, n_samples, n_items, work,
                                           wide_sums, sums)
                           : row_by_draws(row, line, out, stream, n_samples, n_items, work, sums);
        if (threadIdx.x == 0) lengths[i] = length;
        __syncthreads();  // the next user overwrites the scratch
    }
}
