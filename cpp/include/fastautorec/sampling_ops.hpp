// Negative samples: for each user N items drawn with replacement, collected as sorted counts.
#pragma once

#include <cstdint>

#include "fastautorec/views.hpp"

namespace fastautorec {

// The tables of a sampler as src/fastautorec/_compute/sampling.py makes them; their values are trusted.
struct SamplerView {
    std::int64_t n_samples;
    VectorView<const std::uint64_t> cdf;   // (n) where each item ends on a line of length 2^63
    VectorView<const std::int32_t> guide;  // (2^bits) the item at the start of each equal part of the line

    // Inverse distribution functions of Poisson counts; `table` is empty where every draw is a single one.
    VectorView<const std::int32_t> table;        // (n) the table of each item
    VectorView<const std::uint32_t> last;        // all tables, each ended by 2^32 - 1
    VectorView<const std::int64_t> base;         // (tables) the entry of count k is last[base + k]
    MatrixView<const std::int32_t> table_guide;  // (tables, kBuckets) the count of the first word of each bucket
};

// Draws for users[0..b) and writes S in compressed rows: indptr (b + 1), ids and counts, which must have room for the
// longest row min(N, n) of every user. Row i of `exclude` (may be null) holds the items that user i must not get.
// Returns the number of entries. The same bits for any number of threads and any order of the users.
std::int64_t sample_negatives(const SamplerView& sampler, VectorView<const std::int64_t> users, const CsrView* exclude,
                              std::uint64_t seed, std::uint32_t epoch, std::int64_t* indptr,
                              VectorView<std::int32_t> ids, VectorView<std::int32_t> counts, int num_threads);

}  // namespace fastautorec
