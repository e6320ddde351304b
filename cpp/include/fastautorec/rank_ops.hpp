// Best-N lists out of tiles of scores, and ranking metrics out of lists.
#pragma once

#include <cstdint>

#include "fastautorec/views.hpp"

namespace fastautorec {

// The n_top best items of each user, by descending score and then ascending id. `scores` (q, w) is the tile of items
// [first_item, first_item + w); `exclude` (may be null) holds items that must not be listed. ids and best (q, n_top)
// hold the result of the earlier tiles (or -1 / NaN) on entry and the merged lists on return; free places hold
// -1 / NaN. Scores of NaN or minus infinity are never listed.
void top_items(ConstMatrix scores, const CsrView* exclude, std::int64_t first_item, MatrixView<std::int32_t> ids,
               Matrix best, int num_threads);

// The same for each row of factors (g, w), none negative: lists of the scores times these, of users 0..q-1 by the first
// row, then by the second one, and so on; ids and best are (g * q, n_top), with -1 / NaN in free places on entry too.
void scaled_top_items(ConstMatrix scores, ConstMatrix factors, const CsrView* exclude, std::int64_t first_item,
                      MatrixView<std::int32_t> ids, Matrix best, int num_threads);

enum class Definition { kStandard = 0, kPaper = 1 };

// Metrics of ranked lists, out (q, columns): R-Precision, NDCG, [standard: NDCG@k...], MAP@k..., Precision@k...,
// Recall@k..., F1@k..., for the ascending cut-offs k. A repeated id counts once, -1 never; rows without test items
// are NaN.
void ranking_metrics(MatrixView<const std::int32_t> ids, const CsrView& test, const std::int64_t* cutoffs,
                     std::int64_t n_cutoffs, Definition definition, MatrixView<double> out, int num_threads);

// The rank, from 1, of each test item in the first lengths[u] places of its user's list, 0 where it is not there: those
// of row u go to out[starts[u]] onwards, in the order in which test stores them. A repeated id counts at its first
// place.
void find_ranks(MatrixView<const std::int32_t> ids, const CsrView& test, const std::int32_t* lengths,
                const std::int64_t* starts, VectorView<std::int32_t> out, int num_threads);

}  // namespace fastautorec
