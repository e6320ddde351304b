// The closed-form NCE transform (Eq. 14-16).
#pragma once

#include <cstdint>

#include "fastautorec/views.hpp"

namespace fastautorec {

// counts[j] (n_cols) = number of users that have item j. Returns -1, or where the first id is that is none of an item;
// then the counts mean nothing.
std::int64_t count_items(const CsrView& x, std::int64_t* counts, int num_threads);

// values[p] (nnz) = max(log P - beta * log pop_j, 0) for the stored entries; P is the number of users or, if
// `per_interaction`, of interactions.
void nce_transform(const CsrView& x, double beta, bool per_interaction, float* values, int num_threads);

}  // namespace fastautorec
