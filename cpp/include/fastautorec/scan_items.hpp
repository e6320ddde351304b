// The best items out of a bound for all and the exact scores of the few that it leaves.
#pragma once

#include <cstdint>

#include "fastautorec/item_codes.hpp"
#include "fastautorec/views.hpp"

namespace fastautorec {

// Ids and scores (q, n_top) of the best rows of b for each row of a, as `top_items` has them for the scores a b^T, to
// the bit. `exclude` (q, n) and the ascending ids `masked` hold what must not be listed; `exclude` may be null.
//
// `borders`: without any, scores are summed as `multiply_few_rows` does; else as chains of multiply-adds along the row,
// one up to each border, added up in their order.
//
// Returns false, the lists undefined, where the bound leaves so many items that scores of all take less time.
bool scan_items(ConstMatrix a, ConstMatrix b, const ItemCodes& codes, const CsrView* exclude,
                VectorView<const std::int32_t> masked, VectorView<const std::int64_t> borders,
                MatrixView<std::int32_t> ids, Matrix best, int num_threads);

// out[j] = the chain of `scan_items` of one vector and each of the listed rows.
void chain_products(const float* a, ConstMatrix b, const std::int32_t* listed, std::int64_t count,
                    VectorView<const std::int64_t> borders, float* out);

}  // namespace fastautorec
