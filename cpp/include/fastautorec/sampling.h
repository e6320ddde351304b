// Formulas of drawing items with replacement, one text for the C++ core and the CUDA kernels. What is drawn is
// specified in src/fastautorec/_compute/sampling.py; tables are searched from guides, which save time and change
// nothing.
#pragma once

#include "fastautorec/scalar_math.h"

namespace fastautorec {

inline constexpr int kTotalBits = 63;                   // of the line that single draws fall on
inline constexpr unsigned int kCountBlocks = 1u << 31;  // first Philox block of the words for counts
inline constexpr int kBuckets = 32;                     // of the guide to each table of counts

// (a * b) >> 64: a place in [0, b) from 64 random bits a.
FASTAUTOREC_HD unsigned long long high_product(unsigned long long a, unsigned long long b) {
#ifdef __CUDA_ARCH__
    return __umul64hi(a, b);
#else
    __extension__ using Wide = unsigned __int128;
    return static_cast<unsigned long long>(static_cast<Wide>(a) * b >> 64);
#endif
}

// The item at `place` on the line: the first that ends above it. One step is taken without a branch, since the guide
// is mostly one item short or right.
template <class Place>
FASTAUTOREC_HD int item_at(const Place* cdf, const int* guide, int shift, Place place) {
    int item = guide[place >> shift];
    item += cdf[item] <= place;
    while (cdf[item] <= place) ++item;
    return item;
}

// `place` on the line without the excluded items, moved to where it is on the whole line. gaps[i] is where the excluded
// item i was taken out, cut[i] the length taken out before it, cut[n_gaps] the length of all.
template <class Place, class Size>  // an unsigned size
FASTAUTOREC_HD Place skip_excluded(const Place* gaps, const Place* cut, Size n_gaps, Place place) {
    const Place* low = gaps;
    for (Size rest = n_gaps; rest > 0;) {  // without branches: which half it is cannot be foreseen
        const Size half = (rest + 1) / 2;
        low += half & (Size{0} - static_cast<Size>(low[half - 1] <= place));
        rest -= half;
    }
    return place + cut[low - gaps];
}

// The Poisson count of a random word; `entries[k]` is the last word of count k.
template <class Word>
FASTAUTOREC_HD unsigned int count_at(const Word* entries, const int* guide, Word word) {
    auto count = static_cast<unsigned int>(guide[word / (0x80000000u / (kBuckets / 2))]);
    while (entries[count] < word) ++count;
    return count;
}

}  // namespace fastautorec
